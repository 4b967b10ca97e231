import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { useDatabase } from '@azora/db-testkit';
import { openAragora } from '../src';
import { runSqlite, writeAragora } from './aragora-fixture';
import { contentsOf, importDatabase, rollBack, runImport, useFolder } from './legacy-fixture';

const auth = useDatabase('auth');
const debate = useDatabase('debate');
const folder = useFolder();

const databases = () => [importDatabase('auth', auth()), importDatabase('debate', debate())];
const open = () => openAragora(folder());
const contents = async () => ({ auth: await contentsOf(auth()), debate: await contentsOf(debate()) });

/** Empties the tables without their triggers, which refuse it. */
async function empty(): Promise<void> {
  for (const database of [auth(), debate()]) {
    await database.admin(`DO $$ BEGIN
      SET LOCAL session_replication_role = replica;
      EXECUTE (SELECT 'TRUNCATE ' || string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('outbox_relay', '_prisma_migrations'));
      END $$`);
    await database.admin('DROP SCHEMA IF EXISTS azora_import CASCADE');
  }
}
beforeEach(empty);

it('changes nothing the second time, updates what changed, leaves what the suite changed, and rolls back', async () => {
  writeAragora(folder());
  await auth().admin(`INSERT INTO users (id, email, password_reset_required) VALUES ('own', 'own@example.com', true)`);
  const before = await contents();
  const first = await runImport(open, databases());
  const afterFirst = await contents();
  const again = await runImport(open, databases());
  expect(await contents()).toEqual(afterFirst);

  runSqlite(
    folder(),
    'aragora_users.db',
    `UPDATE users SET name = 'Bobby', updated_at = '2025-03-01' WHERE id = 'u-bob';
     UPDATE users SET name = 'Annie', updated_at = '2025-03-01' WHERE id = 'u-ann';
     UPDATE organizations SET owner_id = 'u-bob', updated_at = '2025-03-01' WHERE id = 'o-acme';
     DELETE FROM audit_log`,
  );
  await auth().admin(`UPDATE users SET name = 'Mine', updated_at = '2026-01-01' WHERE id = 'u-ann'`);
  const withMine = await contents();
  const changed = await runImport(open, databases());

  expect(await auth().admin(`SELECT id, name FROM users WHERE id IN ('u-ann', 'u-bob') ORDER BY 1`)).toEqual([
    { id: 'u-ann', name: 'Mine' },
    { id: 'u-bob', name: 'Bobby' },
  ]);
  expect(await auth().admin('SELECT user_id, role FROM organization_members ORDER BY 1')).toEqual([
    { user_id: 'u-ann', role: 'admin' },
    { user_id: 'u-bob', role: 'owner' },
  ]);
  expect(await debate().admin('SELECT count(*)::int AS entries FROM audit_logs')).toEqual([{ entries: 1 }]);

  await rollBack(changed.begun.id, databases());
  expect(await contents()).toEqual(withMine);
  await auth().admin(`UPDATE users SET name = 'Ann', updated_at = '2025-02-01 10:00:00Z' WHERE id = 'u-ann'`);
  await rollBack(again.begun.id, databases());
  await rollBack(first.begun.id, databases());
  const { auth: ownAuth, debate: ownDebate } = await contents();
  // Only the change of the test published an event.
  expect({ auth: { ...ownAuth, 'public.outbox': before.auth['public.outbox'] }, debate: ownDebate }).toEqual(before);
});

it('names what it leaves behind, and reads older versions without some columns, tables and files', async () => {
  writeAragora(folder());
  writeFileSync(path.join(folder(), 'notes.txt'), 'x');
  mkdirSync(path.join(folder(), 'backups'));
  const source = await open();
  await source.close();
  expect(source.skipped.map(({ file }) => file)).toEqual([
    'notes.txt',
    'aragora_memory.db, table continuum_memory, column embedding_model',
    'aragora_users.db, table oauth_providers, column access_token',
    'aragora_users.db, table oauth_providers, column refresh_token',
    'aragora_users.db, table schema_version',
    'aragora_users.db, table users, column locked_until',
    'aragora_users.db, table users, column failed_login_count',
    'aragora_users.db, table users, column lockout_reason',
  ]);

  const old = path.join(folder(), 'backups');
  runSqlite(
    old,
    'users.sqlite3',
    `CREATE TABLE users (id TEXT, email TEXT, created_at TEXT); INSERT INTO users VALUES ('u-1', 'a@example.com', '2025-01-01');
     CREATE TABLE positions (id TEXT, agent_name TEXT); INSERT INTO positions VALUES ('p-1', 'a')`,
  );
  const { reports } = await runImport(() => openAragora(old), databases());
  expect(Object.values(reports).flatMap(({ stages }) => stages)).toEqual([
    expect.objectContaining({ stage: 'users', inserted: 1, rejected: 0 }),
    expect.objectContaining({ stage: 'current organizations of users', inserted: 0, rejected: 0 }),
    expect.objectContaining({ stage: 'members of organizations', inserted: 0, rejected: 0 }),
    expect.objectContaining({ stage: 'positions of agents', inserted: 0, rejected: 1 }),
  ]);
  expect(await auth().admin('SELECT role, preferences, legacy_password_hash FROM users')).toEqual([
    { role: 'member', preferences: {}, legacy_password_hash: null },
  ]);
});

it('continues behind the last batch after an interruption, although each run copies the files anew', async () => {
  runSqlite(
    folder(),
    'aragora_elo.db',
    `CREATE TABLE ratings (agent_name TEXT, updated_at TEXT);
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
     INSERT INTO ratings SELECT 'agent ' || i, '2025-01-01' FROM n`,
  );
  const [, database] = databases();
  if (database === undefined) throw new Error('no database');
  const abort = new AbortController();
  const interrupted = runImport(open, [database], { signal: abort.signal, onProgress: () => abort.abort() });
  await expect(interrupted).rejects.toMatchObject({ name: 'AbortError' });
  expect(await debate().admin('SELECT count(*)::int AS rows FROM ratings')).toEqual([{ rows: 5_000 }]);

  const { begun, reports } = await runImport(open, [database]);

  expect(begun.isContinued).toBe(true);
  expect(reports['debate']?.stages).toEqual([expect.objectContaining({ inserted: 6_000, duplicates: 0, rejected: 0 })]);
});
