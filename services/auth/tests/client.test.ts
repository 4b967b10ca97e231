/** @server any */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { hash } from 'bcrypt';
import { SECRETS } from '../src/client';
import { DEFAULT_SETTINGS, openAuth } from '../src/index';
import { useAuth } from './given';

/** A value that the CHECK constraints of all hash columns accept. */
const HASH = 'c'.repeat(64);

/** Every field that the schema marks as secret, as Model.field. */
function secretFields(): readonly string[] {
  const schema = readFileSync(path.join(repositoryRoot(), 'services/auth/prisma/schema.prisma'), 'utf8');
  return [...schema.matchAll(/^model (\w+) \{\n([\s\S]*?)^\}/gm)].flatMap(([, model = '', body = '']) =>
    [...body.matchAll(/\/\/\/ @secret\n\s+(\w+)/g)].map(([, field = '']) => `${model}.${field}`),
  );
}

describe('openAuth', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);

  beforeAll(async () => {
    const bcrypt = await hash('a secret', 4);
    await db().admin(`
      INSERT INTO users (id, email, password_hash) VALUES ('ada', 'ada@azora.world', '${bcrypt}');
      INSERT INTO users (id, email, legacy_password_hash, password_salt, password_reset_required)
        VALUES ('old', 'old@azora.world', 'secret-legacy', 'secret-salt', true);
      INSERT INTO sessions (id, user_id, token_hash, expires_at) VALUES ('s', 'ada', '${HASH}', now() + interval '1 day');
      INSERT INTO tokens (id, user_id, kind, token_hash, family_id, expires_at, used_at, successor_id, successor_salt)
        VALUES ('t', 'ada', 'refresh', '${HASH}', 't', now() + interval '1 day', now(), 'u', repeat('s', 43));
      INSERT INTO mfa_settings (id, user_id, totp_enabled, totp_secret) VALUES ('m', 'ada', true, 'v1.nonce.secret');
      INSERT INTO recovery_codes (id, user_id, code_hash) VALUES ('r', 'ada', '${HASH}');
      INSERT INTO one_time_codes (id, user_id, channel, purpose, code_hash, expires_at)
        VALUES ('c', 'ada', 'sms', 'confirm', '${HASH}', now() + interval '9 minutes');
      INSERT INTO oauth_providers (id, user_id, provider, provider_user_id, access_token, refresh_token)
        VALUES ('o', 'ada', 'github', '1', 'v1.a.secret', 'v1.b.secret');
      INSERT INTO organizations (id, name, slug) VALUES ('org', 'Org', 'org');
      INSERT INTO org_invitations (id, org_id, email, token_hash, expires_at)
        VALUES ('i', 'org', 'x@azora.world', '${HASH}', now() + interval '1 day')`);
  });

  it.each(secretFields())('omits %s unless a query selects it', async (name) => {
    const [model = '', field = ''] = name.split('.');
    const { prisma } = open();
    const delegate: unknown = Reflect.get(prisma, `${model[0]?.toLowerCase()}${model.slice(1)}`);
    const find = async (query?: object): Promise<readonly object[]> => Reflect.get(Object(delegate), 'findMany')(query);
    const [first] = await find();

    expect(first).toMatchObject({ id: expect.any(String) });
    expect(Object.keys(first ?? {})).not.toContain(field);
    expect(await find({ select: { [field]: true } })).toContainEqual({ [field]: expect.any(String) });
  });

  it('omits every column that the schema marks as secret', () => {
    const omitted = Object.entries(SECRETS).flatMap(([model, fields]) =>
      Object.keys(fields).map((field) => `${model.charAt(0).toUpperCase()}${model.slice(1)}.${field}`),
    );

    expect(omitted.sort()).toEqual([...secretFields()].sort());
  });

  it('omits secrets from relations and inside transactions', async () => {
    const auth = open();
    const include = {
      sessions: true,
      tokens: true,
      mfaSettings: true,
      recoveryCodes: true,
      oneTimeCodes: true,
      oauthProviders: true,
    };
    const plain = await auth.prisma.user.findMany({ include });
    const inside = await auth.transaction((tx) => tx.user.findMany({ include }));

    expect(inside).toEqual(plain);
    expect(JSON.stringify(plain)).toContain('"sessions":[{');
    expect(JSON.stringify(plain)).not.toMatch(/secret|\$2b|cccccc/);
  });

  it('merges the options with the defaults', () => {
    const { settings } = open({ bcryptCost: 10, lockout: { attempts: 5 } });

    expect(settings).toEqual({
      ...DEFAULT_SETTINGS,
      bcryptCost: 10,
      lockout: { ...DEFAULT_SETTINGS.lockout, attempts: 5 },
    });
    expect(openAuth({ url: db().url }).settings).toEqual(DEFAULT_SETTINGS);
  });

  it.each([
    { bcryptCost: 3 },
    { bcryptCost: 31 },
    { bcryptCost: 10.5 },
    { sessionIdleMs: 0 },
    { sessionAbsoluteMs: Number.POSITIVE_INFINITY },
    { lockout: { attempts: 0 } },
    { passwordResetMs: Number.NaN },
  ])('rejects the option %p', (options) => {
    expect(() => openAuth({ url: db().url, ...options })).toThrow(
      expect.objectContaining({ code: 'AUTH.INVALID_INPUT' }),
    );
  });
});
