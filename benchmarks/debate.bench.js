// Rating a debate and recording usage beside interactive transactions of Prisma that do the same, and appending stream events against
// psql's \copy of the same rows into the same table with the same indexes. The transactions run as the administrator, because the app role
// writes only by functions.
const { randomUUID } = require('node:crypto');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { besidePrisma, inTransaction } = require('./beside-prisma.js');
const { rateRow, seconds, takeTurns } = require('./measure.js');
const { withServiceDatabase } = require('./service-database.js');

const AGENTS = 200;
const EVENTS = 100_000;
const BATCH = 5_000;
const START = 1500;

exports.run = ({ runs, seconds: callSeconds = 3, events = EVENTS, ...context }) =>
  withServiceDatabase(context, 'debate', async function* measure(urls) {
    const { openDebate } = require('@azora/debate');
    const [debate, administrator] = [openDebate({ url: urls.app }), openDebate({ url: urls.admin })];
    try {
      yield* besidePrisma({
        what: 'recordMatch',
        ...{ ours: () => rate(debate), prisma: () => rateByPrisma(administrator), verify: () => verify(administrator) },
        ...{ runs, seconds: callSeconds, budget: '≥ 3' },
      });
      yield* besidePrisma({
        what: 'recordUsage, 10 events',
        ...{ ours: () => use(debate), prisma: () => useByPrisma(administrator) },
        ...{ runs, seconds: callSeconds, budget: '≥ 1.5' },
      });
      yield await appending({ debate, administrator, admin: urls.admin }, { runs, events });
    } finally {
      await Promise.all([debate.close(), administrator.close()]);
    }
  });

/** Two of the agents, and who won. */
function drawMatch() {
  const first = Math.floor(Math.random() * AGENTS);
  const second = (first + 1 + Math.floor(Math.random() * (AGENTS - 1))) % AGENTS;
  return { names: [`agent-${first}`, `agent-${second}`].sort(), debateId: randomUUID() };
}

function rate(debate) {
  const { recordMatch } = require('@azora/debate');
  const { names, debateId } = drawMatch();
  return recordMatch(debate, { debateId, scores: { [names[0]]: 1, [names[1]]: 0 }, domain: 'bench' });
}

/** As most users of Prisma would write it, with the locks that keep updates from being lost. */
function rateByPrisma({ prisma }) {
  const { names, debateId } = drawMatch();
  return inTransaction(prisma, async (tx) => {
    if ((await tx.ratingMatch.findUnique({ where: { debateId } })) !== null) return;
    await tx.agentRating.createMany({ data: names.map((agentName) => ({ agentName })), skipDuplicates: true });
    const rows =
      await tx.$queryRaw`SELECT agent_name, elo, domain_elos FROM ratings WHERE agent_name = ANY (${names}) ORDER BY agent_name FOR UPDATE`;
    const change = changeOf(Number(rows[0].elo), Number(rows[1].elo));
    const inDomain = changeOf(rows[0].domain_elos.bench ?? START, rows[1].domain_elos.bench ?? START);
    await tx.ratingMatch.create({
      data: {
        ...{ debateId, winner: names[0], participants: names, domain: 'bench', kFactor: 32 },
        scores: { [names[0]]: 1, [names[1]]: 0 },
        eloChanges: { [names[0]]: change, [names[1]]: -change },
        domainChanges: { [names[0]]: inDomain, [names[1]]: -inDomain },
      },
    });
    for (const [index, row] of rows.entries()) {
      const sign = index === 0 ? 1 : -1;
      const domainElo = Math.round(((row.domain_elos.bench ?? START) + sign * inDomain) * 10_000) / 10_000;
      const { elo } = await tx.agentRating.update({
        where: { agentName: row.agent_name },
        data: {
          elo: { increment: sign * change },
          domainElos: { ...row.domain_elos, bench: domainElo },
          ...{ wins: { increment: index === 0 ? 1 : 0 }, losses: { increment: index }, debatesCount: { increment: 1 } },
        },
      });
      await tx.ratingHistory.create({ data: { agentName: row.agent_name, elo, debateId, domain: 'bench', domainElo } });
    }
    const payload = { debateId, winner: names[0], participants: names };
    await tx.$executeRaw`SELECT publish_event('debate.match-rated.v1', ${debateId}, ${payload}::jsonb, NULL)`;
  });
}

function changeOf(elo, other) {
  return Math.round(32 * (1 - 1 / (1 + 10 ** ((other - elo) / 400))) * 10_000) / 10_000;
}

async function verify({ pool }) {
  const { rows } = await pool.query('SELECT sum(elo) - 1500 * count(*) AS rest FROM ratings');
  if (Number(rows[0].rest) !== 0) throw new Error(`the ratings are inconsistent by ${rows[0].rest}`);
}

const usage = () =>
  Array.from({ length: 10 }, () => ({ orgId: 'org', eventType: 'debate', count: 1, idempotencyKey: randomUUID() }));

function use(debate) {
  const { recordUsage } = require('@azora/debate');
  return recordUsage(debate, { events: usage() });
}

/** Checks that a key that exists belongs to the same event. */
function useByPrisma({ prisma }) {
  const events = usage();
  return inTransaction(prisma, async (tx) => {
    const { count } = await tx.usageEvent.createMany({ data: events, skipDuplicates: true });
    const found = await tx.usageEvent.findMany({
      where: { idempotencyKey: { in: events.map((it) => it.idempotencyKey) } },
    });
    if (found.length !== events.length) throw new Error('a key belongs to another event');
    return count;
  });
}

async function appending({ debate, administrator, admin }, { runs, events }) {
  const { appendEvents } = require('@azora/debate');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-events-'));
  let turn = 0;
  try {
    const file = path.join(folder, 'events.copy');
    const rates = await takeTurns(
      runs,
      {
        ours: async () => {
          turn += 1;
          const started = performance.now();
          for (let first = 0; first < events; first += BATCH) {
            const batch = Array.from({ length: Math.min(BATCH, events - first) }, () => ({
              eventType: 'task_complete',
              eventData: { task: 1 },
            }));
            await appendEvents(debate, {
              loopId: `bench-${turn}`,
              cycle: 1,
              events: batch,
              idempotencyKey: randomUUID(),
            });
          }
          return (events * 1_000) / (performance.now() - started);
        },
        peer: () => {
          writeFileSync(file, copyText(turn, events));
          const columns = 'loop_id, cycle, sequence, event_type, event_data, timestamp, created_at';
          const copy = [
            '-X',
            '-q',
            '-v',
            'ON_ERROR_STOP=1',
            '-d',
            admin,
            '-c',
            `\\copy stream_events (${columns}) FROM '${file}'`,
          ];
          return events / seconds('psql', copy);
        },
      },
      () => administrator.pool.query('DELETE FROM stream_events'),
    );
    const what = `appendEvents, ${events.toLocaleString('en')} events, ${BATCH.toLocaleString('en')} a call with a key`;
    return rateRow(what, rates.ours, rates.peer, 'psql \\copy of the same rows', '≥ 0.3');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The events in COPY's text format, as the store would write them. */
function copyText(turn, events) {
  const now = new Date().toISOString();
  const rows = Array.from({ length: events }, (_, n) =>
    [`copied-${turn}`, 1, n + 1, 'task_complete', '{"task": 1}', now, now].join('\t'),
  );
  return `${rows.join('\n')}\n`;
}
