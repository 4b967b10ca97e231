import { itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

const COURSE = 'INSERT INTO courses (id, slug, instructor_id, title, category, duration_hours) VALUES';
const ENROLL = 'INSERT INTO enrollments (id, student_id, course_id) VALUES';
const PROGRESS = 'INSERT INTO learning_progress (id, enrollment_id, student_id, course_id, module_id) VALUES';
const SUBMIT = `INSERT INTO assessment_submissions
  (id, enrollment_id, student_id, course_id, module_id, attempt, answers) VALUES`;
const PAY = `INSERT INTO transactions (id, wallet_id, type, direction, amount, enrollment_id, idempotency_key) VALUES`;

/** The mistake, the statement, and the constraint that rejects it. */
const REFUSED = [
  ['a student without a name', "UPDATE students SET display_name = ' '", 'students_display_name_check'],
  ['grade 13', 'UPDATE students SET grade_level = 13', 'students_grade_level_check'],
  ['a country that is not a two-letter code', "UPDATE students SET country = 'za'", 'students_country_check'],
  [
    'a second student row for a user',
    "INSERT INTO students (id, user_id, display_name) VALUES ('s', 'user-ada', 'Ada')",
    'students_user_id_key',
  ],
  ['an invalid slug', "UPDATE courses SET slug = 'Go!' WHERE id = 'go'", 'courses_slug_check'],
  [
    'a second course with the same slug',
    `${COURSE} ('x', 'go', 'teacher', 'Go', 'Programming', 1)`,
    'courses_slug_key',
  ],
  ['a course without a title', "UPDATE courses SET title = ''", 'courses_title_check'],
  ['a course without a category', "UPDATE courses SET category = ''", 'courses_category_check'],
  ['a negative price', 'UPDATE courses SET price = -1', 'courses_price_check'],
  ['NaN as a price', "UPDATE courses SET price = 'NaN'", 'courses_price_check'],
  ['a course with a duration of 0 hours', 'UPDATE courses SET duration_hours = 0', 'courses_duration_hours_check'],
  [
    'a published course without a publication time',
    "UPDATE courses SET status = 'published'",
    'courses_published_at_check',
  ],
  ['a module without a title', "UPDATE modules SET title = ''", 'modules_title_check'],
  ['a module at position 0', "UPDATE modules SET position = 0 WHERE id = 'go-1'", 'modules_position_check'],
  [
    'a module with a duration of 0 minutes',
    'UPDATE modules SET duration_minutes = 0',
    'modules_duration_minutes_check',
  ],
  [
    'a second module at the same position',
    "INSERT INTO modules (id, course_id, position, title) VALUES ('m', 'go', 1, 'First')",
    'modules_course_id_position_key',
  ],
  ['progress below 0', 'UPDATE enrollments SET progress = -1', 'enrollments_progress_check'],
  ['progress above 100', 'UPDATE enrollments SET progress = 100.01', 'enrollments_progress_check'],
  [
    'completion at less than 100 %',
    "UPDATE enrollments SET status = 'completed', completed_at = now(), progress = 99",
    'enrollments_completed_progress_check',
  ],
  [
    'completion without a completion time',
    "UPDATE enrollments SET status = 'completed', progress = 100",
    'enrollments_completed_at_check',
  ],
  ['dropping out without a time', "UPDATE enrollments SET status = 'dropped'", 'enrollments_dropped_at_check'],
  [
    'an end before the start',
    "UPDATE enrollments SET status = 'dropped', dropped_at = '2020-01-01'",
    'enrollments_ends_after_start_check',
  ],
  [
    'a second active enrollment in a course',
    `${ENROLL} ('e', 'ada', 'go')`,
    'enrollments_student_id_course_id_active_key',
  ],
  [
    'progress in a module of another course',
    `${PROGRESS} ('p', 'ada-go', 'ada', 'go', 'c-1')`,
    'learning_progress_module_id_course_id_fkey',
  ],
  [
    "progress in another student's enrollment",
    `${PROGRESS} ('p', 'ben-go', 'ada', 'go', 'go-1')`,
    'learning_progress_enrollment_id_student_id_course_id_fkey',
  ],
  [
    'a second progress row for a module',
    `${PROGRESS} ('p', 'ada-go', 'ada', 'go', 'go-1')`,
    'learning_progress_enrollment_id_module_id_key',
  ],
  ['module progress above 100', 'UPDATE learning_progress SET progress = 101', 'learning_progress_progress_check'],
  [
    'a negative number of lessons',
    'UPDATE learning_progress SET completed_lessons = -1',
    'learning_progress_completed_lessons_check',
  ],
  [
    'negative study time',
    'UPDATE learning_progress SET time_spent_seconds = -1',
    'learning_progress_time_spent_seconds_check',
  ],
  [
    'a completed module without a completion time',
    'UPDATE learning_progress SET progress = 100',
    'learning_progress_completed_at_check',
  ],
  [
    'a second submission of the same attempt',
    `${SUBMIT} ('s', 'ada-go', 'ada', 'go', 'go-1', 1, '{}')`,
    'assessment_submissions_enrollment_id_module_id_attempt_key',
  ],
  [
    'attempt number 0',
    `${SUBMIT} ('s', 'ada-go', 'ada', 'go', 'go-2', 0, '{}')`,
    'assessment_submissions_attempt_check',
  ],
  [
    'NaN as the maximum score',
    "UPDATE assessment_submissions SET max_score = 'NaN'",
    'assessment_submissions_max_score_check',
  ],
  ['a maximum score of 0', 'UPDATE assessment_submissions SET max_score = 0', 'assessment_submissions_max_score_check'],
  [
    'a score above the maximum',
    "UPDATE assessment_submissions SET score = 101, status = 'graded', graded_at = now()",
    'assessment_submissions_score_check',
  ],
  [
    'a grade without a score',
    "UPDATE assessment_submissions SET status = 'graded', graded_at = now()",
    'assessment_submissions_graded_check',
  ],
  [
    'a grade before the submission',
    "UPDATE assessment_submissions SET score = 1, status = 'graded', graded_at = '2020-01-01'",
    'assessment_submissions_graded_at_check',
  ],
  ['NaN as a balance', "UPDATE wallets SET balance = 'NaN'", 'wallets_balance_check'],
  ['a balance below zero', 'UPDATE wallets SET balance = -0.00000001', 'wallets_balance_check'],
  [
    'a second wallet of a student',
    "INSERT INTO wallets (id, student_id) VALUES ('w', 'ada')",
    'wallets_student_id_key',
  ],
  [
    'a transaction with amount NaN',
    `${PAY} ('t', 'purse', 'reward', 'in', 'NaN', NULL, 't')`,
    'transactions_amount_check',
  ],
  ['a transaction with amount 0', `${PAY} ('t', 'purse', 'reward', 'in', 0, NULL, 't')`, 'transactions_amount_check'],
  ['an outgoing reward', `${PAY} ('t', 'purse', 'reward', 'out', 1, NULL, 't')`, 'transactions_direction_check'],
  [
    'a purchase without an enrollment',
    `${PAY} ('t', 'purse', 'purchase', 'out', 1, NULL, 't')`,
    'transactions_enrollment_check',
  ],
  [
    'a second payment for an enrollment',
    `${PAY} ('t', 'purse', 'purchase', 'out', 1, 'ada-go', 't')`,
    'transactions_enrollment_id_type_key',
  ],
  [
    'a second transaction with the same idempotency key',
    `${PAY} ('t', 'purse', 'deposit', 'in', 20, NULL, 'deposit')`,
    'transactions_idempotency_key_key',
  ],
  [
    'a blank idempotency key',
    `${PAY} ('t', 'purse', 'deposit', 'in', 20, NULL, ' ')`,
    'transactions_idempotency_key_check',
  ],
  [
    'a blank description',
    `INSERT INTO transactions (id, wallet_id, type, direction, amount, description, idempotency_key)
     VALUES ('t', 'purse', 'deposit', 'in', 20, ' ', 't')`,
    'transactions_description_check',
  ],
  ['the deletion of a student with a wallet', "DELETE FROM students WHERE id = 'cy'", 'wallets_student_id_fkey'],
  ['the deletion of a course with enrollments', "DELETE FROM courses WHERE id = 'rust'", 'enrollments_course_id_fkey'],
] as const;

describe('the education schema', () => {
  const db = useDatabase('education');

  beforeAll(async () => {
    await db().app(
      "INSERT INTO students (id, user_id, display_name) VALUES ('ada', 'user-ada', 'Ada'), ('ben', 'user-ben', 'Ben'), ('cy', 'user-cy', 'Cy')",
    );
    await db().app(
      `${COURSE} ('go', 'go', 'teacher', 'Go', 'Programming', 1), ('c', 'c', 'teacher', 'C', 'Programming', 1),
        ('rust', 'rust', 'teacher', 'Rust', 'Programming', 1)`,
    );
    await db().app(`INSERT INTO modules (id, course_id, position, title) VALUES
      ('go-1', 'go', 1, 'First'), ('go-2', 'go', 2, 'Second'), ('c-1', 'c', 1, 'First')`);
    await db().app(`${ENROLL} ('ada-go', 'ada', 'go'), ('ben-go', 'ben', 'go'), ('ben-rust', 'ben', 'rust')`);
    await db().app(`${PROGRESS} ('progress', 'ada-go', 'ada', 'go', 'go-1')`);
    await db().app(`${SUBMIT} ('first', 'ada-go', 'ada', 'go', 'go-1', 1, '{}')`);
    await db().app("INSERT INTO wallets (id, student_id, balance) VALUES ('purse', 'ada', 10), ('empty', 'cy', 0)");
    await db().app(`${PAY} ('deposit', 'purse', 'deposit', 'in', 20, NULL, 'deposit')`);
    await db().app(`${PAY} ('purchase', 'purse', 'purchase', 'out', 10, 'ada-go', 'purchase')`);
  });

  it.each(REFUSED)('rejects %s', async (_what, sql, constraint) => {
    await schemaRefuses(db().app(sql), constraint);
  });

  it.each([
    "UPDATE transactions SET amount = 1 WHERE id = 'deposit'",
    "DELETE FROM transactions WHERE id = 'deposit'",
    'TRUNCATE transactions',
  ])('rejects, even from the administrator: %s', async (sql) => {
    const message = `${sql.split(' ')[0]} on transactions is refused: its rows are never changed`;

    await expect(db().admin(sql)).rejects.toMatchObject({ code: '23001', message });
  });

  it('gives the app role no privilege to change transactions', async () => {
    await expect(db().app('UPDATE transactions SET amount = 1')).rejects.toMatchObject({ code: '42501' });
  });

  it('accepts one of eight concurrent enrollments of a student who dropped out', async () => {
    await db().app("UPDATE enrollments SET status = 'dropped', dropped_at = now() WHERE id = 'ben-go'");
    const attempts = Array.from({ length: 8 }, (_, n) => db().app(`${ENROLL} ('again-${n}', 'ben', 'go')`));
    const refused = await refusalsOf(attempts);

    expect(refused).toEqual(Array(7).fill('enrollments_student_id_course_id_active_key'));
  });

  it('deletes the modules of a course with it', async () => {
    await db().app("DELETE FROM courses WHERE id = 'c'");

    expect(await db().app("SELECT id FROM modules WHERE course_id = 'c'")).toEqual([]);
  });

  it('finds a course by the stem of a word in its description', async () => {
    await db().app(`INSERT INTO courses (id, slug, instructor_id, title, category, duration_hours, description)
      VALUES ('bread', 'bread', 'teacher', 'Bread', 'Baking', 1, 'Fermenting dough')`);

    const query = "SELECT id FROM courses WHERE search @@ websearch_to_tsquery('english', 'ferment')";
    expect(await db().app(query)).toEqual([{ id: 'bread' }]);
  });

  itTestsEveryCheck(
    db,
    REFUSED.map(([, , constraint]) => constraint),
  );

  itKeepsAnAuditLog(db);
});
