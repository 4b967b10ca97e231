import { useDatabase } from '@azora/db-testkit';
import { appendLogs, claimSteps, openWorkflow, reconcile, type Workflows } from '../src';
import { givenPublished, givenRun } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = [
  ...['workflows', 'workflow_versions', 'plugins', 'workflow_plugins', 'logs', 'workflow_runs', 'run_steps'],
  ...['step_results', 'requests'],
];

describe('the app role with its own SQL', () => {
  const db = useDatabase('workflow');
  let workflows: Workflows;
  let ids: Readonly<Record<string, string>> = {};
  beforeAll(async () => {
    workflows = openWorkflow({ url: db().url });
    const workflow = await givenPublished(workflows, 'start>a a>b');
    const { id: workflowId, ownerId } = workflow;
    await appendLogs(workflows, { workflowId, ownerId, lines: [{ message: 'x' }] });
    const { id: run } = await givenRun(workflows, workflow);
    const [step] = await claimSteps(workflows, { types: Object.values(workflow.types) });
    ids = { workflow: String(workflowId), owner: ownerId, run, type: step?.type ?? '', lease: step?.leaseId ?? '' };
  });
  afterEach(async () => {
    expect(await reconcile(workflows)).toEqual([]);
  });
  afterAll(() => workflows.close());

  const dump = async () => {
    const lists = TABLES.map(
      (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
    );
    return JSON.stringify(await db().admin(`SELECT ${lists.join(', ')}, (SELECT count(*) FROM outbox) AS events`));
  };
  const filled = (sql: string) => sql.replace(/\{(\w+)\}/g, (given, name) => ids[name] ?? given);

  it.each(TABLES)('only reads %s', async (table) => {
    const before = await dump();
    for (const sql of [
      ...[`DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`, `INSERT INTO ${table} DEFAULT VALUES`],
      ...[`UPDATE ${table} SET created_at = now()`, `SELECT * FROM ${table} FOR UPDATE`],
    ]) {
      await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });
    }
    expect(await dump()).toBe(before);
  });

  it.each([
    ["SELECT begin_request('x', 'x', '{}', 'x', 'x')", NO_RIGHT],
    ["SELECT lock_run('{run}')", NO_RIGHT],
    ["SELECT lock_workflow({workflow}, '{owner}')", NO_RIGHT],
    ["SELECT take_steps('{{run}}', '{b}', 'mine', '1 h', now())", NO_RIGHT],
    ["SELECT end_run('{run}', 'completed', NULL, now())", NO_RIGHT],
    ['SELECT end_lapsed(now())', NO_RIGHT],
    ["SELECT nextval('workflows_id_seq')", NO_RIGHT],
    ["CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'", NO_RIGHT],
    ['ALTER TABLE run_steps DISABLE TRIGGER ALL', NO_RIGHT],
    ["SET session_replication_role = 'replica'", NO_RIGHT],
    // The step of another worker, a step that is not ready, and no step.
    ["SELECT complete_step('{run}', 'a', 'mine', '1')", 'AZ001'],
    ["SELECT complete_step('{run}', 'a', NULL, '1')", 'AZ001'],
    ["SELECT complete_step('{run}', 'b', NULL, '1')", 'AZ001'],
    ["SELECT complete_step('{run}', 'start', NULL, '1')", 'AZ001'],
    ["SELECT complete_step('{run}', 'z', NULL, '1')", 'AZ001'],
    ["SELECT complete_step('{run}', 'a', '{lease}', NULL)", '23502'],
    ["SELECT complete_and_claim('{run}', 'a', 'mine', '1', 'x', '{x}', 1, '1 h')", 'AZ001'],
    ["SELECT extend_lease('{run}', 'a', 'mine', '1 h')", 'AZ001'],
    ["SELECT fail_step('{run}', 'a', 'mine', 'x', false)", 'AZ001'],
    ["SELECT cancel_run('{run}', 'eve')", 'AZ001'],
    ["SELECT cancel_run('{run}', NULL)", 'AZ001'],
    ["SELECT save_workflow({workflow}, 'eve', 1, NULL, '{}')", 'AZ001'],
    ["SELECT save_workflow({workflow}, '{owner}', NULL, NULL, '{}')", 'AZ001'],
    [`SELECT save_workflow({workflow}, '{owner}', 1, NULL, '{"nodes": {}}')`, '23514'],
    ["SELECT publish_workflow({workflow}, '{owner}', 1, NULL, '[]')", 'AZ001'],
    ["SELECT publish_workflow({workflow}, '{owner}', 1, NULL, NULL)", 'AZ001'],
    ["SELECT transfer_workflow({workflow}, 'eve', 'eve', NULL)", 'AZ001'],
    ["SELECT transfer_workflow({workflow}, '{owner}', '', NULL)", '23514'],
    [`SELECT register_plugin('{"name": "x", "version": "latest"}')`, '23514'],
    [`SELECT register_plugin(jsonb_build_object('name', '{type}', 'version', '9.0.0'))`, 'AZ001'],
    [`SELECT update_plugin(NULL, jsonb_build_object('name', '{type}', 'version', '9.0.0'))`, 'AZ001'],
    [`SELECT append_logs({workflow}, '{owner}', '[{"message": "x", "level": "evil"}]')`, '23514'],
    [`SELECT append_logs({workflow}, '{owner}', '[{"message": "x", "level": "info", "runId": "other"}]')`, 'AZ001'],
    [`SELECT start_run('key', 'x', jsonb_build_object('workflowId', {workflow}, 'ownerId', 'eve'))`, 'AZ001'],
    [`SELECT start_run('key', '{run}', jsonb_build_object('workflowId', {workflow}, 'ownerId', '{owner}'))`, '23505'],
    [`SELECT claim_steps(NULL, '{{type}}', 1, '1 h')`, 'none'],
  ])('cannot break a rule: %s', async (sql, code) => {
    const before = await dump();

    if (code === 'none') expect(await db().app(filled(sql))).toEqual([]);
    else await expect(db().app(filled(sql))).rejects.toMatchObject({ code });

    expect(await dump()).toBe(before);
  });

  it('brings numbers of a hostile graph into their bounds', async () => {
    const graph = {
      ...{ ownerId: 'eve', name: 'x', connections: [], settings: { timeoutMs: -1, retry: { maxAttempts: 1e30 } } },
      nodes: [{ id: 'a', type: 'trigger', retry: { maxAttempts: -5, delayMs: 1e12 }, timeoutMs: 'evil' }],
    };
    const [made] = await db().app('SELECT id FROM create_workflow($1, $2)', ['hostile', JSON.stringify(graph)]);
    const [published] = await db().app("SELECT plan FROM publish_workflow($1, 'eve', 1, NULL, '[]')", [made?.['id']]);

    expect(published?.['plan']).toMatchObject([{ max_attempts: 1, retry_delay_ms: 3_600_000, timeout_ms: null }]);
  });
});
