// Durable steps: runs of ten steps that do nothing, from their start to their recorded end, against workflows of DBOS with as many steps
// on the same server, and against pgbench with the same SQL functions. DBOS gets a database of its own, which it creates itself.
const { rateRow, takeTurns, databaseOf } = require('./measure.js');
const { pgbench } = require('./pgbench.js');
const { withServiceDatabase } = require('./service-database.js');

const CLIENTS = 8;
const STEPS = 10;
const RUNS = 300;
const OWNER = 'bench';
const NODES = Array.from({ length: STEPS }, (_, n) => `n${n}`);

exports.run = ({ runs, workflowRuns = RUNS, seconds = 3, ...context }) =>
  withServiceDatabase(context, 'workflow', (urls) => measure(urls, { ...context, runs, workflowRuns, seconds }));

async function* measure(urls, { root, url, runs, workflowRuns, seconds }) {
  const { openWorkflow, reconcile } = require('@azora/workflow');
  const pool = { max: CLIENTS, statementTimeoutMs: 3_600_000, connectTimeoutMs: 120_000 };
  const slowQueryMs = Number.POSITIVE_INFINITY;
  const workflows = openWorkflow({ url: urls.app, slowQueryMs, pool });
  const administrator = openWorkflow({ url: urls.admin, slowQueryMs, pool });
  const dbos = await startDbos(url, `bench_${databaseOf(root, 'workflow')}_dbos`);
  try {
    const [ours, theirs] = [await givenWorkflow(workflows, 'ours'), await givenWorkflow(workflows, 'pgbench')];
    const vacuum = () => administrator.pool.query('VACUUM ANALYZE run_steps');
    const own = () => stepsPerSecond(workflowRuns, () => execute(workflows, ours, workflowRuns));
    const what = `a run of ${STEPS} steps, ${CLIENTS} at a time, steps`;
    const beside = { ours: own, dbos: () => stepsPerSecond(workflowRuns, () => dbos.execute(workflowRuns)) };
    const rates = await takeTurns(runs, beside, vacuum);
    yield rateRow(what, rates.ours, rates.dbos, '@dbos-inc/dbos-sdk 5.3.0', '≥ 1');
    const script = scriptOf(theirs);
    const same = {
      ours: own,
      pgbench: () => STEPS * pgbench(urls.app, { script, clients: CLIENTS, seconds }).perSecond,
    };
    const sql = await takeTurns(runs, same, vacuum);
    yield rateRow(what, sql.ours, sql.pgbench, 'pgbench calling the same SQL functions', '≥ 0.5');
    const differences = await reconcile(workflows);
    if (differences.length > 0) throw new Error(`reconcile: ${JSON.stringify(differences.slice(0, 5))}`);
  } finally {
    await dbos.stop();
    await Promise.all([workflows.close(), administrator.close()]);
  }
}

async function stepsPerSecond(workflowRuns, work) {
  const started = process.hrtime.bigint();
  await work();
  return (workflowRuns * STEPS * 1e9) / Number(process.hrtime.bigint() - started);
}

/** Makes the given number of calls, with one at a time from each client. */
async function callEach(count, call) {
  let begun = 0;
  const client = async () => {
    for (let n = begun++; n < count; n = begun++) await call(n);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

async function givenWorkflow(workflows, type) {
  const { createWorkflow, linkPlugin, publishWorkflow, registerPlugin } = require('@azora/workflow');
  await registerPlugin(workflows, { name: type, version: '1.0.0' });
  const { id: workflowId } = await createWorkflow(workflows, {
    ...{ ownerId: OWNER, name: type, idempotencyKey: type },
    nodes: [{ id: 'start', type: 'trigger' }, ...NODES.map((id) => ({ id, type }))],
    connections: NODES.map((to, n) => ({ from: NODES[n - 1] ?? 'start', to })),
  });
  await linkPlugin(workflows, { workflowId, ownerId: OWNER, plugin: type });
  await publishWorkflow(workflows, { workflowId, ownerId: OWNER, version: 1 });
  return { workflowId, type };
}

let started = 0;

async function execute(workflows, { workflowId, type }, count) {
  const { runWorkflows, startRun } = require('@azora/workflow');
  await callEach(count, () => {
    started += 1;
    return startRun(workflows, { workflowId, ownerId: OWNER, idempotencyKey: `ours-${started}` });
  });
  const handlers = { [type]: () => ({ isDone: true }) };
  await runWorkflows(workflows, { handlers, concurrency: CLIENTS, untilIdle: true });
}

function scriptOf({ workflowId, type }) {
  const lease = "'lease'";
  const record = `complete_and_claim(:run, :node, ${lease}, '{"isDone": true}', ${lease}, '{${type}}', 1, '30 s')`;
  return `\\set n :n + 1
SELECT id FROM start_run('pgbench-' || :client_id || '-' || :n || '-' || pg_backend_pid(), left(gen_random_uuid()::text, 32),
  '{"workflowId": ${workflowId}, "ownerId": "${OWNER}"}');
SELECT run_id AS run, node_id AS node FROM claim_steps(${lease}, '{${type}}', 1, '30 s') \\gset
${`SELECT run_id AS run, node_id AS node FROM ${record} \\gset\n`.repeat(STEPS - 1)}SELECT run_id FROM ${record};
`;
}

/** DBOS keeps its state in the process, so its functions are registered once. */
async function startDbos(url, database) {
  const { DBOS } = require('@dbos-inc/dbos-sdk');
  const { dropDatabase, withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const server = parseDatabaseUrl(url, 'BENCH_DATABASE_URL');
  const drop = () => withClient(server, (client) => dropDatabase(client, database));
  await drop();
  const systemDatabaseUrl = new URL(url);
  systemDatabaseUrl.pathname = `/${database}`;
  DBOS.setConfig({
    ...{ name: 'bench', systemDatabaseUrl: systemDatabaseUrl.href, systemDatabasePoolSize: CLIENTS },
    ...{ runAdminServer: false, logLevel: 'error' },
  });
  const workflow = DBOS.registerWorkflow(
    async () => {
      for (const name of NODES) await DBOS.runStep(async () => ({ isDone: true }), { name });
    },
    { name: 'bench' },
  );
  await DBOS.launch();
  return {
    execute: (count) => callEach(count, () => workflow()),
    stop: async () => {
      await DBOS.shutdown();
      await drop();
    },
  };
}
