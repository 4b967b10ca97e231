import { itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

const COURSE = 'INSERT INTO courses (id, slug, instructor_id, title, category, duration_hours) VALUES';
const ENROLL = 'INSERT INTO enrollments (id, student_id, course_id) VALUES';
const ENDED = `INSERT INTO enrollments (id, student_id, course_id, status, dropped_at, progress, price, refund_amount, refund_key_hash)
  VALUES ('e', 'cy', 'go', 'dropped', now(),`;
const PROGRESS = 'INSERT INTO learning_progress (id, enrollment_id, student_id, course_id, module_id) VALUES';
/** The trigger computes the percentages, so only a database without it can reach the constraints. */
const WITHOUT_DERIVING = 'ALTER TABLE learning_progress DISABLE TRIGGER learning_progress_derived;';
const SUBMIT = `INSERT INTO assessment_submissions
  (id, enrollment_id, student_id, course_id, module_id, attempt, answers) VALUES`;
const SCORED = `INSERT INTO assessment_submissions (id, enrollment_id, student_id, course_id, module_id, answers, max_score)
  VALUES ('s', 'ada-go', 'ada', 'go', 'go-2', '{}',`;
const REQUEST = 'INSERT INTO requests (key, operation, body_hash, answer_id) VALUES';
const SEAT = `INSERT INTO seat_reservations (id, student_id, course_id, request_key, price, expires_at, status, resolved_at)
  VALUES ('s', 'cy', 'go', 'seat',`;
const ASSESS = `INSERT INTO assessments
  (id, module_id, course_id, title, max_score, pass_score, max_attempts, deadline_days, answer_key) VALUES ('a', 'go-1', 'go',`;
const GRADE = `INSERT INTO grades (submission_id, number, score, max_score, graded_at) VALUES ('first',`;
const CERTIFY = `INSERT INTO certificates (id, enrollment_id, student_id, course_id, course_title, issued_at, number,
  verification_code, holder_name, revoked_at) VALUES ('c', 'ada-go', 'ada', 'go', 'Go', now(),`;
const CODE = 'A'.repeat(24);
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
  ['progress below 0', `${ENDED} -1, 0, NULL, NULL)`, 'enrollments_progress_check'],
  ['progress above 100', `${ENDED} 100.01, 0, NULL, NULL)`, 'enrollments_progress_check'],
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
  [
    'module progress above 100',
    `${WITHOUT_DERIVING} UPDATE learning_progress SET progress = 101`,
    'learning_progress_progress_check',
  ],
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
    `${WITHOUT_DERIVING} UPDATE learning_progress SET progress = 100`,
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
    'answers that are a list',
    `${SUBMIT} ('s', 'ada-go', 'ada', 'go', 'go-2', 1, '[]')`,
    'assessment_submissions_answers_check',
  ],
  ['NaN as the maximum score', `${SCORED} 'NaN')`, 'assessment_submissions_max_score_check'],
  ['a maximum score of 0', `${SCORED} 0)`, 'assessment_submissions_max_score_check'],
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
  [
    'NaN as a balance',
    "ALTER TABLE wallets DISABLE TRIGGER wallets_balance_changed; UPDATE wallets SET balance = 'NaN'",
    'wallets_balance_check',
  ],
  ['a course without seats', 'UPDATE courses SET capacity = 0', 'courses_capacity_check'],
  ['a term of a refund of more than a year', 'UPDATE courses SET refund_days = 366', 'courses_refund_days_check'],
  [
    'a refund at more than 100 %',
    'UPDATE courses SET refund_max_progress = 100.01',
    'courses_refund_max_progress_check',
  ],
  [
    'a course that needs itself',
    "INSERT INTO course_prerequisites (course_id, prerequisite_id) VALUES ('go', 'go')",
    'course_prerequisites_other_check',
  ],
  ['a blank key of a request', `${REQUEST} (' ', 'x', repeat('a', 64), 'x')`, 'requests_key_check'],
  ['a hash that is not SHA-256', `${REQUEST} ('x', 'x', 'abc', 'x')`, 'requests_body_hash_check'],
  ['a reservation with a negative price', `${SEAT} -1, now() + '1 h', 'held', NULL)`, 'seat_reservations_price_check'],
  ['a reservation that is born expired', `${SEAT} 0, now(), 'held', NULL)`, 'seat_reservations_expires_at_check'],
  [
    'a cancelled reservation without its end',
    `${SEAT} 0, now() + '1 h', 'cancelled', NULL)`,
    'seat_reservations_resolved_at_check',
  ],
  ['a negative price of an enrollment', 'UPDATE enrollments SET price = -1', 'enrollments_price_check'],
  ['a hold for a free enrollment', 'UPDATE enrollments SET payment_hold_id = id', 'enrollments_payment_check'],
  ['a payment without its time', 'UPDATE enrollments SET payment_transaction_id = id', 'enrollments_payment_check'],
  [
    'a refund of an enrollment at more than 100 %',
    'UPDATE enrollments SET refund_max_progress = 101',
    'enrollments_refund_max_progress_check',
  ],
  ['a refund above the price', `${ENDED} 0, 1, 2, repeat('a', 64))`, 'enrollments_refund_amount_check'],
  ['a refund of an active enrollment', 'UPDATE enrollments SET refund_amount = 0', 'enrollments_refund_amount_check'],
  ['a refund without its key', `${ENDED} 0, 1, 1, NULL)`, 'enrollments_refund_key_hash_check'],
  ['an assessment without a title', `${ASSESS} ' ', 100, 60, NULL, NULL, NULL)`, 'assessments_title_check'],
  ['an assessment without points', `${ASSESS} 'A', 0, 0, NULL, NULL, NULL)`, 'assessments_max_score_check'],
  ['a pass score above the maximum', `${ASSESS} 'A', 10, 11, NULL, NULL, NULL)`, 'assessments_pass_score_check'],
  ['an assessment with 0 attempts', `${ASSESS} 'A', 10, 5, 0, NULL, NULL)`, 'assessments_max_attempts_check'],
  ['a deadline before the enrollment', `${ASSESS} 'A', 10, 5, NULL, 0, NULL)`, 'assessments_deadline_days_check'],
  ['an answer key that is a list', `${ASSESS} 'A', 10, 5, NULL, NULL, '[]')`, 'assessments_answer_key_check'],
  ['grade number 0', `${GRADE} 0, 1, 2, now())`, 'grades_number_check'],
  ['a grade above the maximum', `${GRADE} 1, 3, 2, now())`, 'grades_score_check'],
  ['a certificate without a number', `${CERTIFY} 'x', '${CODE}', 'Ada', NULL)`, 'certificates_number_check'],
  [
    'a short verification code',
    `${CERTIFY} 'AZ-2026-00000001', 'AB', 'Ada', NULL)`,
    'certificates_verification_code_check',
  ],
  ['a certificate of nobody', `${CERTIFY} 'AZ-2026-00000001', '${CODE}', ' ', NULL)`, 'certificates_holder_name_check'],
  [
    'a revocation without a reason',
    `${CERTIFY} 'AZ-2026-00000001', '${CODE}', 'Ada', now())`,
    'certificates_revoked_check',
  ],
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
    await db().admin(
      "INSERT INTO students (id, user_id, display_name) VALUES ('ada', 'user-ada', 'Ada'), ('ben', 'user-ben', 'Ben'), ('cy', 'user-cy', 'Cy')",
    );
    await db().admin(
      `${COURSE} ('go', 'go', 'teacher', 'Go', 'Programming', 1), ('c', 'c', 'teacher', 'C', 'Programming', 1),
        ('rust', 'rust', 'teacher', 'Rust', 'Programming', 1)`,
    );
    await db().admin(`INSERT INTO modules (id, course_id, position, title) VALUES
      ('go-1', 'go', 1, 'First'), ('go-2', 'go', 2, 'Second'), ('c-1', 'c', 1, 'First')`);
    await db().admin(`${ENROLL} ('ada-go', 'ada', 'go'), ('ben-go', 'ben', 'go'), ('ben-rust', 'ben', 'rust')`);
    await db().admin(`${PROGRESS} ('progress', 'ada-go', 'ada', 'go', 'go-1')`);
    await db().admin(`${SUBMIT} ('first', 'ada-go', 'ada', 'go', 'go-1', 1, '{}')`);
    await db().admin("INSERT INTO wallets (id, student_id) VALUES ('purse', 'ada'), ('empty', 'cy')");
    await db().admin(`${PAY} ('deposit', 'purse', 'deposit', 'in', 20, NULL, 'deposit')`);
    await db().admin(`${REQUEST} ('seat', 'reserve_seat', repeat('a', 64), 's')`);
    await db().admin(`${PAY} ('purchase', 'purse', 'purchase', 'out', 10, 'ada-go', 'purchase')`);
  });

  it.each(REFUSED)('rejects %s', async (_what, sql, constraint) => {
    await schemaRefuses(db().admin(sql), constraint);
  });

  it('computes a balance from the transactions, whatever someone writes', async () => {
    await db().admin('UPDATE wallets SET balance = 1000');

    expect(await db().admin('SELECT id, balance::float FROM wallets ORDER BY id')).toEqual([
      { id: 'empty', balance: 0 },
      { id: 'purse', balance: 10 },
    ]);
  });

  it('computes the progress of a module and of a course, whatever someone writes', async () => {
    await db().admin("UPDATE modules SET lessons = '{a, b, c}'");
    await db().admin('UPDATE learning_progress SET completed_lessons = 1, progress = 99');
    await db().admin('UPDATE enrollments SET progress = 77');

    expect(await db().admin("SELECT id, progress::float FROM enrollments WHERE id LIKE 'ada%'")).toEqual([
      { id: 'ada-go', progress: 16.66 },
    ]);
    expect(await db().admin('SELECT progress::float FROM learning_progress')).toEqual([{ progress: 33.33 }]);
  });

  it('rejects a gap between the modules of a course when the transaction commits', async () => {
    const gap = db().admin("UPDATE modules SET position = 7 WHERE id = 'go-2'");

    await expect(gap).rejects.toMatchObject({ code: 'AZ001', message: 'module_positions' });
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
    await db().admin("UPDATE enrollments SET status = 'dropped', dropped_at = now() WHERE id = 'ben-go'");
    const attempts = Array.from({ length: 8 }, (_, n) => db().admin(`${ENROLL} ('again-${n}', 'ben', 'go')`));
    const refused = await refusalsOf(attempts);

    expect(refused).toEqual(Array(7).fill('enrollments_student_id_course_id_active_key'));
  });

  it('deletes the modules of a course with it', async () => {
    await db().admin("DELETE FROM courses WHERE id = 'c'");

    expect(await db().admin("SELECT id FROM modules WHERE course_id = 'c'")).toEqual([]);
  });

  it('finds a course by the stem of a word in its description', async () => {
    await db().admin(`INSERT INTO courses (id, slug, instructor_id, title, category, duration_hours, description)
      VALUES ('bread', 'bread', 'teacher', 'Bread', 'Baking', 1, 'Fermenting dough')`);

    const query = "SELECT id FROM courses WHERE search @@ websearch_to_tsquery('english', 'ferment')";
    expect(await db().admin(query)).toEqual([{ id: 'bread' }]);
  });

  itTestsEveryCheck(
    db,
    REFUSED.map(([, , constraint]) => constraint),
  );

  itKeepsAnAuditLog(db);
});
