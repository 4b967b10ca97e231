/** @server none */
import { type ChaosCall, type ChaosServer, callUnderKills, openChaosServer, testEffort } from '@azora/db-testkit';
import {
  cancelReservation,
  completeCourse,
  confirmEnrollment,
  dropEnrollment,
  type Education,
  enroll,
  expireReservations,
  gradeSubmission,
  openEducation,
  recordPayment,
  recordProgress,
  reserveSeat,
  submitAssessment,
} from '../src';
import { fresh, givenCourse, givenStudent } from './education-given';

const CLIENTS = 8;
const KILLS = 2 * testEffort();
const CALLS = 200;
const STUDENTS = 24;
const SEATS = 6;

interface Offer {
  readonly courseId: string;
  readonly moduleIds: readonly [string, string];
}

describe('education on a server that is killed', () => {
  let server: ChaosServer;
  let education: Education;
  let [paid, free, graded]: Offer[] = [];
  const studentIds: string[] = [];
  beforeAll(async () => {
    server = await openChaosServer('education');
    education = openEducation({ url: server.url, pool: { max: CLIENTS }, slowQueryMs: 3_600_000 });
    paid = await givenCourse(education, { price: '40', capacity: SEATS, refundDays: 14, refundMaxProgress: 50 });
    free = await givenCourse(education, { capacity: SEATS });
    graded = await givenCourse(education, { assessment: { title: 'Essay', maxAttempts: 10 } });
    for (let n = 0; n < STUDENTS; n += 1) studentIds.push(await givenStudent(education));
  });
  afterAll(async () => {
    await education.close();
    await server.close();
  });

  /** What the clients know to be written. */
  const known = { submissions: new Set<string>(), certificates: new Set<string>(), payments: new Set<string>() };
  let made = 0;

  /** Students race for the seats of two courses. */
  function next(): ChaosCall {
    made += 1;
    const studentId = studentIds[(made * 7) % STUDENTS] ?? '';
    switch (made % 6) {
      case 0:
        return ['expire', () => expireReservations(education)];
      case 1:
        return ['change', changeOf(studentId)];
      case 2:
        return ['submit', submissionOf(studentId)];
      case 3:
        return ['study', studyOf(studentId)];
      default:
        return ['pay', paymentOf(studentId, made % 4 === 0)];
    }
  }

  const reserve = (studentId: string, idempotencyKey: string, expiresIn: number) =>
    reserveSeat(education, { studentId, courseId: paid?.courseId ?? '', expiresIn, idempotencyKey });

  /** Some reservations expire before they are confirmed. */
  function paymentOf(studentId: string, isDropped: boolean): () => Promise<void> {
    const [key, transactionId, holdId] = [fresh('key'), fresh('payment'), fresh('hold')];
    const expiresIn = isDropped ? 5 : 3_600_000;
    return async () => {
      const { id } = await reserve(studentId, key, expiresIn);
      await confirmEnrollment(education, { reservationId: id, holdId });
      await recordPayment(education, { enrollmentId: id, transactionId });
      known.payments.add(transactionId);
      await dropEnrollment(education, { enrollmentId: id });
    };
  }

  function changeOf(studentId: string): () => Promise<void> {
    const key = fresh('key');
    return async () => {
      const { id } = await reserve(studentId, key, 3_600_000);
      await cancelReservation(education, { reservationId: id });
    };
  }

  function studyOf(studentId: string): () => Promise<void> {
    const request = { studentId, courseId: free?.courseId ?? '', idempotencyKey: fresh('key') };
    return async () => {
      const { id: enrollmentId } = await enroll(education, request);
      for (const moduleId of free?.moduleIds ?? [])
        await recordProgress(education, { enrollmentId, moduleId, completedLessons: 2 });
      known.certificates.add((await completeCourse(education, { enrollmentId })).id);
    };
  }

  function submissionOf(studentId: string): () => Promise<void> {
    const [request, idempotencyKey] = [
      { studentId, courseId: graded?.courseId ?? '', idempotencyKey: `enroll-${studentId}` },
      fresh('key'),
    ];
    return async () => {
      const { id: enrollmentId } = await enroll(education, request);
      const moduleId = graded?.moduleIds[0] ?? '';
      const submission = { enrollmentId, moduleId, answers: { essay: 'Text' }, idempotencyKey };
      const { id } = await submitAssessment(education, submission);
      known.submissions.add(id);
      // A repeated grade is refused, because a second grade is a regrade.
      await gradeSubmission(education, { submissionId: id, score: 40, gradedById: 'teacher' });
    };
  }

  async function check(): Promise<void> {
    const [found] = await server.admin(
      `SELECT (SELECT count(*)::int FROM assessment_submissions) AS submissions,
        (SELECT count(*)::int FROM assessment_submissions WHERE id = ANY ($1)) AS known_submissions,
        (SELECT count(*)::int FROM certificates) AS certificates,
        (SELECT count(*)::int FROM certificates WHERE id = ANY ($2)) AS known_certificates,
        (SELECT count(*)::int FROM enrollments WHERE payment_transaction_id = ANY ($3)) AS payments,
        (SELECT count(*)::int FROM enrollments WHERE payment_transaction_id IS NOT NULL) AS all_payments`,
      [[...known.submissions], [...known.certificates], [...known.payments]],
    );
    const [submissions, certificates, payments] = Object.values(known).map(({ size }) => size);
    expect(found).toEqual({
      ...{ submissions, known_submissions: submissions },
      ...{ certificates, known_certificates: certificates },
      ...{ payments, all_payments: payments },
    });
    expect(await server.admin(WRONG)).toEqual([]);
  }

  /** Courses with more seats taken than there are, progress that does not follow from the modules, and events that are missing or twice. */
  const WRONG = `
    SELECT 'seats' AS what, c.id FROM courses AS c WHERE c.capacity <
      (SELECT count(*) FROM enrollments AS e WHERE e.course_id = c.id AND e.status = 'active')
      + (SELECT count(*) FROM seat_reservations AS r WHERE r.course_id = c.id AND r.status = 'held' AND r.expires_at > clock_timestamp())
    UNION ALL
    SELECT 'progress', id FROM enrollments AS e WHERE progress <> course_progress(e.id, e.course_id)
    UNION ALL
    SELECT 'grades', s.id FROM assessment_submissions AS s WHERE (SELECT count(*) FROM grades AS g WHERE g.submission_id = s.id)
      <> (s.status = 'graded')::int
    UNION ALL
    SELECT 'events', e.id FROM enrollments AS e JOIN outbox AS o ON o.payload ->> 'enrollmentId' = e.id GROUP BY e.id
    HAVING count(*) FILTER (WHERE o.type = 'education.enrollment-confirmed.v1') <> 1
      OR count(*) FILTER (WHERE o.type = 'education.enrollment-paid.v1') <> (e.payment_transaction_id IS NOT NULL)::int
      OR count(*) FILTER (WHERE o.type = 'education.enrollment-dropped.v1') <> (e.status = 'dropped')::int
      OR count(*) FILTER (WHERE o.type = 'education.enrollment-completed.v1') <> (e.status = 'completed')::int`;

  it('keeps what it confirmed, sells no seat twice, and does each repeated call once', async () => {
    const run = { clients: CLIENTS, kills: KILLS, calls: CALLS, next, check };
    const refusals =
      /^EDUCATION\.(ALREADY_ENROLLED|COURSE_FULL|SEAT_RESERVED|RESERVATION_EXPIRED|ATTEMPTS_EXHAUSTED|GRADE_ORDER|STATUS_REFUSED)$/;
    const { done, lost } = await callUnderKills(server, { ...run, refusals });

    expect(Object.keys(done).sort()).toEqual(['change', 'expire', 'pay', 'study', 'submit']);
    expect(lost).toBeGreaterThan(0);
  });
});
