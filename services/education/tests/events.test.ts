/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import * as store from '../src';
import { type Education, EVENTS, openEducation } from '../src';
import {
  DAY_MS,
  fresh,
  givenCourse,
  givenDraft,
  givenEnrollment,
  givenStudent,
  HOUR_MS,
  published,
} from './education-given';

/** Text of people, which no event repeats. */
const PERSONAL = 'Ada Lovelace, 12 Main Street';

type Call = readonly [
  name: string,
  prepare: (education: Education) => Promise<() => Promise<unknown>>,
  events: readonly string[],
];

describe('the events of education', () => {
  const db = useDatabase('education');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const declared = new Map<string, (typeof EVENTS)[number]>(EVENTS.map((event) => [event.type, event]));
  const seen = new Set<string>();
  let education: Education;
  beforeAll(() => {
    education = openEducation({ url: db().url });
  });
  afterAll(() => education.close());

  const learner = async (fields: Parameters<typeof givenCourse>[1] = {}, isPaid = true) => {
    const { courseId, moduleIds } = await givenCourse(education, fields);
    const { id: enrollmentId, studentId } = await givenEnrollment(education, courseId, { isPaid });
    return { courseId, moduleId: moduleIds[0], moduleIds, enrollmentId, studentId };
  };
  const finished = async () => {
    const { enrollmentId, moduleIds, studentId } = await learner();
    for (const moduleId of moduleIds)
      await store.recordProgress(education, { enrollmentId, moduleId, completedLessons: 2 });
    return { enrollmentId, studentId };
  };
  const reserved = async () => {
    const { courseId } = await givenCourse(education, { price: '3' });
    const request = {
      studentId: await givenStudent(education),
      courseId,
      expiresIn: HOUR_MS,
      idempotencyKey: fresh('key'),
    };
    return store.reserveSeat(education, request);
  };

  const CALLS: readonly Call[] = [
    [
      'registerStudent',
      async () => {
        const userId = fresh('user');
        return () => store.registerStudent(education, { userId, displayName: PERSONAL });
      },
      ['student-registered'],
    ],
    [
      'changeStudentStatus',
      async () => {
        const studentId = await givenStudent(education);
        return () => store.changeStudentStatus(education, { studentId, status: 'paused' });
      },
      ['student-status-changed'],
    ],
    [
      'publishCourse',
      async () => {
        const { course } = await givenDraft(education, { title: PERSONAL });
        return () => store.publishCourse(education, { courseId: course.id });
      },
      ['course-published'],
    ],
    [
      'archiveCourse',
      async () => {
        const { courseId } = await givenCourse(education);
        return () => store.archiveCourse(education, { courseId });
      },
      ['course-archived'],
    ],
    [
      'reserveSeat',
      async () => {
        const { courseId } = await givenCourse(education, { price: '3' });
        const request = {
          studentId: await givenStudent(education),
          courseId,
          expiresIn: HOUR_MS,
          idempotencyKey: `${fresh('k')} ${PERSONAL}`,
        };
        return () => store.reserveSeat(education, request);
      },
      ['seat-reserved'],
    ],
    [
      'confirmEnrollment',
      async () => {
        const [{ id: reservationId }, holdId] = [await reserved(), fresh('hold')];
        return () => store.confirmEnrollment(education, { reservationId, holdId });
      },
      ['enrollment-confirmed'],
    ],
    [
      'cancelReservation',
      async () => {
        const { id: reservationId } = await reserved();
        return () => store.cancelReservation(education, { reservationId });
      },
      ['seat-released'],
    ],
    [
      'expireReservations',
      async () => {
        await clock.move(DAY_MS);
        await store.expireReservations(education);
        await reserved();
        await clock.move(DAY_MS);
        return () => store.expireReservations(education);
      },
      ['seat-released'],
    ],
    [
      'enroll',
      async () => {
        const { courseId } = await givenCourse(education);
        const request = { studentId: await givenStudent(education), courseId, idempotencyKey: fresh('key') };
        return () => store.enroll(education, request);
      },
      ['seat-reserved', 'enrollment-confirmed'],
    ],
    [
      'recordPayment',
      async () => {
        const { enrollmentId } = await learner({ price: '3' }, false);
        const transactionId = fresh('t');
        return () => store.recordPayment(education, { enrollmentId, transactionId });
      },
      ['enrollment-paid'],
    ],
    [
      'dropEnrollment',
      async () => {
        const { enrollmentId } = await learner({ price: '3' });
        return () => store.dropEnrollment(education, { enrollmentId });
      },
      ['enrollment-dropped', 'refund-due'],
    ],
    [
      'voidEnrollment',
      async () => {
        const { enrollmentId } = await learner({ price: '3' }, false);
        return () => store.voidEnrollment(education, { enrollmentId });
      },
      ['enrollment-dropped'],
    ],
    [
      'recordProgress',
      async () => {
        const { enrollmentId, moduleId } = await learner();
        return () => store.recordProgress(education, { enrollmentId, moduleId, completedLessons: 2 });
      },
      ['module-completed'],
    ],
    [
      'submitAssessment',
      async () => {
        const { enrollmentId, moduleId } = await learner({
          assessment: { title: 'Quiz', answerKey: { q: { answer: PERSONAL, points: 1 } } },
        });
        const request = { enrollmentId, moduleId, answers: { q: PERSONAL }, idempotencyKey: fresh('key') };
        return () => store.submitAssessment(education, request);
      },
      ['assessment-submitted', 'submission-graded'],
    ],
    [
      'completeCourse',
      async () => {
        const { enrollmentId } = await finished();
        return () => store.completeCourse(education, { enrollmentId });
      },
      ['enrollment-completed', 'certificate-issued'],
    ],
    [
      'revokeCertificate',
      async () => {
        const { enrollmentId } = await finished();
        const { id: certificateId } = await store.completeCourse(education, { enrollmentId });
        return () => store.revokeCertificate(education, { certificateId, reason: 'misconduct', revokedById: 'dean' });
      },
      ['certificate-revoked'],
    ],
    [
      'erasePerson',
      async () => {
        const { studentId } = await learner({ price: '3' });
        const { userId } = await store.getStudent(education, { studentId });
        return () => store.erasePerson(education, userId);
      },
      ['enrollment-dropped', 'refund-due', 'student-erased'],
    ],
  ];

  it.each(CALLS)('%s publishes its events once, as they are declared', async (_name, prepare, expected) => {
    const call = await prepare(education);
    const before = (await published(db())).length;
    await call();

    const events = await published(db(), before);
    expect(events.map(({ type }) => type)).toEqual(expected.map((name) => `education.${name}.v1`));
    for (const { type, key, payload } of events) {
      const event = declared.get(type);
      if (event === undefined) throw new Error(`${type} is not declared`);
      const validate = ajv.compile(event.jsonSchema);
      validate(payload);
      expect([type, validate.errors]).toEqual([type, null]);
      expect(key).toBe(event.key(event.data.parse(payload) as never));
      seen.add(type);
    }
    expect(JSON.stringify(events)).not.toContain(PERSONAL);
    await call();
    expect(await published(db(), before + events.length)).toEqual([]);
  });

  it('are tested for every declared type', () => {
    expect([...declared.keys()].filter((type) => !seen.has(type))).toEqual([]);
  });
});
