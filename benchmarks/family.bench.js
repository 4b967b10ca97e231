// Appending a message against an interactive transaction of Prisma that does the same, and the memory of a user with many messages
// among many others: recall and time against the ranking of PostgreSQL's full-text search with the same index.
// FAMILY_MESSAGES is the number of messages of other users.
const { randomUUID } = require('node:crypto');
const { besidePrisma, inTransaction } = require('./beside-prisma.js');
const { withServiceDatabase } = require('./service-database.js');

const TALKS = 400;
const OWN = 10_000;
const OTHERS = Number(process.env.FAMILY_MESSAGES ?? 100_000);
const QUESTIONS = 200;
const HASH = '0'.repeat(64);

exports.run = ({ runs, seconds = 3, ...context }) =>
  withServiceDatabase(context, 'family', (urls) => measure(urls, { runs, seconds }));

async function* measure({ app, admin }, { runs, seconds }) {
  const { openFamily, reconcile } = require('@azora/family');
  const family = openFamily({ url: app, slowQueryMs: 60_000 });
  const administrator = openFamily({ url: admin, slowQueryMs: 60_000, pool: { statementTimeoutMs: 600_000 } });
  try {
    await administrator.pool.query(GIVEN);
    yield* appendRows(family, administrator, { runs, seconds });
    const differences = await reconcile(administrator);
    if (differences.length > 0) throw new Error(`inconsistent: ${JSON.stringify(differences.slice(0, 5))}`);
    for (const statement of fill()) await administrator.pool.query(statement);
    yield* memoryRows(family);
  } finally {
    await Promise.all([family.close(), administrator.close()]);
  }
}

async function* appendRows(family, administrator, { runs, seconds }) {
  const { appendMessage } = require('@azora/family');
  let said = 0;
  const next = () => {
    said += 1;
    return { conversationId: `talk-${said % TALKS}`, userId: `user-${said % TALKS}` };
  };
  const content = 'I love my garden, but the goats of the neighbour ate the marigolds again.';
  yield* besidePrisma({
    what: 'appendMessage',
    ours: () => appendMessage(family, { ...next(), content, idempotencyKey: randomUUID() }),
    prisma: () => byPrisma(administrator, next(), content),
    ...{ runs, seconds, budget: '≥ 1.5' },
  });
}

/** As most users of Prisma would write it. The triggers count the words here too. */
function byPrisma({ prisma }, { conversationId, userId }, content) {
  const { analyzeSentiment } = require('@azora/family');
  return inTransaction(prisma, async (tx) => {
    await tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtextextended(${userId}, 0))::text`;
    const [talk] = await tx.$queryRaw`SELECT * FROM conversations WHERE id = ${conversationId} FOR NO KEY UPDATE`;
    const idempotencyKey = randomUUID();
    const earlier = await tx.message.findFirst({ where: { conversationId, idempotencyKey } });
    if (earlier !== null || talk.ended_at !== null) throw new Error('cannot append');
    const member = await tx.familyMember.findUniqueOrThrow({ where: { id: talk.member_id } });
    const sentiment = analyzeSentiment(content).compound;
    const [id, position] = [randomUUID(), talk.message_count + 1];
    const message = { id, conversationId, userId, position, role: 'user', content, sentiment, idempotencyKey };
    await tx.message.create({ data: { ...message, bodyHash: HASH } });
    const valence = (talk.valence + sentiment) / 2;
    await tx.conversation.update({
      where: { id: conversationId },
      data: { messageCount: position, valence, mood: valence >= 0.3 ? 'happy' : member.mood },
    });
    await tx.$queryRaw`SELECT publish_event('family.message-added.v1', ${conversationId}, ${{ messageId: id }}::jsonb, NULL)::text`;
  });
}

async function* memoryRows(family) {
  const { assembleContext, recallMemories } = require('@azora/family');
  const { rows: facts } = await family.pool.query(
    "SELECT id, content FROM messages WHERE conversation_id = 'long' AND content LIKE '% fact %' ORDER BY position LIMIT $1",
    [QUESTIONS],
  );
  const ours = await answers(facts, async (text) =>
    (await recallMemories(family, { userId: 'keeper', text })).map(({ message }) => message.id),
  );
  const peer = await answers(facts, async (text) => {
    const { rows } = await family.pool.query(FULL_TEXT, [text.replaceAll(' ', ' or '), 'keeper']);
    return rows.map(({ id }) => id);
  });
  const among = `${OWN.toLocaleString('en')} messages of a user among ${OTHERS.toLocaleString('en')} others`;
  yield {
    what: `recallMemories, recall@10 of ${QUESTIONS} facts in ${among}`,
    ours: ours.recall.toFixed(3),
    peer: `${peer.recall.toFixed(3)} (ts_rank over the same index)`,
    ratio: (ours.recall / peer.recall).toFixed(2),
    budget: '≥ 0.85',
  };
  yield timeRow('recallMemories, p95', ours.times, peer.times, 'ts_rank over the same index');
  const contexts = [];
  const { rows } = await family.pool.query("SELECT max(position) AS last FROM messages WHERE conversation_id = 'long'");
  for (let n = 0; n < QUESTIONS; n += 1) {
    const position = rows[0].last - n;
    contexts.push(await timed(() => assembleContext(family, { conversationId: 'long', userId: 'keeper', position })));
  }
  yield timeRow('assembleContext, p95', contexts, peer.times, 'ts_rank over the same index');
}

/** Three words of each fact, one of them with a typing error. */
async function answers(facts, ask) {
  const times = [];
  let found = 0;
  for (const [n, { id, content }] of facts.entries()) {
    const words = content.split(' ').filter((word) => word !== 'fact');
    const typo = words[n % 3];
    const text = words
      .slice(0, 3)
      .map((word) => (word === typo ? word.slice(0, -2) + word.slice(-1) : word))
      .join(' ');
    const ids = [];
    times.push(await timed(async () => ids.push(...(await ask(text)))));
    if (ids.slice(0, 10).includes(id)) found += 1;
  }
  return { times, recall: found / facts.length };
}

async function timed(work) {
  const started = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - started) / 1e6;
}

function timeRow(what, ours, peer, name) {
  const p95 = (times) => [...times].sort((one, other) => one - other)[Math.floor(times.length * 0.95)];
  return {
    what,
    ours: `${p95(ours).toFixed(1)} ms`,
    peer: `${p95(peer).toFixed(1)} ms (${name})`,
    ratio: (p95(ours) / p95(peer)).toFixed(2),
    budget: '≤ 20 ms',
  };
}

const FULL_TEXT = `SELECT id FROM messages WHERE search @@ websearch_to_tsquery('english', $1) AND user_id = $2
  ORDER BY ts_rank(search, websearch_to_tsquery('english', $1)) DESC LIMIT 10`;

const GIVEN = `
  INSERT INTO family_members (id, slug, name, role, background, traits)
  VALUES ('elara', 'elara', 'Elara', 'Teacher', 'Taught the village.', '{wise}');
  INSERT INTO conversations (id, user_id, member_id) SELECT 'talk-' || n, 'user-' || n, 'elara' FROM generate_series(0, ${TALKS - 1}) AS n;
  ANALYZE`;

/**
 * Messages of 12 words out of 3,000, the first of them common and the last rare, as in a language. Every 40th message of the
 * user is a fact of three rarer words.
 */
function* fill() {
  // The number of the word keeps the aggregate in the subquery: one of a column of the outer query alone belongs to the outer query.
  const words = (
    salt,
  ) => `(SELECT string_agg('w' || translate((floor(3000 * random() ^ 3) + 0 * ${salt} + 0 * word)::int::text,
    '0123456789', 'abcdefghij') || 'o', ' ') FROM generate_series(1, 12) AS word)`;
  const rare = (salt) =>
    `'r' || translate((floor(3000 * random()) + 1000 + 0 * ${salt})::int::text, '0123456789', 'klmnopqrst') || 'ane'`;
  yield 'SELECT setseed(0.5)';
  yield `INSERT INTO conversations (id, user_id, member_id, message_count) VALUES ('long', 'keeper', 'elara', ${OWN});
    INSERT INTO messages (id, conversation_id, user_id, position, role, content)
    SELECT 'own-' || n, 'long', 'keeper', n, 'user', CASE WHEN n % 40 = 0
      THEN ${rare('n')} || ' ' || ${rare('n')} || ' ' || ${rare('n')} || ' fact ' || ${words('n')} ELSE ${words('n')} END
    FROM generate_series(1, ${OWN}) AS n`;
  const talks = Math.ceil(OTHERS / 200);
  yield `INSERT INTO conversations (id, user_id, member_id, message_count)
    SELECT 'other-' || n, 'other-' || n, 'elara', 200 FROM generate_series(1, ${talks}) AS n`;
  for (let from = 1; from <= talks; from += 50) {
    yield `INSERT INTO messages (id, conversation_id, user_id, position, role, content)
      SELECT 'other-' || t || '-' || n, 'other-' || t, 'other-' || t, n, 'user', ${words('n')}
      FROM generate_series(${from}, ${Math.min(from + 49, talks)}) AS t, generate_series(1, 200) AS n`;
  }
  yield 'VACUUM ANALYZE messages';
  yield 'ANALYZE';
}
