import { readFile } from 'node:fs/promises';
import { readMigrations } from '@azora/db-migrate';
import { useDatabase } from '@azora/db-testkit';

const NAME = '20261130000001_database_time';

describe('the migration of the time', () => {
  const db = useDatabase('auth');

  it('shortens the rows of earlier settings, also over a day on which the clocks change', async () => {
    const migrations = (await readMigrations(db().target.service.migrationsPath)).filter(({ name }) => name >= NAME);
    const run = async (file: 'migration.sql' | 'down.sql', names: readonly string[]) => {
      for (const name of names) {
        const sql = await readFile(`${db().target.service.migrationsPath}/${name}/${file}`, 'utf8');
        await db().admin(`BEGIN; SET LOCAL TimeZone = 'America/New_York'; ${sql} ; COMMIT`);
      }
    };
    const names = migrations.map(({ name }) => name);
    await run('down.sql', [...names].reverse());
    await db().admin(`
      INSERT INTO users (id, email, password_hash) VALUES ('u', 'u@azora.world', '$2b$12$' || repeat('a', 53));
      INSERT INTO tokens (id, user_id, kind, email, token_hash, created_at, expires_at)
      SELECT kind, 'u', kind::token_kind, CASE kind WHEN 'email_verification' THEN 'u@azora.world' END, repeat(to_hex(place::int), 64), '2026-10-31T18:00Z', '2026-10-31T18:00Z'::timestamptz + interval '40 days'
      FROM unnest(ARRAY['password_reset', 'email_verification', 'mfa_challenge']) WITH ORDINALITY AS given (kind, place)`);

    await run('migration.sql', names);

    const lives = await db().admin(`SELECT kind::text, extract(epoch FROM expires_at - created_at)::int / 3600 AS hours
      FROM tokens ORDER BY 1`);
    expect(lives).toEqual([
      { kind: 'email_verification', hours: 744 },
      { kind: 'password_reset', hours: 24 },
    ]);
  });
});
