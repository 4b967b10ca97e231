/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  completeCourse,
  dropEnrollment,
  type Education,
  findAssessment,
  getCertificate,
  getEnrollment,
  getSubmission,
  gradeSubmission,
  listCertificates,
  listGrades,
  listProgress,
  listSubmissions,
  openEducation,
  recordProgress,
  regradeSubmission,
  revokeCertificate,
  submitAssessment,
  updateStudent,
  verifyCertificate,
} from '../src';
import { DAY_MS, fresh, givenCourse, givenEnrollment, givenStores, outcomes } from './education-given';

const QUIZ = {
  title: 'Quiz',
  maxAttempts: 2,
  deadlineDays: 7,
  answerKey: { q1: { answer: 'A', points: 30 }, q2: { answer: [1, 2], points: 10.5 } },
};

describe('learning', () => {
  const db = useDatabase('education');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let education: Education;
  beforeAll(() => {
    education = openEducation({ url: db().url });
  });
  afterAll(() => education.close());

  async function givenLearner(fields: Parameters<typeof givenCourse>[1] = {}) {
    const course = await givenCourse(education, fields);
    const { id, studentId } = await givenEnrollment(education, course.courseId);
    const [first, second] = course.moduleIds;
    const record = (moduleId: string, completedLessons: number, store = education) =>
      recordProgress(store, { enrollmentId: id, moduleId, completedLessons });
    const submit = (
      answers: Parameters<typeof submitAssessment>[1]['answers'],
      idempotencyKey = fresh('submit'),
      store = education,
    ) => submitAssessment(store, { enrollmentId: id, moduleId: first, answers, idempotencyKey });
    const finish = async () => {
      for (const moduleId of [first, second]) await record(moduleId, 2);
    };
    return { ...course, enrollmentId: id, studentId, first, second, record, submit, finish };
  }
  const progressOf = async (enrollmentId: string) =>
    (await getEnrollment(education, { enrollmentId })).progress.toNumber();

  it('derives the progress of the course from the lessons of its modules', async () => {
    const { enrollmentId, first, second, record } = await givenLearner();
    const half = await record(first, 1);
    expect([half.progress.toNumber(), half.completedAt, await progressOf(enrollmentId)]).toEqual([50, null, 25]);
    const whole = await record(first, 2);

    expect([whole.progress.toNumber(), whole.completedAt]).toEqual([100, clock.now()]);
    // Late and repeated reports change nothing.
    expect((await record(first, 0)).completedLessons).toBe(2);
    expect(await progressOf(enrollmentId)).toBe(50);
    await recordProgress(education, { enrollmentId, moduleId: second, completedLessons: 1, timeSpentSeconds: 60 });
    const again = await recordProgress(education, {
      enrollmentId,
      moduleId: second,
      completedLessons: 1,
      timeSpentSeconds: 30,
    });
    expect(again.timeSpentSeconds).toBe(60);
    expect((await listProgress(education, { enrollmentId })).map(({ moduleId }) => moduleId)).toEqual([first, second]);
    expect(await progressOf(enrollmentId)).toBe(75);
  });

  it('refuses progress in what the student does not take', async () => {
    const { enrollmentId, first, record } = await givenLearner();
    const other = await givenCourse(education);

    await expect(record(other.moduleIds[0], 1)).rejects.toMatchObject({ code: 'EDUCATION.MODULE_NOT_FOUND' });
    await expect(record(first, 3)).rejects.toMatchObject({
      code: 'EDUCATION.INVALID_INPUT',
      meta: { fields: ['completedLessons'] },
    });
    await dropEnrollment(education, { enrollmentId });
    await expect(record(first, 1)).rejects.toMatchObject({
      code: 'EDUCATION.ENROLLMENT_ENDED',
      meta: { status: 'dropped' },
    });
  });

  it('grades by the answer key, counts attempts, and answers a repeated submission once', async () => {
    const { submit, first } = await givenLearner({ assessment: QUIZ });
    expect((await findAssessment(education, { moduleId: first }))?.maxScore.toNumber()).toBe(40.5);
    const key = fresh('key');
    const one = await submit({ q1: 'A', q2: [2, 1] }, key);
    expect([one.attempt, one.status, one.score?.toNumber()]).toEqual([1, 'graded', 30]);
    expect(await submit({ q1: 'A', q2: [2, 1] }, key)).toEqual(one);
    await expect(submit({ q1: 'B' }, key)).rejects.toMatchObject({ code: 'EDUCATION.KEY_REUSED' });
    const two = await submit({ q2: [1, 2], q1: 'A', q3: 'more' });

    expect([two.attempt, two.score?.toNumber()]).toEqual([2, 40.5]);
    await expect(submit({})).rejects.toMatchObject({ code: 'EDUCATION.ATTEMPTS_EXHAUSTED', meta: { maxAttempts: 2 } });
  });

  it('accepts submissions until the deadline, and only where there is an assessment', async () => {
    const { submit, enrollmentId, second } = await givenLearner({ assessment: { ...QUIZ, maxAttempts: 9 } });
    await clock.move(7 * DAY_MS);
    await submit({});
    await clock.move(1);

    await expect(submit({})).rejects.toMatchObject({
      code: 'EDUCATION.DEADLINE_PASSED',
      meta: { deadline: '2026-03-08T12:00:00.000Z' },
    });
    const elsewhere = submitAssessment(education, {
      enrollmentId,
      moduleId: second,
      answers: {},
      idempotencyKey: fresh('k'),
    });
    await expect(elsewhere).rejects.toMatchObject({ code: 'EDUCATION.ASSESSMENT_NOT_FOUND' });
  });

  it('keeps every grade of a submission', async () => {
    const { submit } = await givenLearner({ assessment: { title: 'Essay', maxScore: 10 } });
    const { id: submissionId, status } = await submit({ essay: 'Text' });
    expect(status).toBe('submitted');
    const grade = { submissionId, score: '4.5', gradedById: 'teacher' };
    await expect(regradeSubmission(education, grade)).rejects.toMatchObject({ code: 'EDUCATION.GRADE_ORDER' });
    await gradeSubmission(education, { ...grade, feedback: 'Too short' });
    await expect(gradeSubmission(education, grade)).rejects.toMatchObject({ code: 'EDUCATION.GRADE_ORDER' });
    await regradeSubmission(education, { ...grade, score: 7, feedback: 'Better' });

    const grades = await listGrades(education, { submissionId });
    expect(grades.map(({ number, score, feedback }) => [number, score.toNumber(), feedback])).toEqual([
      [1, 4.5, 'Too short'],
      [2, 7, 'Better'],
    ]);
    expect((await getSubmission(education, { submissionId })).score?.toNumber()).toBe(7);
    await expect(regradeSubmission(education, { ...grade, score: 11 })).rejects.toMatchObject({
      meta: { fields: ['score'] },
    });
    await expect(gradeSubmission(education, { ...grade, submissionId: 'none' })).rejects.toMatchObject({
      code: 'EDUCATION.SUBMISSION_NOT_FOUND',
    });
  });

  it('pages through submissions, newest first', async () => {
    const { submit, enrollmentId } = await givenLearner({ assessment: { title: 'Essay' } });
    for (let n = 0; n < 5; n += 1) await submit({ n });
    const seen: number[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await listSubmissions(education, {
        enrollmentId,
        limit: 2,
        ...(cursor === undefined ? {} : { cursor }),
      });
      seen.push(...page.items.map(({ attempt }) => attempt));
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect([...seen].sort()).toEqual([1, 2, 3, 4, 5]);
  });

  it('completes a finished and passed course once, with a certificate that everyone can verify', async () => {
    const { enrollmentId, studentId, submit, finish, record, first } = await givenLearner({ assessment: QUIZ });
    const complete = () => completeCourse(education, { enrollmentId });
    await record(first, 1);
    await expect(complete()).rejects.toMatchObject({
      code: 'EDUCATION.COURSE_UNFINISHED',
      meta: { progress: '25.00' },
    });
    await finish();
    await expect(complete()).rejects.toMatchObject({
      code: 'EDUCATION.ASSESSMENTS_UNPASSED',
      meta: { modules: [first] },
    });
    await submit({ q1: 'A' });
    const certificate = await complete();

    expect(await complete()).toEqual(certificate);
    expect(certificate).toMatchObject({ studentId, holderName: 'Ada', courseTitle: 'Go', revokedAt: null });
    expect(certificate.number).toMatch(/^AZ-2026-\d{8}$/);
    await updateStudent(education, { studentId, displayName: 'Ada L.' });
    const spaced = certificate.verificationCode.toLowerCase().replace(/(.{6})/g, '$1-');
    const verify = (verificationCode: string) => verifyCertificate(education, { verificationCode });
    expect(await verify(spaced)).toEqual({
      number: certificate.number,
      holderName: 'Ada',
      courseTitle: 'Go',
      issuedAt: clock.now(),
      isValid: true,
      revocation: null,
      revokedAt: null,
    });
    expect([await verify('A'.repeat(24)), await verify('nonsense')]).toEqual([null, null]);
    await expect(dropEnrollment(education, { enrollmentId })).rejects.toMatchObject({
      code: 'EDUCATION.STATUS_REFUSED',
      meta: { from: 'completed', to: 'dropped' },
    });
    const revoke = (reason: 'misconduct' | 'holder_request') =>
      revokeCertificate(education, { certificateId: certificate.id, reason, revokedById: 'dean' });
    const revoked = await revoke('misconduct');
    expect(await revoke('holder_request')).toEqual(revoked);
    expect(await verify(certificate.verificationCode)).toMatchObject({ isValid: false, revocation: 'misconduct' });
    expect(await getCertificate(education, { certificateId: certificate.id })).toEqual(revoked);
    expect((await listCertificates(education, { studentId })).items).toEqual([revoked]);
    await expect(getCertificate(education, { certificateId: 'none' })).rejects.toMatchObject({
      code: 'EDUCATION.CERTIFICATE_NOT_FOUND',
    });
  });

  describe('in a race', () => {
    let stores: readonly Education[] = [];
    beforeAll(() => {
      stores = givenStores(db(), 8);
    });
    afterAll(() => Promise.all(stores.map((store) => store.close())));

    it('issues one certificate to eight callers', async () => {
      const { enrollmentId, finish } = await givenLearner();
      await finish();
      const made = await Promise.all(stores.map((store) => completeCourse(store, { enrollmentId })));

      expect(new Set(made.map(({ number }) => number)).size).toBe(1);
      const events = await db().admin("SELECT type FROM outbox WHERE payload ->> 'enrollmentId' = $1", [enrollmentId]);
      expect(events.filter(({ type }) => /completed\.v1|issued/.test(String(type)))).toHaveLength(4);
    });

    it('lets completing or dropping win', async () => {
      const { enrollmentId, finish } = await givenLearner();
      await finish();
      const results = await outcomes(
        stores.map((store, n) => (n % 2 === 0 ? completeCourse : dropEnrollment)(store, { enrollmentId })),
      );

      expect([...results].sort()).toEqual([...Array(4).fill('EDUCATION.STATUS_REFUSED'), ...Array(4).fill('done')]);
    });

    it('numbers the attempts of eight submissions, and accepts two', async () => {
      const { submit, enrollmentId } = await givenLearner({ assessment: QUIZ });
      const results = await outcomes(stores.map((store) => submit({}, fresh('race'), store)));

      expect(results.filter((it) => it === 'done')).toHaveLength(2);
      const { items: rows } = await listSubmissions(education, { enrollmentId });
      expect(rows.map(({ attempt }) => attempt).sort()).toEqual([1, 2]);
    });

    it('keeps the furthest progress of eight devices', async () => {
      const { enrollmentId, first, second, record } = await givenLearner();
      await Promise.all(stores.map((store, n) => record(n % 2 === 0 ? first : second, n % 3, store)));

      expect(await progressOf(enrollmentId)).toBe(100);
    });

    it('grades a submission once', async () => {
      const { submit } = await givenLearner({ assessment: { title: 'Essay' } });
      const { id: submissionId } = await submit({});
      const results = await outcomes(
        stores.map((store, n) => gradeSubmission(store, { submissionId, score: n, gradedById: `teacher-${n}` })),
      );

      expect(results.filter((it) => it === 'done')).toHaveLength(1);
      expect(await listGrades(education, { submissionId })).toHaveLength(1);
    });
  });
});
