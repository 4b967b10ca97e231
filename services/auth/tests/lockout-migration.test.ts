import { readFile } from 'node:fs/promises';
import { readMigrations } from '@azora/db-migrate';
import { useDatabase } from '@azora/db-testkit';

const NAME = '20261130000003_lockout';

describe('the migration of the lockout', () => {
  const db = useDatabase('auth');

  it('makes the networks of open sessions known until 90 days after their last sign-in, and no others', async () => {
    const { migrationsPath } = db().target.service;
    const names = (await readMigrations(migrationsPath)).map(({ name }) => name).filter((name) => name >= NAME);
    const run = async (file: 'migration.sql' | 'down.sql', order: readonly string[]) => {
      for (const name of order) {
        await db().admin(`BEGIN; ${await readFile(`${migrationsPath}/${name}/${file}`, 'utf8')} ; COMMIT`);
      }
    };
    await run('down.sql', [...names].reverse());
    await db().admin(`
      INSERT INTO users (id, email, password_hash) VALUES ('ada', 'ada@azora.world', '$2b$12$' || repeat('a', 53));
      INSERT INTO sessions (id, user_id, token_hash, ip_address, created_at, expires_at, revoked_at)
      SELECT ip, 'ada', encode(sha256(convert_to(ip, 'UTF8')), 'hex'), ip, now() - days * interval '1 day',
        now() - days * interval '1 day' + interval '300 days', CASE WHEN is_revoked THEN now() END
      FROM (VALUES ('192.0.2.1', 1, false), ('192.0.2.2', 1, true), ('192.0.2.3', 91, false),
        ('2001:db8::1', 2, false), ('2001:db8::2', 1, false)) AS given (ip, days, is_revoked)`);

    await run('migration.sql', names);

    const known = await db().admin(`SELECT network, round(extract(epoch FROM known_until - now()) / 86400)::int AS days
      FROM sign_in_sources WHERE is_known_source('ada', network) ORDER BY network`);
    expect(known).toEqual([
      { network: '192.0.2.1', days: 89 },
      { network: '2001:db8::/64', days: 89 },
    ]);
  });
});
