// Enrollments against an interactive transaction of Prisma that does the same: it checks the student, the course, earlier enrollments
// and prerequisites, and writes the request, the reservation, the enrollment and both events. The transaction runs as the
// administrator, because the app role writes only by functions. Each pair of a student and a course is used once.
const { randomUUID } = require('node:crypto');
const { besidePrisma, CLIENTS, inTransaction } = require('./beside-prisma.js');
const { rateOf, rateRow, takeTurns } = require('./measure.js');
const { withServiceDatabase } = require('./service-database.js');

const STUDENTS = 4_000;
const COURSES = 100;
const PRICE = '40';
const HASH = '0'.repeat(64);

exports.run = ({ runs, seconds = 3, ...context }) => {
  const withMint = (rows) => withServiceDatabase(context, 'mint', (urls) => openMintDatabase(urls, rows));
  return withServiceDatabase(context, 'education', (urls) => measure(urls, { withMint, runs, seconds }));
};

async function* measure({ app, admin }, { withMint, runs, seconds }) {
  const { openEducation } = require('@azora/education');
  const [education, administrator] = [openEducation({ url: app }), openEducation({ url: admin })];
  try {
    await administrator.pool.query(GIVEN);
    const verify = async () => {
      const { rows } = await administrator.pool.query(FAULTS);
      if (rows.length > 0) throw new Error(`the enrollments are inconsistent: ${JSON.stringify(rows.slice(0, 5))}`);
    };
    const calls = { ours: enroller(education), prisma: byPrisma(administrator), verify };
    yield* besidePrisma({ what: 'enroll', ...calls, runs, seconds, budget: '≥ 3' });
    yield* await withMint((mint) => paidRows({ education, mint, seconds, runs }));
  } finally {
    await Promise.all([education.close(), administrator.close()]);
  }
}

/** Opens the app role's store of a mint with a rich payer and a payee for each client, and yields the rows of `measure`. */
async function* openMintDatabase(urls, measure) {
  const { mint: issue, openMint, openWallet } = require('@azora/mint');
  const mint = openMint({ url: urls.app });
  try {
    const pairs = [];
    for (let client = 0; client < CLIENTS; client += 1) {
      const [from, to] = [
        await openWallet(mint, { userId: `payer-${client}`, currency: 'AZR' }),
        await openWallet(mint, { userId: `payee-${client}`, currency: 'AZR' }),
      ];
      await issue(mint, { to: from.id, amount: '1000000', idempotencyKey: `welcome-${client}` });
      pairs.push({ from: from.id, to: to.id });
    }
    yield* measure({ mint, pairs });
  } finally {
    await mint.close();
  }
}

/** An enrollment that mint pays: three statements in education and two in mint, each durable, against one transfer of the same amount. */
async function* paidRows({ education, mint: { mint, pairs: wallets }, seconds, runs }) {
  const { confirmEnrollment, enroll, recordPayment, reserveSeat } = require('@azora/education');
  const { capture, hold, transfer } = require('@azora/mint');
  const reserve = () =>
    reserveSeat(education, { ...nextPair('paid'), expiresIn: 60_000, idempotencyKey: randomUUID() });
  const rate = (work) => async () => (await rateOf({ clients: CLIENTS, seconds }, work)).perSecond;
  const rates = await takeTurns(runs, {
    paid: rate(async (client) => {
      const { id } = await reserve();
      const order = { ...wallets[client], amount: PRICE, expiresIn: 60_000, idempotencyKey: `hold-${id}` };
      const { id: holdId } = await hold(mint, order);
      await confirmEnrollment(education, { reservationId: id, holdId });
      const { id: transactionId } = await capture(mint, { holdId, idempotencyKey: `capture-${id}` });
      await recordPayment(education, { enrollmentId: id, transactionId });
    }),
    recorded: rate(async () => {
      const { id } = await reserve();
      await confirmEnrollment(education, { reservationId: id, holdId: `hold-${id}` });
      await recordPayment(education, { enrollmentId: id, transactionId: `payment-${id}` });
    }),
    free: rate(() => enroll(education, { ...nextPair('free'), idempotencyKey: randomUUID() })),
    transfer: rate((client) => transfer(mint, { ...wallets[client], amount: PRICE, idempotencyKey: randomUUID() })),
  });
  const clients = `${CLIENTS} clients`;
  yield rateRow(`enrollments paid in mint, ${clients}`, rates.paid, rates.transfer, 'mint.transfer', '≥ 0.5');
  const what = `reserveSeat, confirmEnrollment and recordPayment, ${clients}`;
  yield rateRow(what, rates.recorded, rates.transfer, 'mint.transfer', '≥ 0.5');
  yield rateRow(what, rates.recorded, rates.free, 'enroll, a free course', '≥ 0.3');
}

let pairs = 0;
/** The next student and course; free and paid courses alternate in their numbers. */
function nextPair(kind) {
  const number = pairs;
  pairs += 1;
  if (number >= STUDENTS * COURSES) throw new Error('all pairs of students and courses are used');
  return { studentId: `s${number % STUDENTS}`, courseId: `${kind}${Math.floor(number / STUDENTS)}` };
}

function enroller(education) {
  const { enroll } = require('@azora/education');
  return () => enroll(education, { ...nextPair('free'), idempotencyKey: randomUUID() });
}

/** As most users of Prisma would write it. */
function byPrisma({ prisma }) {
  return () => {
    const { studentId, courseId } = nextPair('free');
    const [id, requestKey] = [randomUUID(), randomUUID()];
    return inTransaction(prisma, async (tx) => {
      await tx.request.create({ data: { key: requestKey, operation: 'enroll', bodyHash: HASH, answerId: id } });
      const [student] = await tx.$queryRaw`SELECT status FROM students WHERE id = ${studentId} FOR NO KEY UPDATE`;
      const course = await tx.course.findUniqueOrThrow({ where: { id: courseId }, include: { prerequisites: true } });
      if (student.status !== 'active' || course.status !== 'published') throw new Error('not open');
      const earlier = await tx.enrollment.count({
        where: { studentId, courseId, status: { in: ['active', 'completed'] } },
      });
      const open = await tx.seatReservation.count({ where: { studentId, courseId, status: 'held' } });
      if (earlier + open + course.prerequisites.length > 0) throw new Error('cannot enroll');
      const [resolvedAt, expiresAt] = [new Date(), new Date(Date.now() + 60_000)];
      const seat = { id, studentId, courseId, price: 0, requestKey, status: 'confirmed', resolvedAt, expiresAt };
      await tx.seatReservation.create({ data: seat });
      await tx.enrollment.create({ data: { id, studentId, courseId } });
      for (const type of ['education.seat-reserved.v1', 'education.enrollment-confirmed.v1']) {
        await tx.$queryRaw`SELECT publish_event(${type}, ${studentId}, ${{ enrollmentId: id }}::jsonb, NULL)::text`;
      }
    });
  };
}

const GIVEN = `
  INSERT INTO students (id, user_id, display_name) SELECT 's' || n, 'user-' || n, 'Student' FROM generate_series(0, ${STUDENTS - 1}) AS n;
  INSERT INTO courses (id, slug, instructor_id, title, category, duration_hours, price, status, published_at)
  SELECT kind || n, kind || n, 'teacher', 'Course', 'Programming', 1, CASE kind WHEN 'paid' THEN ${PRICE} ELSE 0 END, 'published', now()
  FROM generate_series(0, ${COURSES - 1}) AS n, unnest(ARRAY['free', 'paid']) AS kind;
  ANALYZE`;

const FAULTS = `SELECT id FROM enrollments AS e
  WHERE NOT EXISTS (SELECT FROM seat_reservations AS s WHERE s.id = e.id AND s.status = 'confirmed')`;
