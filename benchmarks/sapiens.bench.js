// Reviews of cards against interactive transactions of Prisma that do the same: they lock the student, read the
// row, compute the next state (of a card with ts-fsrs), and write the row, the log and the profile. The transactions run as the
// administrator without the triggers that would compute the state again, because the app role writes only by functions.
const { randomUUID } = require('node:crypto');
const { besidePrisma, inTransaction } = require('./beside-prisma.js');
const { withServiceDatabase } = require('./service-database.js');

const STUDENTS = 2_000;

exports.run = ({ runs, seconds = 3, ...context }) =>
  withServiceDatabase(context, 'sapiens', (urls) => measure(urls, { runs, seconds }));

async function* measure({ app, admin }, { runs, seconds }) {
  const { openSapiens, reconcile } = require('@azora/sapiens');
  const [sapiens, administrator] = [openSapiens({ url: app }), openSapiens({ url: admin })];
  const peer = openSapiens({ url: withoutTriggers(admin) });
  try {
    await administrator.pool.query(GIVEN);
    const verify = async () => {
      const wrong = await reconcile(sapiens);
      if (wrong.length > 0) throw new Error(`the cards are inconsistent: ${JSON.stringify(wrong.slice(0, 5))}`);
    };
    const calls = { ours: reviewer(sapiens), prisma: byPrisma(peer), verify };
    yield* besidePrisma({ what: 'reviewCard (Prisma with ts-fsrs)', ...calls, runs, seconds, budget: '≥ 2' });
  } finally {
    await Promise.all([sapiens.close(), administrator.close(), peer.close()]);
  }
}

function withoutTriggers(url) {
  const changed = new URL(url);
  changed.searchParams.set('options', '-c session_replication_role=replica');
  return changed.href;
}

let turns = 0;
/** The card of the next student; ours and those of Prisma differ. */
function nextCard(kind) {
  turns += 1;
  return `${kind}${turns % STUDENTS}`;
}

/** How often each card was reviewed, so that no call reads it first. */
const reviewed = new Map();

function reviewer(sapiens) {
  const { reviewCard } = require('@azora/sapiens');
  return () => {
    const cardId = nextCard('ours');
    const number = (reviewed.get(cardId) ?? 0) + 1;
    reviewed.set(cardId, number);
    return reviewCard(sapiens, { cardId, number, rating: 'good' });
  };
}

/** As most users of Prisma would write it. */
function byPrisma({ prisma }) {
  const { fsrs, Rating, State, TypeConvert } = require('ts-fsrs');
  const scheduler = fsrs({});
  const states = ['new', 'learning', 'review', 'relearning'];
  return () => {
    const cardId = nextCard('prisma');
    return inTransaction(prisma, async (tx) => {
      await tx.$queryRaw`SELECT id FROM student_profiles WHERE student_id = ${cardId} FOR NO KEY UPDATE`;
      const card = await tx.card.findUniqueOrThrow({ where: { id: cardId } });
      const now = new Date();
      const { card: next } = scheduler.next(
        TypeConvert.card({
          ...{ due: card.dueAt, stability: card.stability, difficulty: card.difficulty, elapsed_days: 0 },
          ...{ scheduled_days: card.scheduledDays, reps: card.reviews, lapses: card.lapses, learning_steps: card.step },
          state: State[`${card.state[0].toUpperCase()}${card.state.slice(1)}`],
          last_review: card.lastReviewedAt ?? undefined,
        }),
        now,
        Rating.Good,
      );
      const memory = { stability: next.stability, difficulty: next.difficulty, dueAt: next.due };
      const number = card.reviews + 1;
      await tx.cardReview.create({
        data: { id: randomUUID(), cardId, number, rating: 'good', reviewedAt: now, ...memory },
      });
      await tx.card.update({
        where: { id: cardId },
        data: {
          ...memory,
          ...{ state: states[next.state], step: next.learning_steps, scheduledDays: next.scheduled_days },
          ...{ reviews: number, lapses: next.lapses, lastReviewedAt: now },
        },
      });
      await tx.studentProfile.update({ where: { studentId: cardId }, data: { lastActiveAt: now } });
    });
  };
}

const GIVEN = `
  INSERT INTO student_profiles (id, student_id) SELECT kind || n, kind || n
  FROM generate_series(0, ${STUDENTS - 1}) AS n, unnest(ARRAY['ours', 'prisma']) AS kind;
  INSERT INTO cards (id, student_id, front, back) SELECT student_id, student_id, 'Question', 'Answer' FROM student_profiles;
  ANALYZE`;
