import { createHash } from 'node:crypto';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { useDatabase } from '@azora/db-testkit';
import { compareWith, openAragora } from '../src';
import { EXPECTED, runSqlite, writeAragora } from './aragora-fixture';
import { hashesOf, importDatabase, runImport, useFolder } from './legacy-fixture';

const auth = useDatabase('auth');
const debate = useDatabase('debate');
const folder = useFolder();

const databases = () => [importDatabase('auth', auth()), importDatabase('debate', debate())];
const open = () => openAragora(folder());
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Compares with both databases. */
async function compare() {
  const source = await open();
  try {
    const found = [];
    for (const database of databases()) found.push(...(await compareWith(database, source, {})));
    return found;
  } finally {
    await source.close();
  }
}

const schemas = () =>
  Promise.all(
    [auth(), debate()].map((it) => it.admin(`SELECT nspname FROM pg_namespace WHERE nspname = 'azora_import'`)),
  );

it('plans without a trace, imports people into auth and the rest into debate, and counts every record', async () => {
  writeAragora(folder());
  const before = hashesOf(folder());
  const times = () => Object.keys(before).map((name) => statSync(path.join(folder(), name), { bigint: true }).mtimeNs);
  const timesBefore = times();

  const plan = await compare();
  expect(await schemas()).toEqual([[], []]);
  expect(plan.filter(({ same, different }) => same + different > 0)).toEqual([]);
  expect(plan.map(({ stage }) => stage)).toEqual(Object.keys(EXPECTED));

  const { reports } = await runImport(open, databases());

  const counts = Object.values(reports).flatMap(({ stages }) => stages);
  expect(
    Object.fromEntries(counts.map(({ stage, inserted, updated, rejected }) => [stage, [inserted + updated, rejected]])),
  ).toEqual(EXPECTED);
  expect(hashesOf(folder())).toEqual(before);
  expect(times()).toEqual(timesBefore);
  expect(
    Object.values(reports)
      .flatMap(({ rejects }) => rejects)
      .map(({ code, position, reason }) => `${position.table} ${position.record} ${code} ${reason}`),
  ).toEqual([
    'users 4 INVALID_VALUE The row breaks the rule users_email_check',
    'users 5 INVALID_VALUE created_at is not a time that exists',
    'users 6 CONFLICT Another row has these values (users_email_lower_key)',
    'organizations 2 BROKEN_REFERENCE The row that it refers to does not exist (organizations_owner_id_fkey)',
    'nomic_cycles 2 INVALID_VALUE The row breaks the rule nomic_cycles_period_check',
    'debate_artifacts 2 INVALID_VALUE agents is not JSON text',
    expect.stringMatching(/^stream_events 2 INVALID_VALUE event_type is not one of /),
    'agent_metrics 2 INVALID_VALUE cycle is not a whole number that is not negative',
    'cycle_evolution 2 BROKEN_REFERENCE The row that it refers to does not exist (cycle_evolution_debate_artifact_id_fkey)',
    'matches 2 BROKEN_REFERENCE The row that it refers to does not exist (matches_winner_fkey)',
    'continuum_memory 2 INVALID_UTF8 content is not valid UTF-8',
    'continuum_memory 3 INVALID_VALUE content is not text that PostgreSQL can store',
    'tier_transitions 2 BROKEN_REFERENCE The row that it refers to does not exist (tier_transitions_memory_id_fkey)',
    'usage_events 2 INVALID_VALUE count is not a whole number that is not negative',
  ]);

  await expectSafeContents();
  const verified = await compare();
  expect(
    verified.filter(({ sourceHash, targetHash, different }) => sourceHash !== targetHash || different > 0),
  ).toEqual([]);
  expect(Object.fromEntries(verified.map(({ stage, same }) => [stage, same]))).toEqual(
    Object.fromEntries(Object.entries(EXPECTED).map(([stage, [inserted]]) => [stage, inserted])),
  );
  await debate().admin(`UPDATE agent_metrics SET model = 'other'`);
  expect((await compare()).filter(({ different }) => different > 0)).toEqual([
    expect.objectContaining({ stage: 'metrics of agents', different: 1, same: 0 }),
  ]);
});

/** A legacy password is apart, an organization has one owner, no token is stored as it is, and numbers keep their digits. */
async function expectSafeContents(): Promise<void> {
  expect(
    await auth().admin(`SELECT id, password_hash, legacy_password_hash, password_reset_required, locked_until, org_id,
      updated_at::text AS updated FROM users ORDER BY id`),
  ).toEqual(
    [
      ['u-ann', 'o-acme', '2025-02-01 10:00:00+00'],
      ['u-bob', 'o-acme', '2025-02-01 10:00:00+00'],
      ['u-cid', null, '2025-01-03 08:00:00+00'],
    ].map(([id, org_id, updated]) => ({
      id,
      password_hash: null,
      legacy_password_hash: 'old-hash',
      password_reset_required: true,
      locked_until: null,
      org_id,
      updated,
    })),
  );
  expect(await auth().admin('SELECT user_id, role FROM organization_members ORDER BY 1')).toEqual([
    { user_id: 'u-ann', role: 'owner' },
    { user_id: 'u-bob', role: 'admin' },
  ]);
  expect(await auth().admin('SELECT token_hash FROM org_invitations')).toEqual([
    { token_hash: sha256('secret-token') },
  ]);
  expect(await auth().admin('SELECT access_token, refresh_token FROM oauth_providers')).toEqual([
    { access_token: null, refresh_token: null },
  ]);
  expect(await debate().admin('SELECT token FROM share_links')).toEqual([{ token: `sha256:${sha256('share-token')}` }]);
  expect(await debate().admin('SELECT action, details FROM audit_logs')).toEqual([
    { action: 'login', details: { ok: true, aragora_org_id: 'o-acme' } },
  ]);
  expect(
    await debate().admin('SELECT cycle, sequence::int, event_data::text FROM stream_events ORDER BY 1, 2'),
  ).toEqual([
    { cycle: 1, sequence: 1, event_data: '{}' },
    { cycle: 1, sequence: 2, event_data: '{"n": 12345678901234567890}' },
    { cycle: 2, sequence: 1, event_data: '{}' },
  ]);
  expect(await debate().admin('SELECT random_seed::text AS seed FROM traces')).toEqual([{ seed: '9007199254740993' }]);
  expect(
    await debate().admin(
      `SELECT task FROM cycle_evolution JOIN debate_artifacts ON debate_artifacts.id = debate_artifact_id`,
    ),
  ).toEqual([{ task: 'Which way' }]);
}

it('rejects a row whose index entry would be too long, and imports the others', async () => {
  runSqlite(
    folder(),
    'aragora_elo.db',
    `CREATE TABLE ratings (agent_name TEXT, updated_at TEXT);
     INSERT INTO ratings VALUES ('short', '2025-01-01'), (hex(randomblob(20000)), '2025-01-01')`,
  );
  const [, database] = databases();
  if (database === undefined) throw new Error('no database');

  const { reports } = await runImport(open, [database]);

  expect(reports['debate']?.stages).toEqual([expect.objectContaining({ inserted: 1, rejected: 1 })]);
});

it('refuses a folder without databases, and one with a damaged database', async () => {
  await expect(open()).rejects.toMatchObject({ code: 'IMPORT.NO_SOURCE' });
  writeAragora(folder());
  writeFileSync(path.join(folder(), 'aragora_replay.db'), 'This is a letter and no database. '.repeat(40));
  await expect(open()).rejects.toMatchObject({ code: 'IMPORT.CORRUPT_DATABASE' });
});
