// Tasks that workers claim and complete, one at a time, against pg-boss and against pgbench with the same two statements; messages with
// their context against an interactive transaction of Prisma that does the same. That transaction runs as the administrator, because
// the app role writes only by functions.
const { randomUUID } = require('node:crypto');
const { middle, rateOf, rateRow, takeTurns } = require('./measure.js');
const { pgbench } = require('./pgbench.js');
const { withServiceDatabase } = require('./service-database.js');

const CLIENTS = 8;
const TASKS = 100_000;
const CONVERSATIONS = 2_000;
const HASH = '0'.repeat(64);

exports.run = ({ runs, seconds = 3, ...context }) =>
  withServiceDatabase(context, 'agent', (urls) => measure(urls, { runs, seconds }));

async function* measure(urls, { runs, seconds }) {
  const { openAgent, reconcile } = require('@azora/agent');
  // The administrator also makes the rows, which takes longer than a statement of a store may. A busy machine connects slowly.
  const pool = { statementTimeoutMs: 3_600_000, connectTimeoutMs: 120_000 };
  const slowQueryMs = Number.POSITIVE_INFINITY;
  const agent = openAgent({ url: urls.app, slowQueryMs, pool });
  const administrator = openAgent({ url: urls.admin, slowQueryMs, pool });
  try {
    await administrator.pool.query(GIVEN);
    yield* await tasks({ agent, administrator, urls, runs, seconds });
    yield* await messages({ agent, administrator, runs, seconds });
    const differences = await reconcile(agent);
    if (differences.length > 0) throw new Error(`reconcile: ${JSON.stringify(differences.slice(0, 5))}`);
  } finally {
    await Promise.all([agent.close(), administrator.close()]);
  }
}

/** Claims a task and completes it; each peer has a type, or a queue, of its own. */
async function tasks({ agent, administrator, urls, runs, seconds }) {
  const { claimTasks, completeTask } = require('@azora/agent');
  const boss = await startBoss(urls.admin);
  const work = async () => {
    const [task] = await claimTasks(agent, { taskType: 'ours' });
    await completeTask(agent, { taskId: task.id, leaseId: task.leaseId });
  };
  const rates = await takeTurns(
    runs,
    {
      ours: async () => (await rateOf({ clients: CLIENTS, seconds }, work)).perSecond,
      pgBoss: async () => (await rateOf({ clients: CLIENTS, seconds }, boss.work)).perSecond,
      pgbench: () => pgbench(urls.app, { script: SCRIPT, clients: CLIENTS, seconds }).perSecond,
    },
    () => administrator.pool.query('VACUUM ANALYZE tasks'),
  );
  await boss.stop();
  const what = `claimTasks and completeTask, one task, ${CLIENTS} clients`;
  return [
    rateRow(what, rates.ours, rates.pgBoss, 'pg-boss 10.4.2, fetch and complete', '≥ 1'),
    rateRow(what, rates.ours, rates.pgbench, 'pgbench calling the same SQL functions', '≥ 0.5'),
  ];
}

const SCRIPT = `\\set n :n + 1
SELECT id AS task, lease_id AS lease FROM claim_tasks('bench-' || :client_id || '-' || :n, 1, '5 minutes', 'pgbench') \\gset
SELECT complete_task(:task, :lease);
`;

async function startBoss(url) {
  const PgBoss = require('pg-boss');
  const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false, max: 10 });
  await boss.start();
  await boss.createQueue('bench');
  for (let made = 0; made < TASKS / 2; made += 1_000) {
    await boss.insert(Array.from({ length: 1_000 }, (_, n) => ({ name: 'bench', data: { n } })));
  }
  return {
    work: async () => {
      const [job] = await boss.fetch('bench', { batchSize: 1 });
      await boss.complete('bench', job.id);
    },
    stop: () => boss.stop({ graceful: false, wait: true }),
  };
}

async function messages({ agent, administrator, runs, seconds }) {
  const cpu = { ours: [], prisma: [] };
  const load = (way, work) => async () => {
    const before = process.cpuUsage();
    const { perSecond, done } = await rateOf({ clients: CLIENTS, seconds }, work);
    const { user, system } = process.cpuUsage(before);
    cpu[way].push((user + system) / done);
    return perSecond;
  };
  const rates = await takeTurns(runs, {
    ours: load('ours', byStore(agent)),
    prisma: load('prisma', byPrisma(administrator)),
  });
  const what = `addMessage with two chunks, ${CLIENTS} clients`;
  const micros = (values) => `${Math.round(middle(values))} µs`;
  return [
    rateRow(what, rates.ours, rates.prisma, 'an interactive transaction of Prisma', '≥ 3'),
    {
      what: `${what}, CPU of the client`,
      ours: micros(cpu.ours),
      peer: `${micros(cpu.prisma)} (an interactive transaction of Prisma)`,
      ratio: (middle(cpu.ours) / middle(cpu.prisma)).toFixed(2),
      budget: '≤ 0.5',
    },
  ];
}

const conversationOf = (number) => `00000000-0000-7000-8000-${String(number % CONVERSATIONS).padStart(12, '0')}`;
const CHUNKS = [0, 1].map((chunkIndex) => ({
  ...{ query: 'deadlock retry', contentId: '/w/retry.ts', chunkIndex, chunkContent: 'Runs the work again', score: 0.8 },
}));
const CONTENT = 'PostgreSQL cancels one of two transactions that wait for each other; the store runs it again.';

function byStore(agent) {
  const { addMessage } = require('@azora/agent');
  let number = 0;
  return () => {
    number += 1;
    const message = { userId: 'ada', role: 'assistant', content: CONTENT, context: CHUNKS };
    return addMessage(agent, { ...message, conversationId: conversationOf(number), idempotencyKey: randomUUID() });
  };
}

/** As most users of Prisma would write it. */
function byPrisma({ prisma }) {
  let number = 0;
  return () => {
    number += 1;
    const [id, conversationId] = [randomUUID(), conversationOf(number)];
    return prisma.$transaction(async (tx) => {
      const request = { key: randomUUID(), operation: 'add_message', bodyHash: HASH, answerId: id, userId: 'ada' };
      await tx.request.create({ data: request });
      const [row] = await tx.$queryRaw`SELECT user_id, archived_at, last_position FROM conversations
        WHERE id = ${conversationId}::uuid FOR NO KEY UPDATE`;
      if (row.user_id !== 'ada' || row.archived_at !== null) throw new Error('no such conversation');
      const position = row.last_position + 1;
      await tx.message.create({ data: { id, conversationId, position, role: 'assistant', content: CONTENT } });
      await tx.messageRagContext.createMany({ data: CHUNKS.map((chunk) => ({ ...chunk, messageId: id })) });
    });
  };
}

/** The events of the tasks and conversations would only take time. */
const GIVEN = `
  ALTER TABLE tasks DISABLE TRIGGER zz_tasks_publish_created;
  INSERT INTO tasks (id, title, priority, task_type)
  SELECT kind || '-' || n, 'Task', (ARRAY['low', 'normal', 'medium', 'high', 'critical'])[1 + n % 5], kind
  FROM generate_series(1, ${TASKS}) AS n, unnest(ARRAY['ours', 'pgbench']) AS kind;
  ALTER TABLE tasks ENABLE TRIGGER zz_tasks_publish_created;
  INSERT INTO conversations (id, user_id)
  SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'ada' FROM generate_series(0, ${CONVERSATIONS - 1}) AS n;
  ANALYZE`;
