import {
  rowsPerUser,
  type SeedBlock,
  type SeedRow,
  seedId,
  type TableRows,
  volumeId,
  volumePerson,
} from '@azora/db-core';

const DAY_MS = 86_400_000;
const daysBefore = (now: Date, days: number) => new Date(now.getTime() - days * DAY_MS);

const PYTHON = seedId('education.Course.python');
const PYTHON_BASICS = seedId('education.Module.python-basics');

/**
 * The rows of the users of one block. They refer only to each other and to the fixed rows. Wallets are left out: mint's events bring
 * them, so that they have the balances of mint.
 */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'students',
      columns: ['id', 'user_id', 'display_name', 'grade_level', 'country', 'created_at', 'updated_at'],
      rows: eachStudent(block, studentRow),
    },
    {
      table: 'enrollments',
      columns: ['id', 'student_id', 'course_id', 'enrolled_at', 'created_at', 'updated_at'],
      rows: eachStudent(block, enrollmentRow),
    },
    {
      table: 'learning_progress',
      columns: [
        'id',
        'enrollment_id',
        'student_id',
        'course_id',
        'module_id',
        'completed_lessons',
        'time_spent_seconds',
        'last_accessed_at',
        'created_at',
        'updated_at',
      ],
      rows: eachStudent(block, progressRow),
    },
    {
      table: 'assessment_submissions',
      columns: [
        'id',
        'enrollment_id',
        'student_id',
        'course_id',
        'module_id',
        'answers',
        'score',
        'status',
        'submitted_at',
        'graded_at',
        'created_at',
        'updated_at',
      ],
      rows: eachStudent(block, submissionRow),
    },
  ];
}

const student = (user: number) => volumeId('education.Student', user);
const enrollment = (user: number) => volumeId('education.Enrollment', user);
/** Completed lessons of the first module, which has four; nobody has completed all of them. */
const lessonsOf = (user: number) => user % 3;

/** One row per user. Educators and employers take the Python course too. */
function eachStudent(block: SeedBlock, rowOf: (user: number, now: Date) => SeedRow): Iterable<SeedRow> {
  return rowsPerUser(block, (user, { now }) => [rowOf(user, now)]);
}

function studentRow(user: number, now: Date): SeedRow {
  const { id, name, country } = volumePerson(user);
  const at = daysBefore(now, 45);
  return [student(user), id, name, 8 + (user % 5), country, at, at];
}

function enrollmentRow(user: number, now: Date): SeedRow {
  const at = daysBefore(now, 30);
  return [enrollment(user), student(user), PYTHON, at, at, at];
}

function progressRow(user: number, now: Date): SeedRow {
  const at = daysBefore(now, 30);
  return [
    volumeId('education.LearningProgress', user),
    enrollment(user),
    student(user),
    PYTHON,
    PYTHON_BASICS,
    lessonsOf(user),
    lessonsOf(user) * 3_600,
    daysBefore(now, user % 14),
    at,
    at,
  ];
}

function submissionRow(user: number, now: Date): SeedRow {
  const at = daysBefore(now, 20);
  const graded = user % 2 === 0;
  return [
    volumeId('education.AssessmentSubmission', user),
    enrollment(user),
    student(user),
    PYTHON,
    PYTHON_BASICS,
    { q1: 'A name for a value' },
    graded ? 50 + (user % 50) : null,
    graded ? 'graded' : 'submitted',
    at,
    graded ? daysBefore(now, 18) : null,
    at,
    at,
  ];
}
