/** @server any */

import { useTestClock } from '@azora/db-testkit';
import { cancelReservation, dropEnrollment, getEnrollment, listEnrollments } from '@azora/education';
import { getWallet, mint as issue, release, transfer } from '@azora/mint';
import { flowSagas, PAID_ENROLLMENT, REFUND, refundConsumer, startPaidEnrollment } from '../src';
import { fresh, givenCourse, givenPerson, givenStudent, useFlows } from './flows-given';
import { withPoints } from './saga-points';

describe('a paid enrollment', () => {
  const { db, stores, work, deliver, reached, ended, differences } = useFlows();
  const clock = useTestClock(() => db('nexus'), '2026-03-01T00:00:00Z');
  const key = () => fresh('order');

  /** Starts an enrollment and waits for its end. */
  async function enroll(studentId: string, courseId: string, idempotencyKey = key()) {
    await startPaidEnrollment(stores(), { studentId, courseId, idempotencyKey });
    return ended(PAID_ENROLLMENT, idempotencyKey);
  }

  async function moneyOf(walletId: string): Promise<string> {
    const { balance, held } = await getWallet(stores().mint, { walletId });
    return `${balance} held ${held}`;
  }

  async function statusesOf(courseId: string): Promise<readonly string[]> {
    const { items: rows } = await listEnrollments(stores().education, { courseId });
    return rows.map(({ status }) => status);
  }

  it('moves the price to the instructor, once for a key', async () => {
    work();
    const { studentId, walletId } = await givenStudent(stores());
    const { courseId, teacherWalletId } = await givenCourse(stores());
    const idempotencyKey = key();

    const starts = Array.from({ length: 5 }, () =>
      startPaidEnrollment(stores(), { studentId, courseId, idempotencyKey }),
    );
    expect((await Promise.all(starts)).filter(({ isNew }) => isNew)).toHaveLength(1);
    const saga = await ended(PAID_ENROLLMENT, idempotencyKey);

    expect(saga.state).toBe('done');
    const { enrollmentId } = saga.results['enroll'] as { readonly enrollmentId: string };
    expect(await getEnrollment(stores().education, { enrollmentId })).toMatchObject({
      ...{ status: 'active', studentId, courseId },
      paymentHoldId: (saga.results['hold'] as { readonly holdId: string }).holdId,
      paymentTransactionId: (saga.results['pay'] as { readonly transactionId: string }).transactionId,
    });
    expect([await moneyOf(walletId), await moneyOf(teacherWalletId)]).toEqual(['60 held 0', '40 held 0']);
    expect(await differences()).toEqual([]);
  });

  it('of a course without a price needs no wallet', async () => {
    work();
    const { studentId } = await givenStudent(stores(), '0');
    const { courseId } = await givenCourse(stores(), { price: '0', instructorId: fresh('teacher') });

    expect((await enroll(studentId, courseId)).state).toBe('done');
    expect(await statusesOf(courseId)).toEqual(['active']);
  });

  it('gives the seat back if the money is not enough, and succeeds with a new key when it is', async () => {
    work();
    const { studentId, walletId, userId } = await givenStudent(stores(), '39.99999999');
    const { courseId } = await givenCourse(stores(), { capacity: 1 });

    const refused = await enroll(studentId, courseId);

    expect(refused).toMatchObject({
      state: 'compensated',
      failure: expect.stringMatching(/^MINT.INSUFFICIENT_FUNDS: /),
    });
    expect([await statusesOf(courseId), await moneyOf(walletId)]).toEqual([[], '39.99999999 held 0']);
    const other = await givenStudent(stores());
    expect(other.userId).not.toBe(userId);
    expect((await enroll(other.studentId, courseId)).state).toBe('done');
    expect(await differences()).toEqual([]);
  });

  it('is refused for a student or an instructor without a wallet', async () => {
    work();
    const { courseId } = await givenCourse(stores(), { instructorId: fresh('teacher') });
    const { studentId, walletId } = await givenStudent(stores());

    expect(await enroll(studentId, courseId)).toMatchObject({
      state: 'compensated',
      failure: 'FLOWS.NO_WALLET: A party of the payment has no wallet in this currency',
    });
    expect([await statusesOf(courseId), await moneyOf(walletId)]).toEqual([[], '100 held 0']);
  });

  it('gives the last seat to one of many students, and the others keep their money', async () => {
    work();
    const { courseId } = await givenCourse(stores(), { capacity: 1 });
    const students = await Promise.all(Array.from({ length: 6 }, () => givenStudent(stores())));

    const sagas = await Promise.all(students.map(({ studentId }) => enroll(studentId, courseId)));

    const states = sagas.map(({ state, failure }) => failure?.split(':')[0] ?? state);
    expect(states.toSorted()).toEqual([...Array(5).fill('EDUCATION.COURSE_FULL'), 'done']);
    expect(await statusesOf(courseId)).toEqual(['active']);
    const money = await Promise.all(students.map(({ walletId }) => moneyOf(walletId)));
    expect(money.toSorted()).toEqual([...Array(5).fill('100 held 0'), '60 held 0']);
    expect(await differences()).toEqual([]);
  });

  it('lets one of two enrollments of a student win, and pays once', async () => {
    work();
    const { courseId } = await givenCourse(stores());
    const { studentId, walletId } = await givenStudent(stores());

    const sagas = await Promise.all([enroll(studentId, courseId), enroll(studentId, courseId)]);

    expect(sagas.map(({ state }) => state).toSorted()).toEqual(['compensated', 'done']);
    expect([await statusesOf(courseId), await moneyOf(walletId)]).toEqual([['active'], '60 held 0']);
    expect(await differences()).toEqual([]);
  });

  it('cannot spend the money of a student twice', async () => {
    work();
    const { studentId, walletId } = await givenStudent(stores(), '50');
    const courses = await Promise.all([givenCourse(stores()), givenCourse(stores()), givenCourse(stores())]);

    const sagas = await Promise.all(courses.map(({ courseId }) => enroll(studentId, courseId)));

    expect(sagas.map(({ state }) => state).toSorted()).toEqual(['compensated', 'compensated', 'done']);
    expect(await moneyOf(walletId)).toBe('10 held 0');
    expect(await differences()).toEqual([]);
  });

  it.each([
    ['the seat is lost before the enrollment', 'enroll', 'EDUCATION.STATUS_REFUSED'],
    ['the hold is lost before the payment', 'pay', 'MINT.HOLD_RESOLVED'],
  ])('is undone when %s', async (_, step, code) => {
    const idempotencyKey = key();
    const { studentId, walletId } = await givenStudent(stores());
    const { courseId } = await givenCourse(stores());
    /** An operator interferes. */
    const interfere = async () => {
      const { education, mint } = stores();
      const seat = await education.prisma.seatReservation.findFirstOrThrow({ where: { studentId } });
      if (step === 'enroll') await cancelReservation(education, { reservationId: seat.id });
      const open = await mint.prisma.hold.findFirstOrThrow({ where: { walletId } });
      if (step === 'pay') await release(mint, { holdId: open.id, idempotencyKey: fresh('operator') });
    };
    work(
      flowSagas(stores()).map((saga) => withPoints(saga, { before: (_key, at) => (at === step ? interfere() : 0) })),
    );

    const saga = await enroll(studentId, courseId, idempotencyKey);

    expect([saga.state, saga.failure?.split(':')[0]]).toEqual(['compensated', code]);
    expect(await statusesOf(courseId)).toEqual(step === 'pay' ? ['dropped'] : []);
    expect(await moneyOf(walletId)).toBe('100 held 0');
    expect(await differences()).toEqual([]);
  });

  it('is refunded once after a withdrawal, however often the event arrives', async () => {
    work();
    const { studentId, walletId } = await givenStudent(stores());
    const { courseId, teacherWalletId } = await givenCourse(stores());
    const { results } = await enroll(studentId, courseId);
    const { enrollmentId } = results['enroll'] as { readonly enrollmentId: string };
    await dropEnrollment(stores().education, { enrollmentId });

    await Promise.all([deliver('education', refundConsumer(stores())), deliver('education', refundConsumer(stores()))]);

    expect((await ended(REFUND, enrollmentId)).state).toBe('done');
    expect([await moneyOf(walletId), await moneyOf(teacherWalletId)]).toEqual(['100 held 0', '0 held 0']);
    expect(await differences()).toEqual([]);
  });

  it('whose refund the instructor cannot pay is refunded when the money is there', async () => {
    work();
    const { studentId, walletId } = await givenStudent(stores());
    const { courseId, teacherWalletId } = await givenCourse(stores());
    const { results } = await enroll(studentId, courseId);
    const { enrollmentId } = results['enroll'] as { readonly enrollmentId: string };
    const spent = { from: teacherWalletId, to: (await givenPerson(stores())).walletId, amount: '1' };
    await transfer(stores().mint, { ...spent, idempotencyKey: fresh('spend') });
    await dropEnrollment(stores().education, { enrollmentId });
    await deliver('education', refundConsumer(stores()));

    const waiting = await reached(REFUND, enrollmentId, ({ lastError }) => lastError !== null);
    expect(waiting).toMatchObject({ state: 'running', lastError: 'MINT.INSUFFICIENT_FUNDS' });
    await issue(stores().mint, { to: teacherWalletId, amount: '1', idempotencyKey: fresh('grant') });
    await clock.move(3_600_000);

    expect((await ended(REFUND, enrollmentId)).state).toBe('done');
    expect([await moneyOf(walletId), await moneyOf(teacherWalletId)]).toEqual(['100 held 0', '0 held 0']);
    expect(await differences()).toEqual([]);
  });
});
