/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  archiveCourse,
  cancelReservation,
  changeStudentStatus,
  completeCourse,
  confirmEnrollment,
  dropEnrollment,
  type Education,
  enroll,
  expireReservations,
  findReservation,
  getEnrollment,
  getReservation,
  listEnrollments,
  openEducation,
  recordPayment,
  recordProgress,
  refundKey,
  reserveSeat,
  setPrerequisites,
  updateCourse,
  voidEnrollment,
} from '../src';
import {
  DAY_MS,
  fresh,
  givenCourse,
  givenDraft,
  givenEnrollment,
  givenStores,
  givenStudent,
  HOUR_MS,
  outcomes,
} from './education-given';

describe('enrollments', () => {
  const db = useDatabase('education');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let education: Education;
  beforeAll(() => {
    education = openEducation({ url: db().url });
  });
  afterAll(() => education.close());

  const reserve = (studentId: string, courseId: string, idempotencyKey = fresh('reserve'), store = education) =>
    reserveSeat(store, { studentId, courseId, expiresIn: HOUR_MS, idempotencyKey });
  const givenReservation = async (fields = {}) => {
    const { courseId } = await givenCourse(education, { price: '40', ...fields });
    return reserve(await givenStudent(education), courseId);
  };

  it('reserves a seat, confirms it with the hold that pays, records the payment, and drops it with a refund', async () => {
    const seat = await givenReservation();
    expect(seat).toMatchObject({ status: 'held', resolvedAt: null, expiresAt: new Date('2026-03-01T13:00:00Z') });
    expect(seat.price.toFixed(2)).toBe('40.00');

    const enrollment = await confirmEnrollment(education, { reservationId: seat.id, holdId: fresh('hold') });
    expect(enrollment).toMatchObject({ id: seat.id, status: 'active', paidAt: null, enrolledAt: clock.now() });
    await recordPayment(education, { enrollmentId: seat.id, transactionId: 'paid-1' });
    const dropped = await dropEnrollment(education, { enrollmentId: seat.id });

    expect(dropped).toMatchObject({ status: 'dropped', droppedAt: clock.now(), paymentTransactionId: 'paid-1' });
    expect(dropped.refundAmount?.toString()).toBe('40');
    expect(await dropEnrollment(education, { enrollmentId: seat.id })).toEqual(dropped);
    expect(refundKey(seat.id)).toBe(`education.refund:${seat.id}`);
  });

  it('enrolls in a free course at once, and again after dropping out', async () => {
    const { courseId } = await givenCourse(education);
    const studentId = await givenStudent(education);
    const request = { studentId, courseId, idempotencyKey: fresh('key') };
    const first = await enroll(education, request);

    expect(await enroll(education, request)).toEqual(first);
    await expect(enroll(education, { ...request, idempotencyKey: fresh('key') })).rejects.toMatchObject({
      code: 'EDUCATION.ALREADY_ENROLLED',
    });
    expect((await dropEnrollment(education, { enrollmentId: first.id })).refundAmount?.toString()).toBe('0');
    await enroll(education, { ...request, idempotencyKey: fresh('key') });
    const { items: rows } = await listEnrollments(education, { studentId });
    expect(rows.map(({ status }) => status).sort()).toEqual(['active', 'dropped']);
  });

  it('answers a repeated reservation once, and refuses another request under its key', async () => {
    const { courseId } = await givenCourse(education, { price: '1' });
    const [studentId, key] = [await givenStudent(education), fresh('key')];
    const first = await reserve(studentId, courseId, key);

    expect(await reserve(studentId, courseId, key)).toEqual(first);
    expect(await findReservation(education, { idempotencyKey: key })).toEqual(first);
    await expect(
      reserveSeat(education, { studentId, courseId, expiresIn: 5, idempotencyKey: key }),
    ).rejects.toMatchObject({ code: 'EDUCATION.KEY_REUSED' });
    await expect(enroll(education, { studentId, courseId, idempotencyKey: key })).rejects.toMatchObject({
      code: 'EDUCATION.KEY_REUSED',
    });
    await expect(reserve(studentId, courseId)).rejects.toMatchObject({ code: 'EDUCATION.SEAT_RESERVED' });
    expect(await findReservation(education, { idempotencyKey: fresh('none') })).toBeNull();
  });

  it('does not confirm an expired reservation, and gives its seat to the next student', async () => {
    const seat = await givenReservation({ capacity: 1 });
    await expect(reserve(await givenStudent(education), seat.courseId)).rejects.toMatchObject({
      code: 'EDUCATION.COURSE_FULL',
    });
    await clock.move(HOUR_MS);
    await expect(confirmEnrollment(education, { reservationId: seat.id, holdId: 'h' })).rejects.toMatchObject({
      code: 'EDUCATION.RESERVATION_EXPIRED',
      meta: { expiredAt: '2026-03-01T13:00:00.000Z' },
    });
    await reserve(await givenStudent(education), seat.courseId);

    expect(await getReservation(education, { reservationId: seat.id })).toMatchObject({ status: 'expired' });
  });

  it('publishes once that expired reservations are released', async () => {
    const seats = [await givenReservation(), await givenReservation()];
    await clock.move(2 * HOUR_MS);
    const released = await Promise.all([expireReservations(education), expireReservations(education)]);

    const ids = released.flat().map(({ id }) => id);
    expect(seats.filter(({ id }) => ids.filter((it) => it === id).length !== 1)).toEqual([]);
    expect(await expireReservations(education)).toEqual([]);
  });

  it.each([
    ['on the last day of the term', 14 * DAY_MS, 0, '40'],
    ['after the term', 14 * DAY_MS + 1, 0, '0'],
    ['at the allowed progress', 0, 1, '40'],
    ['above the allowed progress', 0, 2, '0'],
  ])('gives back the price %s', async (_when, wait, lessons, refund) => {
    const { courseId, moduleIds } = await givenCourse(education, { price: '40', refundMaxProgress: '25' });
    const { id } = await givenEnrollment(education, courseId);
    // A change of the terms concerns later enrollments.
    await updateCourse(education, { courseId, refundDays: 0, price: '99' });
    await recordProgress(education, { enrollmentId: id, moduleId: moduleIds[0], completedLessons: lessons });
    await clock.move(wait);

    expect((await dropEnrollment(education, { enrollmentId: id })).refundAmount?.toString()).toBe(refund);
  });

  it('voids an enrollment whose payment failed, and gives a late payment back whole', async () => {
    const { courseId } = await givenCourse(education, { price: '40' });
    const open = await givenEnrollment(education, courseId, { isPaid: false });
    for (const call of [dropEnrollment, completeCourse]) {
      await expect(call(education, { enrollmentId: open.id })).rejects.toMatchObject({
        code: 'EDUCATION.PAYMENT_PENDING',
      });
    }
    const voided = await voidEnrollment(education, { enrollmentId: open.id });
    expect([voided.status, voided.refundAmount?.toString()]).toEqual(['dropped', '0']);
    expect(await voidEnrollment(education, { enrollmentId: open.id })).toEqual(voided);

    const late = await recordPayment(education, { enrollmentId: open.id, transactionId: fresh('late') });
    expect([late.status, late.refundAmount?.toString()]).toEqual(['dropped', '40']);
    const paid = await givenEnrollment(education, courseId);
    await expect(voidEnrollment(education, { enrollmentId: paid.id })).rejects.toMatchObject({
      code: 'EDUCATION.PAYMENT_SETTLED',
    });
  });

  it('accepts one hold and one transaction for an enrollment', async () => {
    const [seat, other] = [await givenReservation(), await givenReservation()];
    const confirm = (holdId?: string, reservationId = seat.id) =>
      confirmEnrollment(education, { reservationId, ...(holdId === undefined ? {} : { holdId }) });
    const holdId = fresh('hold');
    await expect(confirm()).rejects.toMatchObject({ code: 'EDUCATION.PAYMENT_REQUIRED' });
    const enrollment = await confirm(holdId);

    expect(await confirm(holdId)).toEqual(enrollment);
    const differs = { code: 'EDUCATION.PAYMENT_DIFFERS' };
    await expect(confirm('another')).rejects.toMatchObject(differs);
    await expect(confirm(holdId, other.id)).rejects.toMatchObject(differs);
    const pay = (transactionId: string) => recordPayment(education, { enrollmentId: seat.id, transactionId });
    const paid = await pay('t-1');
    expect(await pay('t-1')).toEqual(paid);
    await expect(pay('t-2')).rejects.toMatchObject(differs);
    const free = await givenEnrollment(education, (await givenCourse(education)).courseId);
    await expect(recordPayment(education, { enrollmentId: free.id, transactionId: 't' })).rejects.toMatchObject(
      differs,
    );
  });

  it('refuses students and courses that are not ready', async () => {
    const { courseId } = await givenCourse(education);
    const studentId = await givenStudent(education);
    const code = (promise: Promise<unknown>) => outcomes([promise]).then(([first]) => first);
    const draft = (await givenDraft(education)).course.id;
    const next = await givenCourse(education);
    await setPrerequisites(education, { courseId: next.courseId, prerequisiteIds: [courseId] });

    expect(await code(reserve('nobody', courseId))).toBe('EDUCATION.STUDENT_NOT_FOUND');
    expect(await code(reserve(studentId, 'nothing'))).toBe('EDUCATION.COURSE_NOT_FOUND');
    expect(await code(reserve(studentId, draft))).toBe('EDUCATION.COURSE_NOT_OPEN');
    expect(await code(reserve(studentId, next.courseId))).toBe('EDUCATION.PREREQUISITES_MISSING');
    expect(await code(confirmEnrollment(education, { reservationId: 'none' }))).toBe('EDUCATION.RESERVATION_NOT_FOUND');
    expect(await code(cancelReservation(education, { reservationId: 'none' }))).toBe('EDUCATION.RESERVATION_NOT_FOUND');
    expect(await code(dropEnrollment(education, { enrollmentId: 'none' }))).toBe('EDUCATION.ENROLLMENT_NOT_FOUND');
    expect(await code(getEnrollment(education, { enrollmentId: 'none' }))).toBe('EDUCATION.ENROLLMENT_NOT_FOUND');
    const paid = (await givenCourse(education, { price: '1' })).courseId;
    expect(await code(enroll(education, { studentId, courseId: paid, idempotencyKey: fresh('k') }))).toBe(
      'EDUCATION.PAYMENT_REQUIRED',
    );
    await archiveCourse(education, { courseId: paid });
    expect(await code(reserve(studentId, paid))).toBe('EDUCATION.COURSE_NOT_OPEN');
    await changeStudentStatus(education, { studentId, status: 'paused' });
    expect(await code(reserve(studentId, courseId))).toBe('EDUCATION.STUDENT_INACTIVE');
  });

  describe('in a race', () => {
    let stores: readonly Education[] = [];
    beforeAll(() => {
      stores = givenStores(db(), 8);
    });
    afterAll(() => Promise.all(stores.map((store) => store.close())));
    const count = (results: readonly string[], wanted: string) => results.filter((it) => it === wanted).length;

    it('gives the last three seats to three of eight students', async () => {
      const { courseId } = await givenCourse(education, { capacity: 3 });
      const students = await Promise.all(stores.map(() => givenStudent(education)));
      const results = await outcomes(
        stores.map((store, n) =>
          enroll(store, { studentId: students[n] ?? '', courseId, idempotencyKey: fresh('race') }),
        ),
      );

      expect([count(results, 'done'), count(results, 'EDUCATION.COURSE_FULL')]).toEqual([3, 5]);
    });

    it('enrolls a student once who asks eight times under different keys', async () => {
      const { courseId } = await givenCourse(education);
      const studentId = await givenStudent(education);
      const results = await outcomes(
        stores.map((store) => enroll(store, { studentId, courseId, idempotencyKey: fresh('race') })),
      );

      expect([count(results, 'done'), count(results, 'EDUCATION.ALREADY_ENROLLED')]).toEqual([1, 7]);
    });

    it('answers one key alike to eight callers', async () => {
      const { courseId } = await givenCourse(education);
      const request = { studentId: await givenStudent(education), courseId, idempotencyKey: fresh('same') };
      const made = await Promise.all(stores.map((store) => enroll(store, request)));

      expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    });

    it('lets confirm or cancel win, and the other one name both statuses', async () => {
      const seat = await givenReservation();
      const results = await outcomes(
        stores.map((store, n) =>
          n % 2 === 0
            ? confirmEnrollment(store, { reservationId: seat.id, holdId: seat.id })
            : cancelReservation(store, { reservationId: seat.id }),
        ),
      );

      expect([count(results, 'done'), count(results, 'EDUCATION.STATUS_REFUSED')]).toEqual([4, 4]);
      const { status } = await getReservation(education, { reservationId: seat.id });
      const found = await education.prisma.enrollment.count({ where: { id: seat.id } });
      expect([status, found]).toEqual(status === 'confirmed' ? ['confirmed', 1] : ['cancelled', 0]);
    });

    it('decides one refund for eight callers', async () => {
      const { courseId } = await givenCourse(education, { price: '40' });
      const { id } = await givenEnrollment(education, courseId);
      await Promise.all(stores.map((store) => dropEnrollment(store, { enrollmentId: id })));

      const events = await db().admin(
        "SELECT type FROM outbox WHERE payload ->> 'enrollmentId' = $1 ORDER BY position",
        [id],
      );
      expect(events.map(({ type }) => type)).toEqual([
        'education.enrollment-confirmed.v1',
        'education.enrollment-paid.v1',
        'education.enrollment-dropped.v1',
        'education.refund-due.v1',
      ]);
    });
  });
});
