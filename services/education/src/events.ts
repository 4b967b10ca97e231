import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this or another service, as `newId` and the seed make them. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
/** An amount of AZR with its 8 decimals. */
const amount = z.string().regex(/^\d{1,10}\.\d{8}$/);
const time = z.iso.datetime({ offset: true });

const education = { service: 'education', version: 1 } as const;
/** The student orders the events of learning, the course those of teaching. */
const ofStudent = ({ studentId }: { readonly studentId: string }) => studentId;
const ofCourse = ({ courseId }: { readonly courseId: string }) => courseId;

export const studentRegistered = defineEvent({
  ...education,
  name: 'student-registered',
  about: 'A user became a student.',
  data: z.strictObject({ studentId: id, userId: id }),
  key: ofStudent,
});

export const studentStatusChanged = defineEvent({
  ...education,
  name: 'student-status-changed',
  about: 'A student paused, came back or graduated.',
  data: z.strictObject({ studentId: id, status: z.enum(['active', 'paused', 'graduated']) }),
  key: ofStudent,
});

export const studentErased = defineEvent({
  ...education,
  name: 'student-erased',
  about: 'The personal data of a student was removed.',
  data: z.strictObject({ studentId: id }),
  key: ofStudent,
});

export const coursePublished = defineEvent({
  ...education,
  name: 'course-published',
  about: 'A complete course is open for students.',
  data: z.strictObject({ courseId: id, instructorId: id, level: z.enum(['beginner', 'intermediate', 'advanced']) }),
  key: ofCourse,
});

export const courseArchived = defineEvent({
  ...education,
  name: 'course-archived',
  about: 'A course accepts no more students.',
  data: z.strictObject({ courseId: id, instructorId: id }),
  key: ofCourse,
});

export const seatReserved = defineEvent({
  ...education,
  name: 'seat-reserved',
  about: 'A seat of a course is kept for a student until it is confirmed, released or expired.',
  data: z.strictObject({ reservationId: id, studentId: id, courseId: id, price: amount, expiresAt: time }),
  key: ofStudent,
});

export const seatReleased = defineEvent({
  ...education,
  name: 'seat-released',
  about: 'A reserved seat is free again.',
  data: z.strictObject({ reservationId: id, studentId: id, courseId: id, reason: z.enum(['cancelled', 'expired']) }),
  key: ofStudent,
});

const ofEnrollment = { enrollmentId: id, studentId: id, courseId: id };

export const enrollmentConfirmed = defineEvent({
  ...education,
  name: 'enrollment-confirmed',
  about: 'A student is enrolled in a course; paymentHoldId is the hold in mint that pays the price.',
  data: z.strictObject({ ...ofEnrollment, price: amount, paymentHoldId: id.nullable() }),
  key: ofStudent,
});

export const enrollmentPaid = defineEvent({
  ...education,
  name: 'enrollment-paid',
  about: 'The price of an enrollment was paid.',
  data: z.strictObject({ ...ofEnrollment, transactionId: id }),
  key: ofStudent,
});

export const enrollmentDropped = defineEvent({
  ...education,
  name: 'enrollment-dropped',
  about: 'A student left a course, its payment failed, or the person was erased.',
  data: z.strictObject({ ...ofEnrollment, reason: z.enum(['student', 'unpaid', 'erased']) }),
  key: ofStudent,
});

export const refundDue = defineEvent({
  ...education,
  name: 'refund-due',
  about: 'The price of a dropped enrollment must be paid back in mint, under the key that refundKey() returns.',
  data: z.strictObject({ ...ofEnrollment, amount }),
  key: ofStudent,
});

export const moduleCompleted = defineEvent({
  ...education,
  name: 'module-completed',
  about: 'A student did every lesson of a module.',
  data: z.strictObject({ ...ofEnrollment, moduleId: id }),
  key: ofStudent,
});

const ofSubmission = { submissionId: id, ...ofEnrollment, moduleId: id };

export const assessmentSubmitted = defineEvent({
  ...education,
  name: 'assessment-submitted',
  about: 'A student handed in an attempt at an assessment.',
  data: z.strictObject({ ...ofSubmission, attempt: z.int().min(1) }),
  key: ofStudent,
});

export const submissionGraded = defineEvent({
  ...education,
  name: 'submission-graded',
  about: 'A submission was graded or regraded.',
  data: z.strictObject({ ...ofSubmission, isPassed: z.boolean() }),
  key: ofStudent,
});

export const enrollmentCompleted = defineEvent({
  ...education,
  name: 'enrollment-completed',
  about: 'A student completed a course.',
  data: z.strictObject(ofEnrollment),
  key: ofStudent,
});

export const certificateIssued = defineEvent({
  ...education,
  name: 'certificate-issued',
  about: 'A student has the certificate of a course.',
  data: z.strictObject({ certificateId: id, ...ofEnrollment, number: z.string().regex(/^AZ-\d{4}-\d{8,19}$/) }),
  key: ofStudent,
});

export const certificateRevoked = defineEvent({
  ...education,
  name: 'certificate-revoked',
  about: 'A certificate is no longer valid.',
  data: z.strictObject({
    certificateId: id,
    studentId: id,
    courseId: id,
    reason: z.enum(['issued_in_error', 'misconduct', 'holder_request']),
  }),
  key: ofStudent,
});

/** The events that education publishes; the SQL functions of prisma/migrations write them. */
export const EVENTS = [
  studentRegistered,
  studentStatusChanged,
  studentErased,
  coursePublished,
  courseArchived,
  seatReserved,
  seatReleased,
  enrollmentConfirmed,
  enrollmentPaid,
  enrollmentDropped,
  refundDue,
  moduleCompleted,
  assessmentSubmitted,
  submissionGraded,
  enrollmentCompleted,
  certificateIssued,
  certificateRevoked,
] as const;
