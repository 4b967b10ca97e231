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

/** The rows of the users of one block. They refer only to each other and to the fixed rows. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'students',
      columns: ['id', 'user_id', 'display_name', 'grade_level', 'country', 'created_at', 'updated_at'],
      rows: eachStudent(block, studentRow),
    },
    {
      table: 'enrollments',
      columns: ['id', 'student_id', 'course_id', 'progress', 'enrolled_at', 'created_at', 'updated_at'],
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
        'progress',
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
    {
      table: 'wallets',
      columns: ['id', 'student_id', 'balance', 'created_at', 'updated_at'],
      rows: eachStudent(block, walletRow),
    },
    {
      table: 'transactions',
      columns: [
        'id',
        'wallet_id',
        'type',
        'direction',
        'amount',
        'enrollment_id',
        'description',
        'idempotency_key',
        'created_at',
      ],
      rows: rowsPerUser(block, payments),
    },
  ];
}

const student = (user: number) => volumeId('education.Student', user);
const enrollment = (user: number) => volumeId('education.Enrollment', user);
const wallet = (user: number) => volumeId('education.Wallet', user);
const depositOf = (user: number) => 100 + (user % 5) * 20;
const PYTHON_PRICE = 100;
/** Completed lessons of the first module, which has three; nobody has completed all of them. */
const lessonsOf = (user: number) => user % 3;
const percentOf = (user: number) => [0, 33, 67][lessonsOf(user)] ?? 0;

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
  return [enrollment(user), student(user), PYTHON, percentOf(user) / 2, at, at, at];
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
    percentOf(user),
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

function walletRow(user: number, now: Date): SeedRow {
  const at = daysBefore(now, 45);
  return [wallet(user), student(user), depositOf(user) - PYTHON_PRICE, at, at];
}

function* payments(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const id = (n: number) => volumeId('education.Transaction', user * 2 + n);
  const key = (n: number) => `volume:${user}:${n}`;
  yield [id(0), wallet(user), 'deposit', 'in', depositOf(user), null, 'Study allowance', key(0), daysBefore(now, 45)];
  yield [
    id(1),
    wallet(user),
    'purchase',
    'out',
    PYTHON_PRICE,
    enrollment(user),
    'Introduction to Python Programming',
    key(1),
    daysBefore(now, 30),
  ];
}
