import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { type TestDatabase, useDatabase } from '@azora/db-testkit';
import { compareWith, openAurora } from '../src';
import { contentsOf, hashesOf, importDatabase, rollBack, runImport, useFolder, write } from './legacy-fixture';

const agent = useDatabase('agent');
const health = useDatabase('health');
const folder = useFolder();

const databases = () => [importDatabase('agent', agent()), importDatabase('health', health())];
const open = () => openAurora(folder());
const KNOWLEDGE = '.aurora_knowledge';

const task = (id: string, more: object = {}) => ({
  id,
  type: 'creative',
  status: 'completed',
  created_at: '2025-11-08T22:26:32',
  ...more,
});
const round = (at: string, status = 'healthy') =>
  JSON.stringify({
    timestamp: at,
    iteration: 1,
    results: {
      ui: { service: 'ui', port: 5000, timestamp: at, checks: {}, status },
      api: { service: 'api', port: 5001, timestamp: at, checks: { http_error: 'no answer' }, status: 'down' },
    },
  });
const event = (at: string) =>
  JSON.stringify({ timestamp: at, event: 'SERVER_STARTED', server: 'vite', details: { port: 5173 } });

function writeAurora(): void {
  write(folder(), {
    [`${KNOWLEDGE}/FIX.completed`]:
      'TASK: FIX\nPRIORITY: CRITICAL 🔴\nCREATED_AT: 2025-11-10 14:25:00\nSTATUS: PENDING\n\nprose',
    [`${KNOWLEDGE}/PLAN.flag`]: '# Plan it\nTask Type: creative\nPriority: LOW\nRequested: a plan\n',
    [`${KNOWLEDGE}/EMPTY.completed`]: '',
    [`${KNOWLEDGE}/BROKEN.flag`]: new Uint8Array([0x54, 0xff]),
    [`${KNOWLEDGE}/aurora_completed_tasks.json`]: JSON.stringify([
      task('13f087c17aa8', { flag_file: 'x/PLAN.flag' }),
      task('', {}),
      { id: 'no-time' },
    ]),
    [`${KNOWLEDGE}/aurora_task_history.json`]: JSON.stringify({
      total_completed: 1,
      history: [{ task_id: 'd41d8cd98f00', completed_at: '2025-11-09T03:49:44', task_name: 'unknown' }],
    }),
    [`${KNOWLEDGE}/health_log.jsonl`]: `${round('2025-11-01T17:03:57.5')}\n${round('2025-11-01T17:04:57.5', 'down')}\n{"results":{"ui":{}}}\n{"resu`,
    [`${KNOWLEDGE}/luminar_nexus.jsonl`]: `${event('2025-11-02T21:09:40')}\n${event('2025-11-02T21:09:40')}\n${event('2025-13-02T21:09:40')}\n`,
    'aurora_intelligence.json': '{}',
  });
}

/** Rows of the services in use: an import must leave them, and a rollback must return to them. */
async function givenRows(): Promise<void> {
  await agent().admin(
    `INSERT INTO tasks (id, title) VALUES ('own', 'A task of the suite'), ('d41d8cd98f00', 'Known already')`,
  );
  await health().admin(
    `INSERT INTO service_health (service_name, port, status, last_check) VALUES ('api', 5001, 'running', '2026-01-01')`,
  );
}

const contents = async () => ({ agent: await contentsOf(agent()), health: await contentsOf(health()) });
const emptyTables = async () => {
  await agent().admin('TRUNCATE tasks, outbox CASCADE');
  await health().admin('TRUNCATE service_health, logs CASCADE');
};
beforeEach(emptyTables);

const only = <Value>(record: Readonly<Record<string, Value>>, key: string): Value => {
  const found = record[key];
  if (found === undefined) throw new Error(`no ${key}`);
  return found;
};

it('imports the tasks and logs of Aurora, names every record that it rejects, and publishes no event', async () => {
  writeAurora();
  await givenRows();
  const source = hashesOf(folder());

  const { reports } = await runImport(open, databases());

  expect(
    await agent().admin('SELECT id, title, status, priority, completed_at::text, description FROM tasks ORDER BY id'),
  ).toEqual([
    {
      id: '13f087c17aa8',
      title: 'Plan it',
      status: 'completed',
      priority: 'low',
      completed_at: null,
      description: 'a plan',
    },
    expect.objectContaining({
      id: expect.stringMatching(/^aurora-[0-9a-f]{16}$/),
      title: 'FIX',
      status: 'completed',
      priority: 'critical',
      description: 'prose',
    }),
    expect.objectContaining({
      id: 'd41d8cd98f00',
      title: 'EMPTY',
      status: 'completed',
      completed_at: expect.stringMatching(/^2025-11-09 03:49:44/),
    }),
    expect.objectContaining({ id: 'own', title: 'A task of the suite', status: 'pending' }),
  ]);
  expect(
    await health().admin('SELECT service_name, status, last_check::date::text AS day FROM service_health ORDER BY 1'),
  ).toEqual([
    // A check that health has made since then stays.
    { service_name: 'api', status: 'running', day: '2026-01-01' },
    { service_name: 'ui', status: 'stopped', day: '2025-11-01' },
  ]);
  expect(await health().admin(`SELECT count(*)::int AS checks FROM health_checks WHERE status = 'stopped'`)).toEqual([
    { checks: 3 },
  ]);
  expect(await health().admin('SELECT level, service, message, metadata FROM logs')).toEqual([
    { level: 'INFO', service: 'vite', message: 'SERVER_STARTED', metadata: { details: { port: 5173 } } },
  ]);
  const rejected = Object.values(reports).flatMap(({ rejects }) => rejects);
  expect(
    rejected.map(({ code, position: { file, record, line } }) => `${code} ${path.basename(file)} ${line ?? record}`),
  ).toEqual([
    'INVALID_UTF8 BROKEN.flag 1',
    'INVALID_VALUE aurora_completed_tasks.json 1',
    'INVALID_VALUE aurora_completed_tasks.json 1',
    'INVALID_VALUE health_log.jsonl 3',
    'INVALID_JSON health_log.jsonl 4',
    'INVALID_VALUE luminar_nexus.jsonl 3',
  ]);
  expect(only(reports, 'health').stages.at(-1)).toMatchObject({
    stage: 'server events',
    inserted: 1,
    duplicates: 1,
    rejected: 1,
  });
  // Those of the rows that were there before.
  expect(await agent().admin('SELECT key FROM outbox ORDER BY 1')).toEqual([{ key: 'd41d8cd98f00' }, { key: 'own' }]);
  expect((await open()).skipped).toEqual([expect.objectContaining({ file: 'aurora_intelligence.json' })]);
  expect(hashesOf(folder())).toEqual(source);
});

it('changes nothing the second time, updates what changed in the source, and rolls each import back by itself', async () => {
  writeAurora();
  await givenRows();
  const before = await contents();
  const first = await runImport(open, databases());
  const afterFirst = await contents();

  const again = await runImport(open, databases());
  expect(again.begun.id).not.toBe(first.begun.id);
  expect(await contents()).toEqual(afterFirst);
  expect(Object.values(again.reports).flatMap(({ stages }) => stages.map((it) => it.inserted + it.updated))).toEqual([
    0, 0, 0, 0,
  ]);

  write(folder(), { [`${KNOWLEDGE}/FIX.completed`]: 'TASK: FIX IT\nCREATED_AT: 2025-11-10 14:25:00\n' });
  const changed = await runImport(open, databases());
  expect(only(changed.reports, 'agent').stages).toEqual([
    expect.objectContaining({ inserted: 0, updated: 1, unchanged: 2 }),
  ]);
  expect(await agent().admin(`SELECT priority FROM tasks WHERE title = 'FIX IT'`)).toEqual([{ priority: 'normal' }]);

  await rollBack(changed.begun.id, databases());
  expect(await contents()).toEqual(afterFirst);
  const reports = await rollBack(first.begun.id, databases());
  expect(await contents()).toEqual(before);
  expect(only(reports, 'agent')).toEqual({ deleted: 2, restored: 1, gone: 0, kept: 0, keptRows: [] });
  expect((await runImport(open, databases())).reports['agent']?.stages[0]).toMatchObject({ inserted: 2, updated: 1 });
});

it('keeps and names rows that somebody changed, refers to or deleted since the import', async () => {
  writeAurora();
  const { begun } = await runImport(open, databases());
  await agent().admin(`UPDATE tasks SET description = 'mine' WHERE title = 'FIX'`);
  await agent().admin(`DELETE FROM tasks WHERE title = 'EMPTY'`);
  await health().admin(
    `INSERT INTO health_checks (endpoint_id, status) SELECT id, 'running' FROM service_health WHERE service_name = 'ui'`,
  );

  const reports = await rollBack(begun.id, databases());

  expect(only(reports, 'agent')).toEqual({
    deleted: 1,
    restored: 0,
    gone: 1,
    kept: 1,
    keptRows: [{ table: 'public.tasks', key: [expect.stringMatching(/^aurora-/)], reason: 'changed since the import' }],
  });
  expect(only(reports, 'health').keptRows).toEqual([
    {
      table: 'public.service_health',
      key: ['ui', 5000],
      reason: 'public.health_checks refers to it (health_checks_endpoint_id_fkey)',
    },
  ]);
  await health().admin('DELETE FROM health_checks');
  expect(only(await rollBack(begun.id, databases()), 'health')).toMatchObject({ deleted: 1, kept: 0 });
});

it('compares source and target before and after, and sees one changed value', async () => {
  writeAurora();
  await agent().admin('DROP SCHEMA IF EXISTS azora_import CASCADE');
  const source = await open();
  const compare = async () => {
    const [first = [], second = []] = await Promise.all(
      databases().map((database) => compareWith(database, source, {})),
    );
    return [...first, ...second];
  };
  expect((await compare()).map(({ missing, same, different }) => [missing, same, different])).toEqual([
    [3, 0, 0],
    [2, 0, 0],
    [4, 0, 0],
    [1, 0, 0],
  ]);
  expect(await agent().admin('SELECT count(*)::int AS tasks FROM tasks')).toEqual([{ tasks: 0 }]);
  expect(await agent().admin(`SELECT FROM pg_namespace WHERE nspname = 'azora_import'`)).toEqual([]);
  await runImport(open, databases());
  expect((await compare()).map(({ missing, same, different }) => [missing, same, different])).toEqual([
    [0, 3, 0],
    [0, 2, 0],
    [0, 4, 0],
    [0, 1, 0],
  ]);

  await agent().admin(`UPDATE tasks SET description = 'other' WHERE title = 'FIX'`);

  const [tasks] = await compare();
  expect(tasks).toMatchObject({ different: 1, same: 2 });
  expect(tasks?.targetHash).not.toBe(tasks?.sourceHash);
});

/** Lines of events of 3 servers. Some repeat an id or break a rule. */
function writeMany(count: number): void {
  const lines = Array.from({ length: count }, (_, at) =>
    at % 97 === 0 ? '{"event":' : event(new Date(Date.UTC(2025, 10, 1) + at * 1000).toISOString()),
  );
  write(folder(), {
    [`${KNOWLEDGE}/luminar_nexus.jsonl`]: `${lines.join('\n')}\n`,
    [`${KNOWLEDGE}/health_log.jsonl`]: round('2025-11-01T17:03:57.5'),
  });
}

it('continues where it was killed, and comes to the same rows as one run', async () => {
  writeMany(6_000);
  const [, database] = databases();
  if (database === undefined) throw new Error('no database');
  await killAfter(1, health(), folder());
  const killed = await health().admin('SELECT count(*)::int AS rows FROM logs');

  const { begun, reports } = await runImport(open, [database]);

  expect(killed[0]?.['rows']).toBeGreaterThan(0);
  expect(begun.isContinued).toBe(true);
  expect(only(reports, 'health').stages.at(-1)).toMatchObject({ inserted: 6_000 - 62, duplicates: 0, rejected: 62 });
  expect(only(reports, 'health').rejects).toHaveLength(62);
  const [comparison] = (await compareWith(database, await open(), {})).slice(-1);
  expect(comparison).toMatchObject({ missing: 0, different: 0, same: 6_000 - 62 });
  await rollBack(begun.id, [database]);
  expect(await health().admin('SELECT count(*)::int AS rows FROM logs')).toEqual([{ rows: 0 }]);
});

it('begins another import when the source of an interrupted one changed', async () => {
  writeMany(6_000);
  const [, database] = databases();
  if (database === undefined) throw new Error('no database');
  const abort = new AbortController();
  const onProgress = (detail: string) => {
    if (detail.startsWith('server events')) abort.abort();
  };
  await expect(runImport(open, [database], { signal: abort.signal, onProgress })).rejects.toMatchObject({
    name: 'AbortError',
  });
  writeMany(6_001);

  const { begun } = await runImport(open, [database]);

  expect(begun.isContinued).toBe(false);
  const states = await health().admin(
    `SELECT state FROM azora_import.imports WHERE state <> 'rolled back' ORDER BY started_at DESC LIMIT 2`,
  );
  expect(states).toEqual([{ state: 'done' }, { state: 'done' }]);
});

/** Runs the import in a process of its own, which is killed after some batches of the server events. */
async function killAfter(batches: number, { target }: TestDatabase, source: string): Promise<void> {
  const job = [target.admin.href, source, 'health', 'server events', String(batches)];
  const child = fork(path.join(__dirname, 'import-process.js'), job, { stdio: 'inherit' });
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
}
