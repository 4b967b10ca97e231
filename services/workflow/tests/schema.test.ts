import {
  insertRow,
  itKeepsAnAuditLog,
  itTestsEveryCheck,
  refusalsOf,
  schemaRefuses,
  useDatabase,
} from '@azora/db-testkit';
import { parse } from 'semver';

type Row = Readonly<Record<string, unknown>>;

const TIME = '2026-01-01T00:00:00Z';
/** A valid row for each table. */
const VALID: Readonly<Record<string, Row>> = {
  workflows: { name: 'Welcome', owner_id: 'ada' },
  workflow_versions: {
    ...{ workflow_id: 1, number: 2, draft_version: 1, name: 'x', nodes: '[]', connections: '[]', settings: '{}' },
    ...{ plugins: '[]', plan: '[]' },
  },
  plugins: { name: 'other' },
  workflow_plugins: { workflow_id: 1, plugin_id: 1 },
  workflow_runs: { id: 'run', workflow_id: 1, number: 1 },
  run_steps: { run_id: 'given', node_id: 'b', type: 'x', position: 0, status: 'ready' },
  step_results: { run_id: 'given', node_id: 'a', lease_id: 'x', result: '1' },
  logs: { workflow_id: 1, message: 'Run started' },
  requests: { key: 'k', operation: 'x', body_hash: 'a'.repeat(64), answer_id: 'x' },
};

/** A constraint, its table, and the change to a valid row that violates it. */
const REFUSED: readonly (readonly [string, string, Row])[] = [
  ['workflows_name_check', 'workflows', { name: ' ' }],
  ['workflows_owner_id_check', 'workflows', { owner_id: '' }],
  ['workflows_status_check', 'workflows', { status: 'running' }],
  ['workflows_version_check', 'workflows', { version: 0 }],
  ['workflows_nodes_check', 'workflows', { nodes: '{}' }],
  ['workflows_connections_check', 'workflows', { connections: '"a"' }],
  ['workflows_settings_check', 'workflows', { settings: '[]' }],
  ['workflows_last_number_check', 'workflows', { last_number: -1 }],
  ['workflow_versions_pkey', 'workflow_versions', { number: 1 }],
  ['version_number', 'workflow_versions', { number: 3 }],
  ['workflow_versions_number_check', 'workflow_versions', { workflow_id: 99, number: 0 }],
  ['workflow_versions_workflow_id_fkey', 'workflow_versions', { workflow_id: 99 }],
  ['workflow_versions_draft_version_check', 'workflow_versions', { draft_version: 0 }],
  ['workflow_versions_name_check', 'workflow_versions', { name: '' }],
  ['workflow_versions_plan_check', 'workflow_versions', { plan: '{}' }],
  ['workflow_versions_plugins_check', 'workflow_versions', { plugins: '{}' }],
  ['plugins_name_key', 'plugins', { name: 'email' }],
  ['plugins_name_check', 'plugins', { name: '' }],
  ['plugins_config_schema_check', 'plugins', { config_schema: 'true' }],
  ['plugins_semver_check', 'plugins', { version: '1.0' }],
  ['workflow_plugins_pkey', 'workflow_plugins', {}],
  ['workflow_runs_pkey', 'workflow_runs', { id: 'given' }],
  ['workflow_runs_id_check', 'workflow_runs', { id: ' ' }],
  ['workflow_runs_status_check', 'workflow_runs', { status: 'pending', finished_at: TIME }],
  ['workflow_runs_finished_at_check', 'workflow_runs', { status: 'completed' }],
  ['workflow_runs_error_check', 'workflow_runs', { error: 'x' }],
  ['workflow_runs_workflow_id_number_fkey', 'workflow_runs', { id: 'other', number: 7 }],
  ['run_steps_pkey', 'run_steps', { node_id: 'a' }],
  ['run_steps_run_id_fkey', 'run_steps', { run_id: 'nothing' }],
  ['run_steps_node_id_check', 'run_steps', { node_id: '' }],
  ['run_steps_type_check', 'run_steps', { type: '' }],
  ['run_steps_position_check', 'run_steps', { position: -1 }],
  ['run_steps_status_check', 'run_steps', { status: 'pending' }],
  ['run_steps_waiting_for_check', 'run_steps', { waiting_for: -1 }],
  ['run_steps_ready_check', 'run_steps', { waiting_for: 1 }],
  ['run_steps_ready_check', 'run_steps', { status: 'waiting' }],
  ['run_steps_max_attempts_check', 'run_steps', { max_attempts: 101 }],
  ['run_steps_attempts_check', 'run_steps', { attempts: 4 }],
  ['run_steps_retry_delay_ms_check', 'run_steps', { retry_delay_ms: -1 }],
  ['run_steps_timeout_ms_check', 'run_steps', { timeout_ms: 0 }],
  ['run_steps_lease_id_check', 'run_steps', { status: 'running' }],
  ['run_steps_lease_id_check', 'run_steps', { lease_id: ' ' }],
  ['run_steps_finished_at_check', 'run_steps', { status: 'completed' }],
  ['step_results_run_id_node_id_fkey', 'step_results', { node_id: 'nothing' }],
  ['step_results_lease_id_check', 'step_results', { lease_id: ' ' }],
  ['step_results_result_check', 'step_results', { result: JSON.stringify('x'.repeat(1_048_576)) }],
  ['logs_level_check', 'logs', { level: 'debug' }],
  ['logs_message_check', 'logs', { message: '' }],
  ['logs_run_id_fkey', 'logs', { run_id: 'nothing' }],
  ['requests_key_check', 'requests', { key: ' ' }],
];

/** Versions on the edges of the grammar of semver.org. */
const VERSIONS = [
  ...[
    '0.0.4',
    '1.2.3',
    '10.20.30',
    '1.1.2-prerelease+meta',
    '1.1.2+meta',
    '1.0.0-alpha',
    '1.0.0-alpha.0valid',
    '1.0.0-0A.is.legal',
  ],
  ...[
    '1.0.0-rc.1+build.123',
    '1.2.3----RC-SNAPSHOT.12.9.1--.12',
    '1.0.0+0.build.1-rc.10000aaa-kk-0.1',
    '0.0.0-0',
    '1.0.0--',
  ],
  ...[
    '',
    '1',
    '1.2',
    '1.2.3-',
    '1.2.3+',
    '1.2.3-0123',
    '01.1.1',
    '1.01.1',
    '1.1.01',
    '1.2.3.4',
    'v1.2.3',
    ' 1.2.3',
    '1.2.3 ',
    '1.2.3\n',
  ],
  ...['1.2.3-alpha..1', '1.2.3-+', '+invalid', '-1.0.3', '1.2.3+a+b', '1.2.3-é', '1.2.-3'],
];

describe('the workflow schema', () => {
  const db = useDatabase('workflow');
  const insert = (table: string, change: Row = {}) => insertRow(db().admin, table, { ...VALID[table], ...change });

  beforeAll(async () => {
    await insert('workflows');
    await insert('plugins', { name: 'email' });
    await insert('workflow_plugins');
    await insert('workflow_versions', { number: 1 });
    await insert('workflow_runs', { id: 'given' });
    await insert('run_steps', { node_id: 'a' });
  });

  it('gives new rows their defaults', async () => {
    expect(await insert('workflows')).toMatchObject([
      { nodes: [], connections: [], settings: {}, status: 'draft', version: 1, last_number: 0, deleted_at: null },
    ]);
    expect(await insert('plugins', { name: 'defaults' })).toMatchObject([{ enabled: true, version: '1.0.0' }]);
    expect(await insert('logs')).toMatchObject([{ level: 'info', run_id: null }]);
    expect(await insert('workflow_runs')).toMatchObject([{ status: 'running', input: null }]);
  });

  it.each(REFUSED)('rejects a row that violates %s', async (constraint, table, change) => {
    const refused = insert(table, change);
    if (constraint === 'version_number') await expect(refused).rejects.toMatchObject({ message: constraint });
    else await schemaRefuses(refused, constraint);
  });

  itTestsEveryCheck(db, [...REFUSED.map(([constraint]) => constraint), 'plugins_version_check']);

  it('accepts the versions that the library semver accepts', async () => {
    const accepted = VERSIONS.filter((version) => /^\d\S*$/.test(version) && parse(version)?.raw === version);
    const rows = await db().admin(
      `SELECT version FROM unnest($1::text[]) WITH ORDINALITY AS it (version, place)
       JOIN pg_constraint ON conname = 'plugins_semver_check'
       WHERE version ~ substring(pg_get_constraintdef(pg_constraint.oid) FROM '''(.*)''') ORDER BY place`,
      [VERSIONS],
    );

    expect(rows.map(({ version }) => version)).toEqual(accepted);
    expect(accepted).toHaveLength(13);
  });

  it('accepts one of eight concurrent versions with the same number', async () => {
    const refused = await refusalsOf(Array.from({ length: 8 }, () => insert('workflow_versions', { number: 2 })));

    expect(refused).toEqual(Array(7).fill('workflow_versions_pkey'));
  });

  it('adds a plugin to a workflow once when four requests race', async () => {
    await insert('plugins', { id: 50, name: 'http-request' });
    const refused = await refusalsOf(Array.from({ length: 4 }, () => insert('workflow_plugins', { plugin_id: 50 })));

    expect(refused).toEqual(Array(3).fill('workflow_plugins_pkey'));
  });

  it('deletes everything of a workflow with it, and keeps the plugins', async () => {
    const workflow_id = 60;
    await insert('workflows', { id: workflow_id });
    await insert('workflow_plugins', { workflow_id });
    await insert('workflow_versions', { workflow_id, number: 1 });
    await insert('workflow_runs', { id: 'gone', workflow_id });
    await insert('run_steps', { run_id: 'gone' });
    await insert('step_results', { run_id: 'gone', node_id: 'b' });
    await insert('logs', { workflow_id, run_id: 'gone' });

    await db().admin('DELETE FROM workflows WHERE id = 60');

    const left = await db().admin(`SELECT (SELECT count(*) FROM workflow_plugins WHERE workflow_id = 60)
      + (SELECT count(*) FROM workflow_versions WHERE workflow_id = 60) + (SELECT count(*) FROM workflow_runs WHERE id = 'gone')
      + (SELECT count(*) FROM run_steps WHERE run_id = 'gone') + (SELECT count(*) FROM step_results WHERE run_id = 'gone')
      + (SELECT count(*) FROM logs WHERE workflow_id = 60) AS rows, (SELECT count(*) FROM plugins WHERE name = 'email') AS plugins`);
    expect(left).toEqual([{ rows: '0', plugins: '1' }]);
  });

  itKeepsAnAuditLog(db);
});
