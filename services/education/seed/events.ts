import type { EducationTransaction } from '../src/index';

/** The events that the store would have published if it had written the rows of the seed, oldest first. */
const PUBLISH = `
  SELECT emit(name, key, payload, at) FROM (
    SELECT published_at AS at, 'course-published' AS name, id AS key,
      jsonb_build_object('courseId', id, 'instructorId', instructor_id, 'level', level) AS payload
    FROM courses WHERE id = ANY ($2) AND status = 'published'
    UNION ALL
    SELECT created_at, 'student-registered', id, jsonb_build_object('studentId', id, 'userId', user_id) FROM students WHERE id = $1
    UNION ALL
    SELECT enrolled_at, 'enrollment-confirmed', student_id, jsonb_build_object('enrollmentId', id, 'studentId', student_id,
      'courseId', course_id, 'price', price::text, 'paymentHoldId', payment_hold_id)
    FROM enrollments WHERE student_id = $1
    UNION ALL
    SELECT submitted_at, 'assessment-submitted', student_id, jsonb_build_object('submissionId', id, 'enrollmentId', enrollment_id,
      'studentId', student_id, 'moduleId', module_id, 'courseId', course_id, 'attempt', attempt)
    FROM assessment_submissions WHERE student_id = $1
    ORDER BY at, key
  ) AS events`;
const PUBLISH_GRADES = `SELECT publish_grade(s) FROM assessment_submissions AS s WHERE student_id = $1 AND status = 'graded'`;

export async function publishSeed(
  tx: EducationTransaction,
  { studentId, courseIds }: { readonly studentId: string; readonly courseIds: readonly string[] },
): Promise<void> {
  await tx.$executeRawUnsafe(PUBLISH, studentId, courseIds);
  await tx.$executeRawUnsafe(PUBLISH_GRADES, studentId);
}
