/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  confirmEnrollment,
  type Education,
  enroll,
  listEnrollments,
  openEducation,
  recordPayment,
  reserveSeat,
} from '../src';
import { fresh, givenCourse, givenStores, givenStudent, HOUR_MS, outcomes, published } from './education-given';

describe('concurrent enrollments of one store', () => {
  const db = useDatabase('education');
  let education: Education;
  beforeEach(() => {
    education = openEducation({ url: db().url });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await education.close();
  });

  const givenStudents = (count: number) => Promise.all(Array.from({ length: count }, () => givenStudent(education)));
  const reserve = (studentId: string, courseId: string, { key = fresh('key'), store = education } = {}) =>
    reserveSeat(store, { studentId, courseId, expiresIn: HOUR_MS, idempotencyKey: key });
  const take = (studentId: string, courseId: string, store = education) =>
    enroll(store, { studentId, courseId, idempotencyKey: fresh('key') });

  /** The SQL functions that the store calls from here on, in order. */
  function watchCalls(): () => readonly (string | undefined)[] {
    const query = jest.spyOn(education, 'query');
    return () => query.mock.calls.map(([{ text }]) => /FROM (\w+)\(/.exec(text)?.[1]);
  }

  it('share one statement for each step, and each has its own result', async () => {
    const [students, { courseId }] = [await givenStudents(20), await givenCourse(education, { price: '40' })];
    const before = (await published(db())).length;
    const calls = watchCalls();

    const seats = await Promise.all(students.map((id) => reserve(id, courseId)));
    const confirm = ({ id }: { readonly id: string }) =>
      confirmEnrollment(education, { reservationId: id, holdId: `hold-${id}` });
    const confirmed = await Promise.all(seats.map(confirm));
    const paid = await Promise.all(
      seats.map(({ id }) => recordPayment(education, { enrollmentId: id, transactionId: `payment-${id}` })),
    );

    expect(calls()).toEqual(['reserve_seat_each', 'confirm_enrollment_each', 'record_payment_each']);
    expect(seats.map(({ studentId, status, price }) => [studentId, status, price.toFixed()])).toEqual(
      students.map((id) => [id, 'held', '40']),
    );
    expect(confirmed.map(({ id, studentId }) => [id, studentId])).toEqual(seats.map((it) => [it.id, it.studentId]));
    expect(paid.map(({ paymentHoldId, paymentTransactionId }) => [paymentHoldId, paymentTransactionId])).toEqual(
      seats.map(({ id }) => [`hold-${id}`, `payment-${id}`]),
    );
    const events = (await published(db(), before)).map(({ type }) => type);
    const kinds = ['seat-reserved', 'enrollment-confirmed', 'enrollment-paid'];
    expect(events).toEqual(kinds.flatMap((kind) => Array(20).fill(`education.${kind}.v1`)));
  });

  it('fail each with its own error, and the others succeed', async () => {
    const [ada, ben] = (await givenStudents(2)) as [string, string];
    const [{ courseId: free }, { courseId: priced }] = [
      await givenCourse(education),
      await givenCourse(education, { price: '40' }),
    ];

    const codes = await outcomes([
      take(ada, free),
      take('nobody', free),
      take(ben, priced),
      take(ben, 'nothing'),
      take(ben, free),
    ]);

    expect(codes).toEqual([
      'done',
      'EDUCATION.STUDENT_NOT_FOUND',
      'EDUCATION.PAYMENT_REQUIRED',
      'EDUCATION.COURSE_NOT_FOUND',
      'done',
    ]);
  });

  it('with one key make one reservation, and one of two students of a key is rejected', async () => {
    const [[ada, ben], { courseId }] = [(await givenStudents(2)) as [string, string], await givenCourse(education)];
    const key = fresh('key');

    const seats = await Promise.all([1, 2, 3].map(() => reserve(ada, courseId, { key })));

    expect(new Set(seats.map(({ id }) => id)).size).toBe(1);
    const shared = fresh('key');
    const { courseId: other } = await givenCourse(education);
    const codes = await outcomes([ada, ben].map((id) => reserve(id, other, { key: shared })));
    expect(codes.toSorted()).toEqual(['EDUCATION.KEY_REUSED', 'done']);
  });

  it('never give more seats than the course has, whichever process asks', async () => {
    const stores = givenStores(db(), 2);
    const [students, { courseId }] = [await givenStudents(24), await givenCourse(education, { capacity: 7 })];

    const codes = await outcomes(students.map((id, n) => take(id, courseId, stores[n % stores.length] as Education)));

    expect(codes.toSorted()).toEqual([...Array(17).fill('EDUCATION.COURSE_FULL'), ...Array(7).fill('done')]);
    expect((await listEnrollments(education, { courseId })).items).toHaveLength(7);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('do not wait for a student that another session has locked', async () => {
    const [[stuck, ...others], { courseId }] = [await givenStudents(6), await givenCourse(education)];
    const session = await education.pool.connect();
    await session.query('BEGIN');
    // What a call of another process holds until it commits.
    await session.query(`SELECT * FROM reserve_seat($1, $2, $3, $4, $5, '1 minute')`, [
      ...[fresh('key'), 'a'.repeat(64), fresh('id')],
      ...[stuck, (await givenCourse(education)).courseId],
    ]);
    let isDone = false;
    const waiting = take(stuck as string, courseId).finally(() => {
      isDone = true;
    });

    const made = await outcomes(others.map((id) => take(id, courseId)));

    expect([made, isDone]).toEqual([Array(5).fill('done'), false]);
    await session.query('ROLLBACK');
    session.release();
    expect(await outcomes([waiting])).toEqual(['done']);
  });
});
