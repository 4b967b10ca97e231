// Enrollments against an interactive transaction of Prisma that does the same: it checks the student, the course, earlier enrollments
// and prerequisites, and writes the request, the reservation, the enrollment and both events. The transaction runs as the
// administrator, because the app role writes only by functions. Each pair of a student and a course is used once.
const { randomUUID } = require('node:crypto');
const { rateOf, rateRow, takeTurns } = require('./measure.js');
const { withServiceDatabase } = require('./service-database.js');

const STUDENTS = 4_000;
const COURSES = 100;
const CLIENTS = 8;
const PRICE = '40';
const HASH = '0'.repeat(64);

exports.run = ({ runs, seconds = 3, ...context }) =>
  withServiceDatabase(context, 'education', (urls) => measure(urls, { runs, seconds }));

async function* measure({ app, admin }, { runs, seconds }) {
  const { openEducation } = require('@azora/education');
  const [education, administrator] = [openEducation({ url: app }), openEducation({ url: admin })];
  try {
    await administrator.pool.query(GIVEN);
    const cpu = { ours: [], prisma: [] };
    const load = (way, work) => async () => {
      const before = process.cpuUsage();
      const { perSecond, done } = await rateOf({ clients: CLIENTS, seconds }, work);
      const { user, system } = process.cpuUsage(before);
      cpu[way].push((user + system) / done);
      return perSecond;
    };
    const rates = await takeTurns(runs, {
      ours: load('ours', enroller(education)),
      prisma: load('prisma', byPrisma(administrator)),
    });
    const { rows } = await administrator.pool.query(FAULTS);
    if (rows.length > 0) throw new Error(`the enrollments are inconsistent: ${JSON.stringify(rows.slice(0, 5))}`);
    const what = `enroll, ${CLIENTS} clients`;
    yield rateRow(what, rates.ours, rates.prisma, 'an interactive transaction of Prisma', '≥ 3');
    yield cpuRow(`${what}, CPU of the client`, cpu);
    yield await paidRow({ education, seconds, runs, enrolled: rates.ours });
  } finally {
    await Promise.all([education.close(), administrator.close()]);
  }
}

function cpuRow(what, { ours, prisma }) {
  const { middle } = require('./measure.js');
  const micros = (values) => `${Math.round(middle(values))} µs`;
  return {
    what,
    ours: micros(ours),
    peer: `${micros(prisma)} (an interactive transaction of Prisma)`,
    ratio: (middle(ours) / middle(prisma)).toFixed(2),
    budget: '≤ 0.5',
  };
}

/** The calls of education for an enrollment that mint pays: three statements instead of one. */
async function paidRow({ education, seconds, runs, enrolled }) {
  const { confirmEnrollment, recordPayment, reserveSeat } = require('@azora/education');
  const { paid } = await takeTurns(runs, {
    paid: async () => {
      const { perSecond } = await rateOf({ clients: CLIENTS, seconds }, async () => {
        const { id } = await reserveSeat(education, {
          ...nextPair('paid'),
          expiresIn: 60_000,
          idempotencyKey: randomUUID(),
        });
        await confirmEnrollment(education, { reservationId: id, holdId: `hold-${id}` });
        await recordPayment(education, { enrollmentId: id, transactionId: `payment-${id}` });
      });
      return perSecond;
    },
  });
  const what = `reserveSeat, confirmEnrollment and recordPayment, ${CLIENTS} clients`;
  return rateRow(what, paid, enrolled, 'enroll, a free course', '≥ 0.3');
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
    return prisma.$transaction(async (tx) => {
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
