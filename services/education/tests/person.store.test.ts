/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  completeCourse,
  type Education,
  erasePerson,
  exportPerson,
  findStudent,
  getEnrollment,
  gradeSubmission,
  openEducation,
  recordPayment,
  recordProgress,
  registerStudent,
  regradeSubmission,
  reserveSeat,
  restoreStudent,
  revokeCertificate,
  submitAssessment,
  verifyCertificate,
} from '../src';
import { fresh, givenCourse, givenEnrollment, givenStores, HOUR_MS } from './education-given';

describe('the data of a person', () => {
  const db = useDatabase('education');
  let education: Education;
  beforeAll(() => {
    education = openEducation({ url: db().url });
  });
  afterAll(() => education.close());

  /** A student with rows in every table. */
  async function givenPerson() {
    const [userId, name] = [fresh('user'), fresh('Ada')];
    const { id: studentId } = await registerStudent(education, {
      userId,
      displayName: name,
      country: 'ZA',
      gradeLevel: 9,
    });
    const done = await givenCourse(education, { assessment: { title: 'Essay' } });
    const { id: doneId } = await givenEnrollment(education, done.courseId, { studentId });
    for (const moduleId of done.moduleIds) {
      await recordProgress(education, { enrollmentId: doneId, moduleId, completedLessons: 2 });
    }
    const answers = { essay: `${name} lives here` };
    const submission = await submitAssessment(education, {
      enrollmentId: doneId,
      moduleId: done.moduleIds[0],
      answers,
      idempotencyKey: fresh('k'),
    });
    await gradeSubmission(education, {
      submissionId: submission.id,
      score: 90,
      feedback: `Well done, ${name}`,
      gradedById: 'teacher',
    });
    const certificate = await completeCourse(education, { enrollmentId: doneId });
    const paid = await givenCourse(education, { price: '40' });
    const active = await givenEnrollment(education, paid.courseId, { studentId });
    const open = await givenEnrollment(education, (await givenCourse(education, { price: '7' })).courseId, {
      studentId,
      isPaid: false,
    });
    const held = await givenCourse(education, { price: '1' });
    await reserveSeat(education, {
      studentId,
      courseId: held.courseId,
      expiresIn: HOUR_MS,
      idempotencyKey: fresh('k'),
    });
    return { userId, name, studentId, certificate, active, open };
  }

  it('is exported from every table', async () => {
    const { userId } = await givenPerson();
    const exported = await exportPerson(education, userId);

    const filled = Object.entries(exported).filter(([, rows]) => rows.length > 0);
    expect(filled.map(([name]) => name).sort()).toEqual(
      [
        'certificates',
        'enrollments',
        'grades',
        'learningProgress',
        'seatReservations',
        'students',
        'submissions',
      ].sort(),
    );
    expect(Object.keys(exported)).toEqual(expect.arrayContaining(['wallets', 'transactions', 'courses', 'auditLogs']));
    expect(Object.values(await exportPerson(education, 'nobody')).flat()).toEqual([]);
  });

  it('is counted when it is erased from the grades and certificates of others', async () => {
    const { certificate } = await givenPerson();
    const teacher = fresh('teacher');
    const graded = await givenCourse(education, { assessment: { title: 'Essay' } });
    const { id: enrollmentId } = await givenEnrollment(education, graded.courseId);
    const submission = { enrollmentId, moduleId: graded.moduleIds[0], answers: {}, idempotencyKey: fresh('k') };
    const { id: submissionId } = await submitAssessment(education, submission);
    await gradeSubmission(education, { submissionId, score: 70, gradedById: teacher });
    await regradeSubmission(education, { submissionId, score: 80, gradedById: teacher });
    const revoked = { certificateId: certificate.id, reason: 'misconduct', revokedById: teacher } as const;
    await revokeCertificate(education, revoked);

    expect(await erasePerson(education, teacher)).toEqual({ students: 0, grades: 2, certificates: 1 });
    expect(await erasePerson(education, teacher)).toEqual({ students: 0, grades: 0, certificates: 0 });
    expect((await exportPerson(education, teacher))['gradesGiven']).toEqual([]);
  });

  it('is erased from every row but those of money, once, and ends what is open', async () => {
    const { userId, name, studentId, certificate, active, open } = await givenPerson();
    const stores = givenStores(db(), 4);
    const erased = await Promise.all(stores.map((store) => erasePerson(store, userId)));
    await Promise.all(stores.map((store) => store.close()));
    expect(erased.map(({ students }) => students).sort()).toEqual([0, 0, 0, 1]);

    const tables = await db().admin(`SELECT relname::text AS "table" FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT IN ('_prisma_migrations')`);
    for (const { table } of tables) {
      const [row] = await db().admin(`SELECT string_agg(to_jsonb(t)::text, ' ') AS text FROM "${table}" AS t`);
      expect([table, String(row?.['text']).includes(name)]).toEqual([table, false]);
    }
    expect(await findStudent(education, { userId })).toBeNull();
    expect(Object.values(await exportPerson(education, userId)).flat()).toEqual([]);
    expect(await getEnrollment(education, { enrollmentId: active.id })).toMatchObject({ status: 'dropped' });
    expect(await verifyCertificate(education, { verificationCode: certificate.verificationCode })).toMatchObject({
      holderName: 'Erased',
      isValid: true,
    });
    await expect(restoreStudent(education, { studentId })).rejects.toMatchObject({
      code: 'EDUCATION.STUDENT_NOT_FOUND',
    });
    const [held] = await db().admin(
      "SELECT count(*)::int FROM seat_reservations WHERE student_id = $1 AND status = 'held'",
      [studentId],
    );
    expect(held?.['count']).toBe(0);
    // The payment of the open enrollment arrives after the erasure, and is given back.
    const late = await recordPayment(education, { enrollmentId: open.id, transactionId: fresh('late') });
    expect(late.refundAmount?.toString()).toBe('7');
    // The user may come back as somebody new.
    expect((await registerStudent(education, { userId, displayName: 'Ben' })).id).not.toBe(studentId);
  });
});
