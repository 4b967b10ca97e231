// A worker claims a step of a story and completes it, against interactive transactions of Prisma that do the same: they lock the story,
// count the running steps, take a ready one, write the attempt and the events, and derive the status of the story. The transactions
// run as the administrator without the triggers that would derive it again, because the app role writes only by functions. A claim
// without a story finds its work among all stories; a claim of a given story is its peer.
const { randomUUID } = require('node:crypto');
const { middle, rateOf, rateRow, takeTurns } = require('./measure.js');
const { withServiceDatabase } = require('./service-database.js');

const STORIES = 2_000;
const STEPS = 50;
const CLIENTS = 8;
const LEASE_MS = 3_600_000;

exports.run = ({ runs, seconds = 3, ...context }) =>
  withServiceDatabase(context, 'story', (urls) => measure(urls, { runs, seconds }));

async function* measure({ app, admin }, { runs, seconds }) {
  const { openStory, reconcile } = require('@azora/story');
  const [stories, peer] = [openStory({ url: app }), openStory({ url: withoutTriggers(admin) })];
  try {
    await peer.pool.query(GIVEN);
    const { rows } = await peer.pool.query('SELECT id FROM stories ORDER BY created_at, id');
    const ids = rows.map(({ id }) => id);
    const half = ids.length / 2;
    const cpu = { ours: [], prisma: [] };
    const load = (way, work) => async () => {
      const before = process.cpuUsage();
      const { perSecond, done } = await rateOf({ clients: CLIENTS, seconds }, work);
      const { user, system } = process.cpuUsage(before);
      cpu[way].push((user + system) / done);
      return perSecond;
    };
    const rates = await takeTurns(runs, {
      ours: load('ours', worker(stories, ids.slice(0, half))),
      prisma: load('prisma', byPrisma(peer, ids.slice(half))),
    });
    const what = `claimReadySteps and completeStep, ${CLIENTS} clients`;
    yield rateRow(what, rates.ours, rates.prisma, 'two interactive transactions of Prisma', '≥ 2');
    const micros = (values) => `${Math.round(middle(values))} µs`;
    yield {
      what: `${what}, CPU of the client`,
      ours: micros(cpu.ours),
      peer: `${micros(cpu.prisma)} (two interactive transactions of Prisma)`,
      ratio: (middle(cpu.ours) / middle(cpu.prisma)).toFixed(2),
      budget: '≤ 0.5',
    };
    // Claims of any story take the oldest ones, whose steps they use up.
    yield await searchRow({ stories, ids: ids.slice(half / 2, half), runs, seconds });
    const wrong = await reconcile(stories);
    if (wrong.length > 0) throw new Error(`the stories are inconsistent: ${JSON.stringify(wrong.slice(0, 5))}`);
  } finally {
    await Promise.all([stories.close(), peer.close()]);
  }
}

function withoutTriggers(url) {
  const changed = new URL(url);
  changed.searchParams.set('options', '-c session_replication_role=replica');
  return changed.href;
}

let turns = 0;
const nextOf = (list) => {
  turns += 1;
  return list[turns % list.length];
};

function worker(stories, ids) {
  const { claimReadySteps, completeStep } = require('@azora/story');
  return async () => {
    const [step] = await claimReadySteps(stories, { storyId: nextOf(ids), agentId: 'agent', leaseMs: LEASE_MS });
    if (step === undefined) throw new Error('no step was ready');
    await completeStep(stories, { claimId: step.claimId, output: 'done' });
  };
}

/** As most users of Prisma would write it. */
function byPrisma({ prisma }, ids) {
  const publish = (tx, name, storyId, data) =>
    tx.$queryRaw`SELECT publish_event(${`story.${name}.v1`}, ${storyId}, ${{ storyId, ...data }}::jsonb, NULL)::text`;
  const claimStep = (storyId, claimId) =>
    prisma.$transaction(async (tx) => {
      const [story] = await tx.$queryRaw`SELECT * FROM stories WHERE id = ${storyId}::uuid FOR NO KEY UPDATE`;
      const now = new Date();
      const running = await tx.storyStep.count({ where: { storyId, status: 'Running', leaseUntil: { gt: now } } });
      if (story.status !== 'Executing' || running >= story.max_parallelism) throw new Error('no step is ready');
      const step = await tx.storyStep.findFirstOrThrow({
        where: { storyId, wave: story.current_wave, status: 'Pending' },
        orderBy: { order: 'asc' },
      });
      const leaseUntil = new Date(now.getTime() + LEASE_MS);
      const attempts = step.attempts + 1;
      await tx.storyStep.update({
        where: { id: step.id },
        data: { status: 'Running', claimId, leaseUntil, attempts, assignedAgentId: 'agent', startedAt: now },
      });
      const attempt = { stepId: step.id, storyId, number: attempts, agentId: 'agent', startedAt: now, leaseUntil };
      await tx.stepAttempt.create({ data: { id: claimId, ...attempt } });
      await publish(tx, 'step-started', storyId, { stepId: step.id, wave: step.wave, attempt: attempts });
    });
  const completeStep = (claimId) =>
    prisma.$transaction(async (tx) => {
      const { stepId, storyId } = await tx.stepAttempt.findUniqueOrThrow({ where: { id: claimId } });
      await tx.$queryRaw`SELECT 1 FROM stories WHERE id = ${storyId}::uuid FOR NO KEY UPDATE`;
      const now = new Date();
      const attempt = await tx.stepAttempt.findUniqueOrThrow({ where: { id: claimId } });
      if (attempt.endedAt !== null || attempt.leaseUntil <= now) throw new Error('the lease is lost');
      const open = await tx.storyTask.count({ where: { stepId, status: { notIn: ['Completed', 'Skipped'] } } });
      if (open > 0) throw new Error('tasks are open');
      const outcome = { endedAt: now, outcome: 'Completed', outcomeHash: '0'.repeat(64) };
      await tx.stepAttempt.update({ where: { id: claimId }, data: outcome });
      const done = { status: 'Completed', claimId: null, leaseUntil: null, completedAt: now, output: 'done' };
      const step = await tx.storyStep.update({ where: { id: stepId }, data: done });
      const left = await tx.storyStep.findFirst({
        where: { storyId, status: { in: ['Pending', 'Running', 'Failed'] } },
        orderBy: { wave: 'asc' },
      });
      const status = left === null ? 'ReadyToComplete' : 'Executing';
      await tx.story.update({ where: { id: storyId }, data: { status, currentWave: left?.wave ?? step.wave } });
      await publish(tx, 'step-completed', storyId, { stepId, wave: step.wave, attempt: step.attempts });
    });
  return async () => {
    const claimId = randomUUID();
    await claimStep(nextOf(ids), claimId);
    await completeStep(claimId);
  };
}

/** What it costs to find a story: a claim of any story beside a claim of a given one. */
async function searchRow({ stories, ids, runs, seconds }) {
  const { claimReadySteps, completeStep } = require('@azora/story');
  const rates = await takeTurns(runs, {
    any: async () => {
      const { perSecond } = await rateOf({ clients: CLIENTS, seconds }, async () => {
        const [step] = await claimReadySteps(stories, { agentId: 'agent', leaseMs: LEASE_MS });
        if (step === undefined) throw new Error('no step was ready');
        await completeStep(stories, { claimId: step.claimId });
      });
      return perSecond;
    },
    given: async () => (await rateOf({ clients: CLIENTS, seconds }, worker(stories, ids))).perSecond,
  });
  const what = `claimReadySteps of any story and completeStep, ${CLIENTS} clients`;
  return rateRow(what, rates.any, rates.given, 'of a given story', '≥ 0.5');
}

const GIVEN = `
  INSERT INTO stories (title, status, current_wave, max_parallelism)
  SELECT 'Story ' || n, 'Executing', 1, ${CLIENTS} FROM generate_series(1, ${STORIES}) AS n;
  INSERT INTO story_steps (story_id, "order", name, capability, wave)
  SELECT s.id, n, 'Step ' || n, 'coding', 1 FROM stories AS s, generate_series(1, ${STEPS}) AS n;
  ANALYZE`;
