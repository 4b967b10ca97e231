// Recommendations among few and among many interactions, a refresh of changed people against a recount of all pairs, and track against
// an interactive transaction of Prisma. People use mostly the items of one of 50 topics, the first items of a topic more often.
// NEXUS_INTERACTIONS is the large number; 1,000,000 take several minutes.
const { randomUUID } = require('node:crypto');
const { Client } = require('pg');
const { besidePrisma, CLIENTS, inTransaction } = require('./beside-prisma.js');
const { takeTurns } = require('./measure.js');
const { withServiceDatabase } = require('./service-database.js');

const FEW = 10_000;
const MANY = Number(process.env.NEXUS_INTERACTIONS ?? 200_000);
const PER_PERSON = 25;
const ASKS = 200;
const CHANGED = 100;
const EVENTS = 5;

const PEOPLE = `
  INSERT INTO user_profiles (id, user_id, created_at) SELECT 'bench-' || n, 'user-' || n, now() FROM generate_series($1::int, $2::int) AS n`;
const INTERACTIONS = `
  INSERT INTO interactions (id, profile_id, event_id, kind, item_type, item_id, occurred_at, created_at)
  SELECT 'bench-' || n || '-' || k, 'bench-' || n, k, (ARRAY['view', 'view', 'click', 'complete'])[1 + floor(4 * random())],
    'course', 'course-' || CASE WHEN random() < 0.8 THEN n % 50 * 100 + floor(100 * random() ^ 1.5) ELSE floor(5000 * random() ^ 1.5) END,
    now() - random() * interval '90 days', now()
  FROM generate_series($1::int, $2::int) AS n, generate_series(1, ${PER_PERSON}) AS k`;
const RECOUNT = `
  CREATE TEMP TABLE recounted ON COMMIT DROP AS
  SELECT a.item_id AS first_id, b.item_id AS second_id, sum(least(a.counted, b.counted)) AS weight
  FROM profile_items AS a JOIN profile_items AS b ON b.profile_id = a.profile_id AND b.item_id > a.item_id
  WHERE a.counted > 0 AND b.counted > 0 GROUP BY a.item_id, b.item_id`;

exports.run = ({ runs, seconds = 3, ...context }) =>
  withServiceDatabase(context, 'nexus', (urls) => measure(urls, { runs, seconds }));

async function* measure(urls, { runs, seconds }) {
  const { openNexus } = require('@azora/nexus');
  const admin = new Client(urls.admin);
  await admin.connect();
  const [nexus, administrator] = [openNexus({ url: urls.app }), openNexus({ url: urls.admin })];
  try {
    await admin.query('SELECT setseed(0.5)');
    await fill(admin, 1, FEW / PER_PERSON);
    const few = await latencies(nexus, FEW);
    await fill(admin, FEW / PER_PERSON + 1, MANY / PER_PERSON);
    const many = await latencies(nexus, MANY);
    const floor = await times(() => nexus.query({ text: 'SELECT 1', values: [] }));
    for (const share of [0.5, 0.95]) {
      const [ours, peer, bare] = [many, few, floor].map((sorted) => sorted[Math.floor(sorted.length * share)]);
      yield {
        what: `recommend among ${MANY.toLocaleString('en')} interactions, p${share * 100}`,
        ours: `${ours.toFixed(2)} ms`,
        peer: `${peer.toFixed(2)} ms (among ${FEW.toLocaleString('en')} interactions); SELECT 1: ${bare.toFixed(2)} ms`,
        ratio: (ours / peer).toFixed(2),
        budget: share === 0.95 ? '≤ 20 ms' : '',
      };
    }
    yield await refreshRow(nexus, admin, runs);
    yield* trackRows(nexus, administrator, { runs, seconds });
  } finally {
    await Promise.all([nexus.close(), administrator.close(), admin.end()]);
  }
}

/** Adds people with their interactions, and counts them. */
async function fill(admin, first, last) {
  const people = 4_000;
  for (let from = first; from <= last; from += people) {
    const range = [from, Math.min(from + people - 1, last)];
    await admin.query(PEOPLE, range);
    await admin.query(INTERACTIONS, range);
  }
  await admin.query('ANALYZE');
  for (let done = 1; done > 0; ) ({ done } = (await admin.query('SELECT refresh_profiles(500) AS done')).rows[0]);
  await admin.query('VACUUM ANALYZE');
}

/** The times of recommendations to people with a history, in milliseconds, ascending. */
async function latencies(nexus, interactions) {
  const { recommend } = require('@azora/nexus');
  const people = interactions / PER_PERSON;
  const ask = (n) => recommend(nexus, { userId: `user-${1 + ((n * 7_919) % people)}`, limit: 10 });
  for (let n = 0; n < 20; n += 1) await ask(n);
  return times(async (n) => {
    const found = await ask(n);
    if (found[0]?.source !== 'co-occurrence') throw new Error('a person with a history got no related items');
  });
}

/** The times of calls one after the other, in milliseconds, ascending. */
async function times(call) {
  const all = [];
  for (let n = 20; n < 20 + ASKS; n += 1) {
    const started = process.hrtime.bigint();
    await call(n);
    all.push(Number(process.hrtime.bigint() - started) / 1e6);
  }
  return all.sort((one, other) => one - other);
}

async function refreshRow(nexus, admin, runs) {
  const { refreshProfiles, track } = require('@azora/nexus');
  const timed = async (work) => {
    const started = process.hrtime.bigint();
    await work();
    return Number(process.hrtime.bigint() - started) / 1e6;
  };
  const changed = Array.from({ length: CHANGED }, (_, n) => `user-${n + 1}`);
  const medians = await takeTurns(
    runs,
    {
      ours: () => timed(() => refreshProfiles(nexus, { limit: CHANGED })),
      peer: () => timed(() => admin.query(RECOUNT)),
    },
    () => track(nexus, { interactions: changed.map((userId) => event(userId)) }),
  );
  return {
    what: `refreshProfiles, ${CHANGED} people`,
    ours: `${medians.ours.toFixed(0)} ms`,
    peer: `${medians.peer.toFixed(0)} ms (a recount of all pairs)`,
    ratio: (medians.ours / medians.peer).toFixed(2),
    budget: '',
  };
}

let events = 0;
function event(userId) {
  events += 1;
  const itemId = `course-${(events * 31) % 5_000}`;
  return { userId, eventId: randomUUID(), kind: 'click', itemType: 'course', itemId };
}

async function* trackRows(nexus, administrator, { runs, seconds }) {
  const { track } = require('@azora/nexus');
  const call = (work) => (client, turn) => {
    const userId = `user-${1 + ((client + CLIENTS * turn) % (FEW / PER_PERSON))}`;
    const interactions = Array.from({ length: EVENTS }, () => event(userId));
    return work(userId, interactions);
  };
  const ours = call((_, interactions) => track(nexus, { interactions }));
  const prisma = call(byPrisma(administrator));
  const what = `track, ${EVENTS} interactions a call`;
  yield* besidePrisma({ what, ours, prisma, runs, seconds, budget: '≥ 1' });
}

/** As most users of Prisma would write it; the triggers of the tables do the rest for both. It runs as the administrator. */
function byPrisma({ prisma }) {
  return (userId, interactions) =>
    inTransaction(prisma, async (tx) => {
      const { id: profileId } = await tx.userProfile.upsert({ where: { userId }, create: { userId }, update: {} });
      const eventId = { in: interactions.map((it) => it.eventId) };
      const known = await tx.interaction.findMany({ where: { profileId, eventId }, select: { eventId: true } });
      const isNew = (it) => !known.some((earlier) => earlier.eventId === it.eventId);
      const data = interactions.filter(isNew).map(({ userId: _, ...it }) => ({ ...it, profileId }));
      await tx.interaction.createMany({ data, skipDuplicates: true });
    });
}
