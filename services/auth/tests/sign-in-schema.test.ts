import { schemaRefuses, useDatabase } from '@azora/db-testkit';

const TOMORROW = "now() + interval '1 day'";
const hashOf = (digit: string) => digit.repeat(64);
const code = (id: string, userId: string, digit: string) => `
  INSERT INTO one_time_codes (id, user_id, channel, purpose, code_hash, expires_at)
  VALUES ('${id}', '${userId}', 'sms', 'sign_in', '${hashOf(digit)}', ${TOMORROW})`;

describe('the schema of signing in', () => {
  const db = useDatabase('auth');

  beforeAll(async () => {
    await db().app(`INSERT INTO users (id, email, password_reset_required) VALUES ('ada', 'ada@azora.world', true)`);
    await db().app(`INSERT INTO tokens (id, user_id, token_hash, expires_at, kind, family_id) VALUES
      ('ada', 'ada', '${hashOf('1')}', ${TOMORROW}, 'refresh', 'family'),
      ('reset', 'ada', '${hashOf('2')}', ${TOMORROW}, 'password_reset', NULL)`);
    await db().app(code('ada', 'ada', 'a'));
  });

  it.each([
    ['a negative count of locks', 'UPDATE users SET lockout_count = -1', 'users_lockout_count_check'],
    [
      'a family that ends before its token',
      "UPDATE tokens SET family_expires_at = now() WHERE id = 'ada'",
      'tokens_family_expires_at_check',
    ],
    [
      'a family of a password reset',
      "UPDATE tokens SET family_expires_at = expires_at WHERE id = 'reset'",
      'tokens_family_expires_at_check',
    ],
    ['two live codes of a channel', code('x', 'ada', 'b'), 'one_time_codes_live_key'],
    ['a code by pigeon', "UPDATE one_time_codes SET channel = 'dove'", 'one_time_codes_channel_check'],
    ['a code for nothing', "UPDATE one_time_codes SET purpose = ''", 'one_time_codes_purpose_check'],
    ['a code in plain', "UPDATE one_time_codes SET code_hash = '123456'", 'one_time_codes_code_hash_check'],
    ['a negative count of tries', 'UPDATE one_time_codes SET attempts = -1', 'one_time_codes_attempts_check'],
    ['a code that is over', "UPDATE one_time_codes SET expires_at = '2020-01-01'", 'one_time_codes_expires_at_check'],
    [
      'the use of an expired code',
      "UPDATE one_time_codes SET used_at = now() + interval '2 days'",
      'one_time_codes_used_at_check',
    ],
    [
      'a code used and replaced',
      'UPDATE one_time_codes SET used_at = now(), revoked_at = now()',
      'one_time_codes_outcome_check',
    ],
  ])('refuses %s', async (_what, sql, constraint) => {
    await schemaRefuses(db().app(sql), constraint);
  });
});
