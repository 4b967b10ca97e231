import { idInput } from '@azora/db-core/input';
import { defineSaga, type SagaType, type StartedSaga, startSaga } from '@azora/db-events';
import {
  cancelReservation,
  confirmEnrollment,
  findReservation,
  getCourse,
  getReservation,
  getStudent,
  recordPayment,
  reserveSeat,
  type SeatReservation,
  voidEnrollment,
} from '@azora/education';
import { capture, findWallet, hold, type Wallet } from '@azora/mint';
import { z } from 'zod';
import { noWallet } from './errors';
import { mustSucceed, releaseHoldOf } from './saga-steps';
import type { Stores } from './stores';

/** The name of the saga, for `findSaga`. */
export const PAID_ENROLLMENT = 'education.paid-enrollment';

export interface PaidEnrollment {
  readonly studentId: string;
  readonly courseId: string;
}

export interface StartPaidEnrollmentInput extends PaidEnrollment {
  /** One enrollment is tried for one key, however often the call is repeated. */
  readonly idempotencyKey: string;
}

interface Results {
  readonly reserve: { readonly reservationId: string; readonly price: string };
  /** Null for a course without a price. */
  readonly hold: { readonly holdId: string | null };
  readonly enroll: { readonly enrollmentId: string };
  readonly pay: { readonly transactionId: string | null };
  readonly record: { readonly isPaid: boolean };
}

/** Prices are in AZR. */
const CURRENCY = 'AZR';
/** A step is undone if it has not succeeded by then. */
const DEADLINE_MS = 600_000;
/** The seat and the money are kept for longer than the three steps may take. */
const KEPT_MS = 3_600_000;

/**
 * Enrolls a student in a course and pays its price from the student's AZR wallet to the instructor's: reserve the seat, hold the
 * price, enroll, capture the hold, record the payment. A refusal before the capture undoes the steps, so that the seat is free and the
 * money is available again. After the capture, nothing is undone: `education.refund-due.v1` pays a price back.
 */
export function paidEnrollment({ education, mint }: Stores<'education' | 'mint'>): SagaType<PaidEnrollment> {
  return defineSaga<PaidEnrollment, Results>({
    name: PAID_ENROLLMENT,
    input: z.strictObject({ studentId: idInput, courseId: idInput }),
    steps: [
      {
        name: 'reserve',
        deadlineMs: DEADLINE_MS,
        run: async ({ input: { studentId, courseId }, idempotencyKey }) => {
          const seat = await reserveSeat(education, { studentId, courseId, expiresIn: KEPT_MS, idempotencyKey });
          return { reservationId: seat.id, price: seat.price.toFixed() };
        },
        // The answer of the step may be lost. A reservation that is made later expires by itself.
        undo: async ({ runKey }) =>
          giveSeatBack(education, await findReservation(education, { idempotencyKey: runKey })),
      },
      {
        name: 'hold',
        deadlineMs: DEADLINE_MS,
        run: async ({ input, resultOf, idempotencyKey }) => {
          const { price } = resultOf('reserve');
          if (Number(price) === 0) return { holdId: null };
          const { from, to } = await findWallets({ education, mint }, input);
          const order = { from: from.id, to: to.id, amount: price, expiresIn: KEPT_MS };
          return { holdId: (await hold(mint, { ...order, idempotencyKey })).id };
        },
        undo: ({ runKey, idempotencyKey }) => releaseHoldOf(mint, runKey, idempotencyKey),
      },
      {
        name: 'enroll',
        deadlineMs: DEADLINE_MS,
        run: async ({ resultOf }) => {
          const [{ reservationId }, { holdId }] = [resultOf('reserve'), resultOf('hold')];
          const payment = holdId === null ? {} : { holdId };
          return { enrollmentId: (await confirmEnrollment(education, { reservationId, ...payment })).id };
        },
        undo: async ({ resultOf }) => giveSeatBack(education, await getReservation(education, seatOf(resultOf))),
      },
      {
        // Refused if the hold has expired. It has no deadline, because nothing takes a captured price back.
        name: 'pay',
        run: async ({ resultOf, idempotencyKey }) => {
          const { holdId } = resultOf('hold');
          if (holdId === null) return { transactionId: null };
          return { transactionId: (await capture(mint, { holdId, idempotencyKey })).id };
        },
      },
      {
        name: 'record',
        run: async ({ resultOf }) => {
          const [{ enrollmentId }, { transactionId }] = [resultOf('enroll'), resultOf('pay')];
          if (transactionId === null) return { isPaid: false };
          await mustSucceed(() => recordPayment(education, { enrollmentId, transactionId }));
          return { isPaid: true };
        },
      },
    ],
  });
}

/**
 * Starts the saga once per key. `findSaga` with PAID_ENROLLMENT and the key tells how it ended: `done`, or `compensated` with the reason.
 * @throws {SuiteError} `SAGA.INVALID_INPUT`, `SAGA.KEY_REUSED`
 */
export function startPaidEnrollment(
  stores: Stores<'education' | 'mint' | 'nexus'>,
  { idempotencyKey, ...input }: StartPaidEnrollmentInput,
): Promise<StartedSaga> {
  const saga = paidEnrollment(stores);
  return stores.nexus.transaction((tx) => startSaga(tx, saga, { key: idempotencyKey, input }));
}

function seatOf(resultOf: (step: 'reserve') => Results['reserve']): { readonly reservationId: string } {
  return { reservationId: resultOf('reserve').reservationId };
}

/** Cancels a reservation, or ends the enrollment that it became. The enrollment has the same id. */
async function giveSeatBack(education: Stores<'education'>['education'], seat: SeatReservation | null): Promise<void> {
  if (seat?.status === 'confirmed') await voidEnrollment(education, { enrollmentId: seat.id });
  if (seat?.status === 'held') await cancelReservation(education, { reservationId: seat.id });
}

/** The wallets of the student and of the instructor. */
async function findWallets(
  { education, mint }: Stores<'education' | 'mint'>,
  { studentId, courseId }: PaidEnrollment,
): Promise<{ readonly from: Wallet; readonly to: Wallet }> {
  const [student, course] = await Promise.all([
    getStudent(education, { studentId }),
    getCourse(education, { courseId }),
  ]);
  const walletOf = async (userId: string) => {
    const wallet = await findWallet(mint, { userId, currency: CURRENCY });
    if (wallet === null) throw noWallet({ userId, currency: CURRENCY });
    return wallet;
  };
  return { from: await walletOf(student.userId), to: await walletOf(course.instructorId) };
}
