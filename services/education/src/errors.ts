import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; amounts add `MONEY.*`, the connection adds `DATABASE.*`. */
export const EDUCATION_ERROR_CODES = [
  'EDUCATION.ALREADY_ENROLLED',
  'EDUCATION.ASSESSMENTS_UNPASSED',
  'EDUCATION.ASSESSMENT_NOT_FOUND',
  'EDUCATION.ATTEMPTS_EXHAUSTED',
  'EDUCATION.CERTIFICATE_NOT_FOUND',
  'EDUCATION.COURSE_FIXED',
  'EDUCATION.COURSE_FULL',
  'EDUCATION.COURSE_INCOMPLETE',
  'EDUCATION.COURSE_NOT_FOUND',
  'EDUCATION.COURSE_NOT_OPEN',
  'EDUCATION.COURSE_UNFINISHED',
  'EDUCATION.DEADLINE_PASSED',
  'EDUCATION.ENROLLMENT_ENDED',
  'EDUCATION.ENROLLMENT_NOT_FOUND',
  'EDUCATION.GRADE_ORDER',
  'EDUCATION.INVALID_INPUT',
  'EDUCATION.KEY_REUSED',
  'EDUCATION.MODULE_NOT_FOUND',
  'EDUCATION.PAYMENT_DIFFERS',
  'EDUCATION.PAYMENT_PENDING',
  'EDUCATION.PAYMENT_REQUIRED',
  'EDUCATION.PAYMENT_SETTLED',
  'EDUCATION.PREREQUISITES_MISSING',
  'EDUCATION.PREREQUISITE_CYCLE',
  'EDUCATION.RECORD_FIXED',
  'EDUCATION.RESERVATION_EXPIRED',
  'EDUCATION.RESERVATION_NOT_FOUND',
  'EDUCATION.SEAT_RESERVED',
  'EDUCATION.SLUG_TAKEN',
  'EDUCATION.STATUS_REFUSED',
  'EDUCATION.STILL_ENROLLED',
  'EDUCATION.STUDENT_INACTIVE',
  'EDUCATION.STUDENT_NOT_FOUND',
  'EDUCATION.SUBMISSION_NOT_FOUND',
] as const;

export type EducationErrorCode = (typeof EDUCATION_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids, and amounts as text. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; EDUCATION.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('EDUCATION.INVALID_INPUT');

/** EDUCATION.INVALID_INPUT: SQL rejected a field that passed the input schema. */
function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('EDUCATION.INVALID_INPUT', 'The input is not valid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct the named fields and call again',
    meta: { fields: [field] },
  });
}

/** EDUCATION.STUDENT_NOT_FOUND: no student has this id, or the student was deleted. */
export function studentNotFound(facts: Facts): SuiteError {
  return new SuiteError('EDUCATION.STUDENT_NOT_FOUND', 'The student does not exist', {
    why: 'No student has this id, or the student was deleted.',
    next: 'Pass the id that registerStudent() returned',
    meta: facts,
  });
}

/** EDUCATION.COURSE_NOT_FOUND: no course has this id, or the course was deleted. */
export function courseNotFound(facts: Facts): SuiteError {
  return new SuiteError('EDUCATION.COURSE_NOT_FOUND', 'The course does not exist', {
    why: 'No course has this id, or the course was deleted.',
    next: 'Pass the id that createCourse() returned',
    meta: facts,
  });
}

/** EDUCATION.ENROLLMENT_NOT_FOUND: no enrollment has this id. */
export function enrollmentNotFound(facts: Facts): SuiteError {
  return new SuiteError('EDUCATION.ENROLLMENT_NOT_FOUND', 'The enrollment does not exist', {
    next: 'Pass the id that enroll() or confirmEnrollment() returned',
    meta: facts,
  });
}

/** EDUCATION.RESERVATION_NOT_FOUND: no reservation has this id. */
export function reservationNotFound(facts: Facts): SuiteError {
  return new SuiteError('EDUCATION.RESERVATION_NOT_FOUND', 'The reservation does not exist', {
    next: 'Pass the id that reserveSeat() returned',
    meta: facts,
  });
}

/** EDUCATION.SUBMISSION_NOT_FOUND: no submission has this id. */
export function submissionNotFound(facts: Facts): SuiteError {
  return new SuiteError('EDUCATION.SUBMISSION_NOT_FOUND', 'The submission does not exist', {
    next: 'Pass the id that submitAssessment() returned',
    meta: facts,
  });
}

/** EDUCATION.CERTIFICATE_NOT_FOUND: no certificate has this id. */
export function certificateNotFound(facts: Facts): SuiteError {
  return new SuiteError('EDUCATION.CERTIFICATE_NOT_FOUND', 'The certificate does not exist', {
    next: 'Pass the id that completeCourse() returned',
    meta: facts,
  });
}

/** EDUCATION.MODULE_NOT_FOUND: no module of the course has this id. */
function moduleNotFound(facts: Facts): SuiteError {
  return new SuiteError('EDUCATION.MODULE_NOT_FOUND', 'The module does not exist', {
    why: 'No module has this id, or it belongs to another course.',
    next: 'Pass an id that listModules() returns for the course',
    meta: facts,
  });
}

/** EDUCATION.RECORD_FIXED: a client changed a row that only a function of the store changes. */
function recordFixed(facts: Facts): SuiteError {
  return new SuiteError('EDUCATION.RECORD_FIXED', 'This record does not change', {
    kind: 'usage',
    why: 'Submissions, grades and certificates keep what was recorded, and positions of modules have no gaps.',
    next: 'Use the functions of the store',
    meta: facts,
  });
}

/** EDUCATION.PAYMENT_DIFFERS: an enrollment has one payment, and a payment one enrollment. */
function paymentDiffers(facts: Facts): SuiteError {
  return new SuiteError('EDUCATION.PAYMENT_DIFFERS', 'The payment does not belong to this enrollment', {
    kind: 'usage',
    why: 'An enrollment has one hold and one transaction, a free course has none, and no two enrollments share one.',
    next: 'Pass the hold or the transaction that was made for this enrollment',
    meta: facts,
  });
}

const NOUNS: Readonly<Record<string, string>> = {
  students: 'A student',
  courses: 'A course',
  enrollments: 'An enrollment',
  seat_reservations: 'A reservation',
  assessment_submissions: 'A submission',
};

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  expiry_invalid: () => invalidField('expiresIn', 'is not above 0 and at most seven days'),
  position_invalid: () => invalidField('position', 'leaves a gap between the modules'),
  order_invalid: () => invalidField('moduleIds', 'does not name each module of the course once'),
  lessons_invalid: ({ lessons }) =>
    invalidField('completedLessons', `is not from 0 to ${lessons}, the lessons of the module`),
  score_invalid: ({ maxScore }) => invalidField('score', `is not from 0 to ${maxScore} with at most two decimals`),
  grader_missing: () => invalidField('gradedById', 'is missing'),
  assessment_submissions_answers_check: () => invalidField('answers', 'is not an object'),
  assessments_max_score_check: () => invalidField('answerKey', 'has no points'),
  assessments_pass_score_check: () => invalidField('passScore', 'is above the maximum score'),
  student_not_found: studentNotFound,
  course_not_found: courseNotFound,
  enrollment_not_found: enrollmentNotFound,
  reservation_not_found: reservationNotFound,
  submission_not_found: submissionNotFound,
  certificate_not_found: certificateNotFound,
  module_not_found: moduleNotFound,
  assessment_not_found: (facts) =>
    new SuiteError('EDUCATION.ASSESSMENT_NOT_FOUND', 'The module has no assessment', {
      next: 'Add one with setAssessment() while the course is a draft',
      meta: facts,
    }),
  courses_slug_key: () =>
    new SuiteError('EDUCATION.SLUG_TAKEN', 'Another course has this slug', {
      why: 'Slugs of deleted courses stay taken, because links may still use them.',
      next: 'Choose another slug, or read the course with findCourse()',
    }),
  key_reused: ({ operation, asked }) =>
    new SuiteError('EDUCATION.KEY_REUSED', 'The idempotency key belongs to another request', {
      kind: 'usage',
      why:
        operation === asked
          ? `The key was used for ${operation} with different input.`
          : `The key was used for ${operation}, not for ${asked}.`,
      next: 'Use a new key for a new request, and repeat a request unchanged',
      meta: { operation, asked },
    }),
  status_transition: ({ table, id, from, to }) =>
    new SuiteError('EDUCATION.STATUS_REFUSED', `${NOUNS[String(table)] ?? 'A row'} cannot go from ${from} to ${to}`, {
      why: 'services/education/README.md lists the transitions of each status.',
      next: 'Read the row again; its status has changed',
      meta: { table, id, from, to },
    }),
  course_fixed: ({ courseId, status }) =>
    new SuiteError('EDUCATION.COURSE_FIXED', `This change is not possible in a course that is ${status}`, {
      why: 'Modules, lessons and assessments are added and removed in a draft; an archived course does not change.',
      next: 'Create a new course for a new structure',
      meta: { courseId, status },
    }),
  course_incomplete: ({ courseId, missing }) =>
    new SuiteError('EDUCATION.COURSE_INCOMPLETE', 'Only a complete course is published', {
      why: `The course needs ${textOf(missing)}.`,
      next: 'Complete the course, then call publishCourse() again',
      meta: { courseId, missing },
    }),
  prerequisite_cycle: ({ courseId }) =>
    new SuiteError('EDUCATION.PREREQUISITE_CYCLE', 'A course cannot be a prerequisite of itself', {
      kind: 'usage',
      why: 'One of the prerequisites needs this course, directly or through others.',
      next: 'Leave out that prerequisite',
      meta: { courseId },
    }),
  student_inactive: ({ studentId, status }) =>
    new SuiteError('EDUCATION.STUDENT_INACTIVE', `The student is ${status}`, {
      why: 'Only an active student enrolls in a course.',
      next: 'Call changeStudentStatus() first, if the student is paused',
      meta: { studentId, status },
    }),
  course_not_open: ({ courseId, status }) =>
    new SuiteError('EDUCATION.COURSE_NOT_OPEN', `The course is ${status}`, {
      why: 'Only a published course accepts students.',
      next: 'Choose a published course',
      meta: { courseId, status },
    }),
  course_full: ({ courseId, capacity }) =>
    new SuiteError('EDUCATION.COURSE_FULL', 'The course has no free seat', {
      why: `Active enrollments and open reservations take all ${capacity} seats.`,
      next: 'Try again later, or raise the capacity with updateCourse()',
      meta: { courseId, capacity },
    }),
  already_enrolled: ({ studentId, courseId, status }) =>
    new SuiteError('EDUCATION.ALREADY_ENROLLED', 'The student takes or took this course', {
      why: `The enrollment is ${status}.`,
      next: 'Read it with listEnrollments()',
      meta: { studentId, courseId, status },
    }),
  seat_reserved: ({ studentId, courseId }) =>
    new SuiteError('EDUCATION.SEAT_RESERVED', 'The student has an open reservation of this course', {
      next: 'Confirm or cancel it, or wait until it expires',
      meta: { studentId, courseId },
    }),
  prerequisites_missing: ({ courseId, missing }) =>
    new SuiteError('EDUCATION.PREREQUISITES_MISSING', 'The student has not completed the prerequisites', {
      why: 'meta.missing lists the courses to complete first.',
      next: 'Complete these courses, then enroll again',
      meta: { courseId, missing },
    }),
  reservation_expired: ({ reservationId, expiredAt }) =>
    new SuiteError('EDUCATION.RESERVATION_EXPIRED', 'The reservation has expired', {
      why: `It could be confirmed until ${isoTime(expiredAt)}.`,
      next: 'Reserve a seat again',
      meta: { reservationId, expiredAt: isoTime(expiredAt) },
    }),
  payment_required: ({ courseId, price }) =>
    new SuiteError('EDUCATION.PAYMENT_REQUIRED', 'The course has a price', {
      why: `Its price is ${price} AZR, which the student pays in mint.`,
      next: 'Call reserveSeat(), set the price aside with hold() of mint, and pass its id to confirmEnrollment()',
      meta: { courseId, price },
    }),
  payment_differs: paymentDiffers,
  enrollments_payment_hold_id_key: paymentDiffers,
  enrollments_payment_transaction_id_key: paymentDiffers,
  payment_pending: ({ enrollmentId }) =>
    new SuiteError('EDUCATION.PAYMENT_PENDING', 'The payment of the enrollment is open', {
      why: 'The hold was confirmed, and its payment was not recorded yet.',
      next: 'Call recordPayment() or voidEnrollment() with the outcome of the payment, then repeat the call',
      meta: { enrollmentId },
    }),
  enrollment_not_unpaid: ({ enrollmentId }) =>
    new SuiteError('EDUCATION.PAYMENT_SETTLED', 'The enrollment is free, or its payment is recorded', {
      why: 'Only an enrollment with an open payment is voided.',
      next: 'Call dropEnrollment(), which decides the refund',
      meta: { enrollmentId },
    }),
  enrollment_ended: ({ enrollmentId, status }) =>
    new SuiteError('EDUCATION.ENROLLMENT_ENDED', `The enrollment is ${status}`, {
      why: 'Only an active enrollment has progress and submissions.',
      next: 'Enroll again, if the student dropped out',
      meta: { enrollmentId, status },
    }),
  course_unfinished: ({ enrollmentId, progress }) =>
    new SuiteError('EDUCATION.COURSE_UNFINISHED', 'The course is not finished', {
      why: `The progress is ${progress} %.`,
      next: 'Record the remaining lessons with recordProgress(), then complete the course',
      meta: { enrollmentId, progress },
    }),
  assessments_unpassed: ({ enrollmentId, modules }) =>
    new SuiteError('EDUCATION.ASSESSMENTS_UNPASSED', 'Required assessments are not passed', {
      why: 'meta.modules lists the modules whose assessment is missing.',
      next: 'Pass these assessments, then complete the course',
      meta: { enrollmentId, modules },
    }),
  attempts_exhausted: ({ moduleId, maxAttempts }) =>
    new SuiteError('EDUCATION.ATTEMPTS_EXHAUSTED', 'The student has no attempt left', {
      why: `The assessment allows ${maxAttempts} attempts.`,
      next: 'Regrade an earlier submission with regradeSubmission()',
      meta: { moduleId, maxAttempts },
    }),
  deadline_passed: ({ moduleId, deadline }) =>
    new SuiteError('EDUCATION.DEADLINE_PASSED', 'The deadline of the assessment has passed', {
      why: `Submissions were accepted until ${isoTime(deadline)}.`,
      next: 'Regrade an earlier submission with regradeSubmission()',
      meta: { moduleId, deadline: isoTime(deadline) },
    }),
  grade_order: ({ submissionId, status }) =>
    new SuiteError('EDUCATION.GRADE_ORDER', `The submission is ${status}`, {
      why: 'A submission is graded once, and regraded after that.',
      next: status === 'graded' ? 'Call regradeSubmission()' : 'Call gradeSubmission()',
      meta: { submissionId, status },
    }),
  still_enrolled: (facts) =>
    new SuiteError('EDUCATION.STILL_ENROLLED', 'Seats are taken by active enrollments or open reservations', {
      next: 'End them with dropEnrollment() and cancelReservation(), then delete',
      meta: facts,
    }),
  submission_fixed: recordFixed,
  certificate_fixed: recordFixed,
  grades_append_only: recordFixed,
  module_positions: recordFixed,
};

function textOf(list: unknown): string {
  return Array.isArray(list) ? list.join(', ') : String(list);
}

/** PostgreSQL writes a time in JSON with the offset of its session. */
function isoTime(value: unknown): string {
  return new Date(String(value)).toISOString();
}
