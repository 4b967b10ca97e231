import { refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

const BCRYPT = `$2b$12$${'a'.repeat(53)}`;
const TOMORROW = "now() + interval '1 day'";
const ORGANIZATION = 'INSERT INTO organizations (id, name, slug, owner_id) VALUES';
const MEMBER = 'INSERT INTO organization_members (id, org_id, user_id, role) VALUES';

const hashOf = (digit: string) => digit.repeat(64);
const literal = (text: string | null) => (text === null ? 'NULL' : `'${text}'`);
const user = (id: string, email = `${id}@azora.world`, passwordHash: string | null = BCRYPT) =>
  `INSERT INTO users (id, email, password_hash) VALUES ('${id}', '${email}', ${literal(passwordHash)})`;
const profile = (id: string, userId = id) => `INSERT INTO user_profiles (id, user_id) VALUES ('${id}', '${userId}')`;
const session = (id: string, userId: string, hash: string, expiresAt = TOMORROW) => `
  INSERT INTO sessions (id, user_id, token_hash, expires_at) VALUES ('${id}', '${userId}', '${hash}', ${expiresAt})`;
const token = (id: string, userId: string, hash: string, kind: string, family: string | null = null) => `
  INSERT INTO tokens (id, user_id, token_hash, expires_at, kind, family_id)
  VALUES ('${id}', '${userId}', '${hash}', ${TOMORROW}, '${kind}', ${literal(family)})`;
const revoked = (jti: string) => `INSERT INTO token_blacklist (jti, expires_at) VALUES ('${jti}', now())`;
const mfa = (id: string, userId = id) => `INSERT INTO mfa_settings (id, user_id) VALUES ('${id}', '${userId}')`;
const recovery = (id: string, userId: string, hash: string) =>
  `INSERT INTO recovery_codes (id, user_id, code_hash) VALUES ('${id}', '${userId}', '${hash}')`;
const oauth = (id: string, userId: string, account: string) => `
  INSERT INTO oauth_providers (id, user_id, provider, provider_user_id)
  VALUES ('${id}', '${userId}', 'github', '${account}')`;
const invitation = (id: string, orgId: string, email: string, hash: string) => `
  INSERT INTO org_invitations (id, org_id, email, token_hash, expires_at)
  VALUES ('${id}', '${orgId}', '${email}', '${hash}', ${TOMORROW})`;
const code = (id: string, userId: string, digit: string) => `
  INSERT INTO one_time_codes (id, user_id, channel, purpose, code_hash, expires_at)
  VALUES ('${id}', '${userId}', 'sms', 'confirm', '${hashOf(digit)}', database_time() + interval '9 minutes')`;
const source = (id: string, userId = 'ada') => `
  INSERT INTO sign_in_sources (id, user_id, network, expires_at) VALUES ('${id}', '${userId}', '192.0.2.1', ${TOMORROW})`;
const messageLimit = (id: string, kind = 'invitation') =>
  `INSERT INTO message_limits (id, kind, expires_at) VALUES ('${id}', '${kind}', database_time() + interval '1 hour')`;
const audit = (id: string, column: string, value: string) =>
  `INSERT INTO audit_log (id, ${column}) VALUES ('${id}', ${value})`;

describe('the auth schema', () => {
  const db = useDatabase('auth');

  beforeAll(async () => {
    await db().app(user('ada', 'Ada@azora.world'));
    await db().app(user('ben'));
    await db().app("UPDATE users SET username = 'ada' WHERE id = 'ada'");
    await db().app(profile('ada'));
    await db().app(session('ada', 'ada', hashOf('1')));
    await db().app(token('ada', 'ada', hashOf('2'), 'refresh', 'family'));
    await db().app(token('reset', 'ada', hashOf('3'), 'password_reset'));
    await db().app(revoked('revoked'));
    await db().app(mfa('ada'));
    await db().app(recovery('ada', 'ada', hashOf('4')));
    await db().app(oauth('ada', 'ada', '1'));
    await db().app(`${ORGANIZATION} ('org', 'Org', 'org', 'ada')`);
    await db().app(`${MEMBER} ('ada', 'org', 'ada', 'owner')`);
    await db().app(invitation('cy', 'org', 'cy@azora.world', hashOf('5')));
    await db().app(code('ada', 'ada', 'a'));
    await db().app(source('192.0.2.1|ada'));
    await db().app(audit('fresh', 'action', "'USER_LOGIN'"));
  });

  it.each([
    ['a duplicate email', user('x', 'Ada@azora.world'), 'idx_users_email'],
    ['a duplicate email in another case', user('x', 'ADA@azora.world'), 'users_email_lower_key'],
    ['a malformed email', user('x', 'ada'), 'users_email_check'],
    ['a duplicate username', "UPDATE users SET username = 'ada' WHERE id = 'ben'", 'users_username_lower_key'],
    [
      'a username that looks like another',
      "UPDATE users SET username = '\u0430da' WHERE id = 'ben'",
      'users_username_skeleton_key',
    ],
    ['a username in upper case', "UPDATE users SET username = 'ADA' WHERE id = 'ben'", 'users_username_check'],
    ['a name with a control character', "UPDATE users SET name = E'Ada\\u0007'", 'users_name_check'],
    ['a username with spaces around it', "UPDATE users SET username = ' ada'", 'users_username_check'],
    ['a plain password', user('x', 'x@azora.world', 'Azora2025!'), 'users_password_hash_check'],
    ['a missing password', user('x', 'x@azora.world', null), 'users_password_reset_check'],
    [
      'a legacy hash next to a new one',
      "UPDATE users SET legacy_password_hash = 'x', password_salt = 'x'",
      'users_legacy_password_check',
    ],
    ['a salt without a hash', "UPDATE users SET password_salt = 'x'", 'users_password_salt_check'],
    ['an unknown role', "UPDATE users SET role = 'root'", 'users_role_check'],
    ['preferences that are an array', "UPDATE users SET preferences = '[]'", 'users_preferences_check'],
    ['a negative failure count', 'UPDATE users SET failed_login_count = -1', 'users_failed_login_count_check'],
    ['a negative count of codes', 'UPDATE users SET factor_failed_count = -1', 'users_factor_failed_count_check'],
    [
      'a lock of a second factor without an end',
      "UPDATE users SET factor_locked_until = 'infinity'",
      'users_time_check',
    ],
    ['a source under the id of another one', source('192.0.2.2|ada'), 'sign_in_sources_id_check'],
    ['a source of an unknown user', source('192.0.2.1|x', 'x'), 'sign_in_sources_user_id_fkey'],
    [
      'a negative count of a source',
      `UPDATE sign_in_sources SET failed_count = -1 WHERE id = '192.0.2.1|ada'`,
      'sign_in_sources_failed_count_check',
    ],
    ['a limit that names its address', messageLimit('ada@azora.world'), 'message_limits_id_check'],
    ['a limit of an unnamed kind', messageLimit(hashOf('a'), ''), 'message_limits_kind_check'],
    ['a lockout reason without a lock', "UPDATE users SET lockout_reason = 'x'", 'users_lockout_reason_check'],
    ['a deleted user who is active', 'UPDATE users SET deleted_at = now()', 'users_deleted_at_check'],
    ['an unknown organization of a user', "UPDATE users SET org_id = 'x'", 'users_org_id_fkey'],
    ['a second profile', profile('x', 'ada'), 'user_profiles_user_id_key'],
    ['a blank bio', "UPDATE user_profiles SET bio = ' '", 'user_profiles_bio_check'],
    ['a local phone number', "UPDATE user_profiles SET phone = '011555'", 'user_profiles_phone_check'],
    [
      'a birth date before 1900',
      "UPDATE user_profiles SET birth_date = '1899-12-31'",
      'user_profiles_birth_date_check',
    ],
    ['a blank city', "UPDATE user_profiles SET city = ''", 'user_profiles_city_check'],
    ['a country in lower case', "UPDATE user_profiles SET country = 'za'", 'user_profiles_country_check'],
    ['a malformed language', "UPDATE user_profiles SET language = '?'", 'user_profiles_language_check'],
    ['a blank time zone', "UPDATE user_profiles SET time_zone = ''", 'user_profiles_time_zone_check'],
    ['metadata that are an array', "UPDATE user_profiles SET metadata = '[]'", 'user_profiles_metadata_check'],
    ['a session token that is not a hash', "UPDATE sessions SET token_hash = 'x'", 'sessions_token_hash_check'],
    ['two sessions with one token', session('x', 'ada', hashOf('1')), 'sessions_token_hash_key'],
    [
      'a session that is already expired',
      session('x', 'ada', hashOf('a'), "'2020-01-01'"),
      'sessions_expires_at_check',
    ],
    ['a token that is not a hash', "UPDATE tokens SET token_hash = 'x' WHERE id = 'ada'", 'tokens_token_hash_check'],
    ['two tokens with one hash', token('x', 'ben', hashOf('2'), 'password_reset'), 'tokens_token_hash_key'],
    ['a token that is already expired', "UPDATE tokens SET expires_at = '2020-01-01'", 'tokens_expires_at_check'],
    ['the use of an expired token', "UPDATE tokens SET used_at = now() + interval '2 days'", 'tokens_used_at_check'],
    ['a refresh token without a family', 'UPDATE tokens SET family_id = NULL', 'tokens_family_id_check'],
    [
      'a password reset token with a session',
      "UPDATE tokens SET session_id = 'ada' WHERE id = 'reset'",
      'tokens_session_id_check',
    ],
    [
      'an email verification token without an address',
      token('x', 'ada', hashOf('a'), 'email_verification'),
      'tokens_email_check',
    ],
    ['two live tokens of one family', token('x', 'ada', hashOf('a'), 'refresh', 'family'), 'tokens_live_family_key'],
    ['two open password resets', token('x', 'ada', hashOf('a'), 'password_reset'), 'tokens_live_kind_key'],
    ['the same token revoked twice', revoked('revoked'), 'token_blacklist_pkey'],
    ['a revoked token with a blank id', revoked(' '), 'token_blacklist_jti_check'],
    ['second MFA settings of a user', mfa('x', 'ada'), 'mfa_settings_user_id_key'],
    [
      'a plain TOTP secret',
      "UPDATE mfa_settings SET totp_secret = 'JBSWY3DP', totp_pending_until = database_time()",
      'mfa_settings_totp_secret_check',
    ],
    [
      'TOTP without a secret',
      "INSERT INTO mfa_settings (id, user_id, totp_enabled) VALUES ('x', 'ben', true)",
      'mfa_settings_totp_enabled_check',
    ],
    [
      'an enrollment without an end',
      "UPDATE mfa_settings SET totp_secret = 'v1.a.b'",
      'mfa_settings_totp_pending_until_check',
    ],
    [
      'a last TOTP step without a secret',
      'UPDATE mfa_settings SET totp_last_step = 1',
      'mfa_settings_totp_last_step_check',
    ],
    ['SMS without a phone number', 'UPDATE mfa_settings SET sms_enabled = true', 'mfa_settings_sms_enabled_check'],
    ['a malformed phone number', "UPDATE mfa_settings SET phone_number = '1'", 'mfa_settings_phone_number_check'],
    ['a plain recovery code', "UPDATE recovery_codes SET code_hash = 'x'", 'recovery_codes_code_hash_check'],
    ['a duplicate recovery code', recovery('x', 'ada', hashOf('4')), 'recovery_codes_user_id_code_hash_key'],
    ['one external account of two users', oauth('x', 'ben', '1'), 'oauth_providers_provider_provider_user_id_key'],
    ['a provider in upper case', "UPDATE oauth_providers SET provider = 'X'", 'oauth_providers_provider_check'],
    [
      'an external account without an id',
      "UPDATE oauth_providers SET provider_user_id = ''",
      'oauth_providers_provider_user_id_check',
    ],
    ['a blank organization name', "UPDATE organizations SET name = ' '", 'organizations_name_check'],
    ['a slug with a space', "UPDATE organizations SET slug = 'an org'", 'organizations_slug_check'],
    ['a duplicate slug', `${ORGANIZATION} ('x', 'X', 'org', NULL)`, 'idx_orgs_slug'],
    ['a blank tier', "UPDATE organizations SET tier = ''", 'organizations_tier_check'],
    ['settings that are an array', "UPDATE organizations SET settings = '[]'", 'organizations_settings_check'],
    ['an unknown member role', `${MEMBER} ('x', 'org', 'ben', 'student')`, 'organization_members_role_check'],
    ['a duplicate member', `${MEMBER} ('x', 'org', 'ada', 'member')`, 'organization_members_org_id_user_id_key'],
    ['a second owner', `${MEMBER} ('x', 'org', 'ben', 'owner')`, 'organization_members_owner_key'],
    [
      'an owner who differs from owner_id',
      "UPDATE organizations SET owner_id = 'ben'",
      'organization_members_owner_check',
    ],
    ['the deletion of an owner', "DELETE FROM users WHERE id = 'ada'", 'organizations_owner_id_fkey'],
    [
      'a second open invitation to an address',
      invitation('x', 'org', 'CY@azora.world', hashOf('a')),
      'org_invitations_open_key',
    ],
    ['a malformed invitation address', "UPDATE org_invitations SET email = 'cy'", 'org_invitations_email_check'],
    ['an invitation as owner', "UPDATE org_invitations SET role = 'owner'", 'org_invitations_role_check'],
    ['a plain invitation token', "UPDATE org_invitations SET token_hash = 'x'", 'org_invitations_token_hash_check'],
    [
      'an invitation that is already expired',
      "UPDATE org_invitations SET expires_at = '2020-01-01'",
      'org_invitations_expires_at_check',
    ],
    [
      'the acceptance of an expired invitation',
      "UPDATE org_invitations SET accepted_at = now() + interval '2 days'",
      'org_invitations_accepted_at_check',
    ],
    [
      'an invitation that is both accepted and revoked',
      'UPDATE org_invitations SET accepted_at = now(), revoked_at = now()',
      'org_invitations_outcome_check',
    ],
    ['a negative lock count', 'UPDATE users SET lockout_count = -1', 'users_lockout_count_check'],
    [
      'a family that ends before its token',
      "UPDATE tokens SET family_expires_at = now() WHERE id = 'ada'",
      'tokens_family_expires_at_check',
    ],
    [
      'a family end of a password reset token',
      "UPDATE tokens SET family_expires_at = expires_at WHERE id = 'reset'",
      'tokens_family_expires_at_check',
    ],
    ['two live codes of one channel and purpose', code('x', 'ada', 'b'), 'one_time_codes_live_key'],
    ['an unknown channel', "UPDATE one_time_codes SET channel = 'dove'", 'one_time_codes_channel_check'],
    ['a blank purpose', "UPDATE one_time_codes SET purpose = ''", 'one_time_codes_purpose_check'],
    ['a plain code', "UPDATE one_time_codes SET code_hash = '123456'", 'one_time_codes_code_hash_check'],
    [
      'a live sign-in code without a challenge',
      "UPDATE one_time_codes SET purpose = 'sign_in'",
      'one_time_codes_challenge_id_check',
    ],
    [
      'a negative attempt count',
      `INSERT INTO one_time_codes (id, user_id, channel, purpose, code_hash, expires_at, attempts)
       VALUES ('x', 'ben', 'sms', 'confirm', '${hashOf('b')}', database_time() + interval '9 minutes', -1)`,
      'one_time_codes_attempts_check',
    ],
    [
      'a code that is already expired',
      "UPDATE one_time_codes SET expires_at = '2020-01-01'",
      'one_time_codes_expires_at_check',
    ],
    [
      'the use of an expired code',
      "UPDATE one_time_codes SET used_at = now() + interval '2 days'",
      'one_time_codes_used_at_check',
    ],
    [
      'a code that is both used and revoked',
      'UPDATE one_time_codes SET used_at = now(), revoked_at = now()',
      'one_time_codes_outcome_check',
    ],
    ['a blank audit action', audit('x', 'action', "' '"), 'audit_log_action_check'],
    ['details that are an array', audit('x', 'action, details', "'X', '[]'"), 'audit_log_details_check'],
    ['metadata of an entry that are an array', audit('x', 'action, metadata', "'X', '[]'"), 'audit_log_metadata_check'],
  ])('rejects %s', async (_what, sql, constraint) => {
    await schemaRefuses(db().app(sql), constraint);
  });

  it.each(["UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log WHERE id = 'fresh'", 'TRUNCATE audit_log'])(
    'rejects even the administrator: %s',
    async (sql) => {
      await expect(db().admin(sql)).rejects.toMatchObject({ code: '23001' });
    },
  );

  it.each(["UPDATE audit_log SET action = 'x'", 'DELETE FROM audit_log'])(
    'grants the app role no permission for: %s',
    async (sql) => {
      await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
    },
  );

  it('lets the administrator prune entries that are older than 90 days', async () => {
    await db().admin(audit('old', 'user_id, action, timestamp', "'old', 'X', now() - interval '91 days'"));

    expect(await db().admin("DELETE FROM audit_log WHERE id = 'old' RETURNING id")).toEqual([{ id: 'old' }]);
  });

  it('keeps a legacy password until a new one replaces it', async () => {
    await db().app(`INSERT INTO users (id, email, legacy_password_hash, password_salt, password_reset_required)
      VALUES ('old', 'old@azora.world', 'sha256', 'salt', true)`);
    const reset = `UPDATE users SET password_hash = '${BCRYPT}', legacy_password_hash = NULL, password_salt = NULL,
      password_reset_required = false WHERE id = 'old' RETURNING email`;

    expect(await db().app(reset)).toEqual([{ email: 'old@azora.world' }]);
  });

  it('accepts a new refresh token after the previous one was used, and a new reset after one was revoked', async () => {
    await db().app(token('r1', 'ben', hashOf('6'), 'refresh', 'r'));
    await db().app(token('p1', 'ben', hashOf('7'), 'password_reset'));
    await db().app("UPDATE tokens SET used_at = now() WHERE id = 'r1'");
    await db().app("UPDATE tokens SET revoked_at = now() WHERE id = 'p1'");
    await db().app(token('r2', 'ben', hashOf('8'), 'refresh', 'r'));
    await db().app(token('p2', 'ben', hashOf('9'), 'password_reset'));

    const live = "SELECT id FROM tokens WHERE user_id = 'ben' AND used_at IS NULL AND revoked_at IS NULL ORDER BY id";
    expect(await db().app(live)).toEqual([{ id: 'p2' }, { id: 'r2' }]);
  });

  it('lets one transaction transfer the ownership of an organization', async () => {
    await db().app(`${ORGANIZATION} ('hand', 'Hand', 'hand', 'ada')`);
    await db().app(`${MEMBER} ('from', 'hand', 'ada', 'owner'), ('to', 'hand', 'ben', 'member')`);
    await db().app(`BEGIN;
      UPDATE organizations SET owner_id = 'ben' WHERE id = 'hand';
      UPDATE organization_members SET role = 'admin' WHERE id = 'from';
      UPDATE organization_members SET role = 'owner' WHERE id = 'to';
      COMMIT`);

    const owner = "SELECT user_id FROM organization_members WHERE org_id = 'hand' AND role = 'owner'";
    expect(await db().app(owner)).toEqual([{ user_id: 'ben' }]);
  });

  it.each([
    [
      'registers an address once',
      `INSERT INTO users (id, email, password_hash) VALUES ($1, 'race@azora.world', '${BCRYPT}')`,
      'idx_users_email',
    ],
    [
      'issues one invitation token per account',
      `INSERT INTO tokens (id, user_id, token_hash, expires_at, kind)
        VALUES ($1, 'ada', repeat($1 || '0', 32), ${TOMORROW}, 'invitation')`,
      'tokens_live_kind_key',
    ],
    [
      'issues one successor of a refresh token',
      `INSERT INTO tokens (id, user_id, token_hash, expires_at, kind, family_id)
        VALUES ($1 || '1', 'ada', repeat($1 || '1', 32), ${TOMORROW}, 'refresh', 'race')`,
      'tokens_live_family_key',
    ],
    [
      'opens one invitation per address',
      `INSERT INTO org_invitations (id, org_id, email, token_hash, expires_at)
        VALUES ($1, 'org', 'race@azora.world', repeat($1, 64), ${TOMORROW})`,
      'org_invitations_open_key',
    ],
  ])('%s when many sessions race', async (_what, sql, constraint) => {
    const refused = await refusalsOf(['a', 'b', 'c', 'd'].map((id) => db().app(sql, [id])));

    expect(refused).toEqual(Array(3).fill(constraint));
  });

  it('deletes everything except the audit log together with a user', async () => {
    await db().app(user('gone'));
    await db().app(profile('gone'));
    await db().app(session('gone', 'gone', hashOf('d')));
    await db().app(token('gone', 'gone', hashOf('d'), 'refresh', 'gone'));
    await db().app(mfa('gone'));
    await db().app(recovery('gone', 'gone', hashOf('d')));
    await db().app(oauth('gone', 'gone', 'gone'));
    await db().app(code('gone', 'gone', 'd'));
    await db().app(`${MEMBER} ('gone', 'org', 'gone', 'member')`);
    await db().app(audit('gone', 'user_id, action', "'gone', 'USER_DELETED'"));

    await db().app("DELETE FROM users WHERE id = 'gone'");

    const parts = [
      'user_profiles',
      'sessions',
      'tokens',
      'mfa_settings',
      'recovery_codes',
      'oauth_providers',
      'one_time_codes',
    ];
    for (const table of [...parts, 'organization_members']) {
      expect(await db().app(`SELECT id FROM ${table} WHERE id = 'gone'`)).toEqual([]);
    }
    expect(await db().app("SELECT id FROM audit_log WHERE id = 'gone'")).toEqual([{ id: 'gone' }]);
  });

  it('deletes members and invitations together with an organization, and keeps the users', async () => {
    await db().app(`${ORGANIZATION} ('shut', 'Shut', 'shut', 'ben')`);
    await db().app("UPDATE users SET org_id = 'shut' WHERE id = 'ben'");
    await db().app(`${MEMBER} ('shut', 'shut', 'ben', 'owner')`);
    await db().app(invitation('shut', 'shut', 'x@azora.world', hashOf('e')));

    await db().app("DELETE FROM organizations WHERE id = 'shut'");

    expect(await db().app("SELECT org_id FROM users WHERE id = 'ben'")).toEqual([{ org_id: null }]);
    expect(await db().app("SELECT id FROM organization_members WHERE id = 'shut'")).toEqual([]);
    expect(await db().app("SELECT id FROM org_invitations WHERE id = 'shut'")).toEqual([]);
  });
});
