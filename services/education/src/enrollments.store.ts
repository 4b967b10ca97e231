import { newId, requestHash } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Education } from './client';
import { enrollmentNotFound, readInput, reservationNotFound } from './errors';
import { $Enums, type EnrollmentStatus } from './generated/client';
import { enrollmentInput, keyInput } from './input';
import { callForRows, callFunction, type Enrollment, findRow, listRows, onlyModel, type SeatReservation } from './rows';

/** A reservation is kept for as long as a payment takes. reserve_seat has the same limit. */
const MAX_EXPIRES_IN_MS = 7 * 86_400_000;
const MAX_EXPIRED = 10_000;
const DEFAULT_EXPIRED = 1_000;

export interface EnrollInput {
  readonly studentId: string;
  readonly courseId: string;
  readonly idempotencyKey: string;
}

export interface ReserveSeatInput extends EnrollInput {
  /** Milliseconds, at most seven days, after which the reservation cannot be confirmed. */
  readonly expiresIn: number;
}

export interface GetReservationInput {
  readonly reservationId: string;
}

export type CancelReservationInput = GetReservationInput;

export interface FindReservationInput {
  /** The key of the call of {@link reserveSeat}. */
  readonly idempotencyKey: string;
}

export interface ConfirmEnrollmentInput {
  readonly reservationId: string;
  /** The hold in mint that pays the price; absent for a free course. */
  readonly holdId?: string;
}

export interface RecordPaymentInput {
  readonly enrollmentId: string;
  /** The transaction in mint. */
  readonly transactionId: string;
}

export interface GetEnrollmentInput {
  readonly enrollmentId: string;
}

export type DropEnrollmentInput = GetEnrollmentInput;
export type VoidEnrollmentInput = GetEnrollmentInput;

export interface ExpireReservationsInput {
  /** 1 to 10000 reservations; 1000 when absent. */
  readonly limit?: number;
}

export interface ListEnrollmentsInput extends PageInput {
  readonly studentId?: string;
  readonly courseId?: string;
  readonly status?: EnrollmentStatus;
}

const enrollInput = z.strictObject({ studentId: idInput, courseId: idInput, idempotencyKey: keyInput });
const reserveInput = enrollInput.extend({ expiresIn: z.int().min(1).max(MAX_EXPIRES_IN_MS) });
const reservationInput = z.strictObject({ reservationId: idInput });
const findInput = z.strictObject({ idempotencyKey: keyInput });
const confirmInput = z.strictObject({ reservationId: idInput, holdId: idInput.optional() });
const paymentInput = z.strictObject({ enrollmentId: idInput, transactionId: idInput });
const expireInput = z.strictObject({ limit: z.int().min(1).max(MAX_EXPIRED).default(DEFAULT_EXPIRED) });
const listInput = z.strictObject({
  studentId: idInput.optional(),
  courseId: idInput.optional(),
  status: z.enum($Enums.EnrollmentStatus).optional(),
  ...pageFields,
});

/**
 * Enrolls a student in a course without a price, once per key.
 * @throws {SuiteError} as {@link reserveSeat}, and `EDUCATION.PAYMENT_REQUIRED`
 */
export async function enroll(education: Education, input: EnrollInput): Promise<Enrollment> {
  const { idempotencyKey, ...body } = readInput(enrollInput, input);
  const values = [idempotencyKey, requestHash(body), newId(), body.studentId, body.courseId];
  return onlyModel('enroll_student', await education.gathered.enroll(values));
}

/**
 * Keeps a seat of a published course for a student, once per key, until it is confirmed, cancelled or expired. `price` is what the
 * student pays in mint meanwhile. Returns the reservation as it is now, to a repeated call too.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.KEY_REUSED`, `EDUCATION.STUDENT_NOT_FOUND`,
 *   `EDUCATION.STUDENT_INACTIVE`, `EDUCATION.COURSE_NOT_FOUND`, `EDUCATION.COURSE_NOT_OPEN`, `EDUCATION.COURSE_FULL`,
 *   `EDUCATION.ALREADY_ENROLLED`, `EDUCATION.SEAT_RESERVED`, `EDUCATION.PREREQUISITES_MISSING`
 */
export async function reserveSeat(education: Education, input: ReserveSeatInput): Promise<SeatReservation> {
  const { idempotencyKey, ...body } = readInput(reserveInput, input);
  const { studentId, courseId, expiresIn } = body;
  const values = [idempotencyKey, requestHash(body), newId(), studentId, courseId, `${expiresIn} milliseconds`];
  return onlyModel('reserve_seat', await education.gathered.reserve(values));
}

/**
 * Makes the enrollment of a reservation, with the same id, once: a repeated call returns it. The terms of the refund are those of the
 * course now. The price counts as open until {@link recordPayment}.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.RESERVATION_NOT_FOUND`, `EDUCATION.RESERVATION_EXPIRED`,
 *   `EDUCATION.STATUS_REFUSED`, `EDUCATION.STUDENT_NOT_FOUND`, `EDUCATION.PAYMENT_REQUIRED`, `EDUCATION.PAYMENT_DIFFERS`
 */
export async function confirmEnrollment(education: Education, input: ConfirmEnrollmentInput): Promise<Enrollment> {
  const { reservationId, holdId = null } = readInput(confirmInput, input);
  return onlyModel('confirm_enrollment', await education.gathered.confirm([reservationId, holdId]));
}

/**
 * Records that the price was paid, once: a repeated call returns the enrollment. The consumer of mint's events does the same,
 * whichever comes first. If the enrollment was voided meanwhile, its whole price must be refunded.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.ENROLLMENT_NOT_FOUND`, `EDUCATION.PAYMENT_DIFFERS`
 */
export async function recordPayment(education: Education, input: RecordPaymentInput): Promise<Enrollment> {
  const { enrollmentId, transactionId } = readInput(paymentInput, input);
  return onlyModel('record_payment', await education.gathered.recordPayment([enrollmentId, transactionId]));
}

/**
 * Gives a reserved seat back. A reservation that was cancelled or expired is returned unchanged.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.RESERVATION_NOT_FOUND`, `EDUCATION.STATUS_REFUSED`: it is confirmed
 */
export async function cancelReservation(education: Education, input: CancelReservationInput): Promise<SeatReservation> {
  return callFunction(education, 'cancel_reservation', [readInput(reservationInput, input).reservationId]);
}

/**
 * Ends expired reservations, oldest first, and returns them; fewer than the limit when there are no more. Any number of callers may
 * run at the same time. The seats are free without it too; it publishes that they are.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function expireReservations(
  education: Education,
  input: ExpireReservationsInput = {},
): Promise<readonly SeatReservation[]> {
  return callForRows(education, 'expire_reservations', [readInput(expireInput, input).limit]);
}

/**
 * Ends an active enrollment on the wish of the student. `refundAmount` is what mint pays back under {@link refundKey}: the whole price
 * while the terms allow it, else 0. A dropped enrollment is returned unchanged.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.ENROLLMENT_NOT_FOUND`, `EDUCATION.STATUS_REFUSED`,
 *   `EDUCATION.PAYMENT_PENDING`
 */
export async function dropEnrollment(education: Education, input: DropEnrollmentInput): Promise<Enrollment> {
  return callFunction(education, 'drop_enrollment', [readInput(enrollmentInput, input).enrollmentId]);
}

/**
 * Ends an enrollment whose payment failed, without a refund: what a saga does to undo {@link confirmEnrollment}. A voided enrollment
 * is returned unchanged.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.ENROLLMENT_NOT_FOUND`, `EDUCATION.PAYMENT_SETTLED`,
 *   `EDUCATION.STATUS_REFUSED`
 */
export async function voidEnrollment(education: Education, input: VoidEnrollmentInput): Promise<Enrollment> {
  return callFunction(education, 'void_enrollment', [readInput(enrollmentInput, input).enrollmentId]);
}

/** The idempotency key under which mint pays the refund of an enrollment: the same for every attempt, so it is paid once. */
export function refundKey(enrollmentId: string): string {
  return `education.refund:${enrollmentId}`;
}

/**
 * A reservation by its id.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.RESERVATION_NOT_FOUND`
 */
export async function getReservation(education: Education, input: GetReservationInput): Promise<SeatReservation> {
  const { reservationId } = readInput(reservationInput, input);
  const reservation = await findRow<SeatReservation>(education, 'seat_reservations', 'id', reservationId);
  if (reservation === undefined) throw reservationNotFound({ reservationId });
  return reservation;
}

/**
 * The reservation that a key made, or null: what a saga needs to undo a step whose answer is lost.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function findReservation(
  education: Education,
  input: FindReservationInput,
): Promise<SeatReservation | null> {
  const { idempotencyKey } = readInput(findInput, input);
  return (await findRow<SeatReservation>(education, 'seat_reservations', 'request_key', idempotencyKey)) ?? null;
}

/**
 * An enrollment by its id.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.ENROLLMENT_NOT_FOUND`
 */
export async function getEnrollment(education: Education, input: GetEnrollmentInput): Promise<Enrollment> {
  const { enrollmentId } = readInput(enrollmentInput, input);
  const enrollment = await findRow<Enrollment>(education, 'enrollments', 'id', enrollmentId);
  if (enrollment === undefined) throw enrollmentNotFound({ enrollmentId });
  return enrollment;
}

/**
 * A page of the enrollments that meet every given filter, newest first.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function listEnrollments(
  education: Education,
  input: ListEnrollmentsInput = {},
): Promise<Page<Enrollment>> {
  const { studentId, courseId, status, ...page } = readInput(listInput, input);
  return listRows(
    education,
    'enrollments',
    [
      ['student_id = ?', studentId],
      ['course_id = ?', courseId],
      ['status = ?', status],
    ],
    page,
  );
}
