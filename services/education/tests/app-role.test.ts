import { useDatabase } from '@azora/db-testkit';
import { type Education, getCourse, getEnrollment, openEducation, walletProjection } from '../src';
import { fresh, givenCourse, givenEnrollment, givenStudent } from './education-given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = [
  ...['students', 'courses', 'course_prerequisites', 'modules', 'requests', 'seat_reservations', 'enrollments'],
  ...[
    'learning_progress',
    'assessments',
    'assessment_submissions',
    'grades',
    'certificates',
    'wallets',
    'transactions',
    'outbox',
  ],
];

describe('the app role of education with its own SQL', () => {
  const db = useDatabase('education');
  let education: Education;
  let enrollmentId = '';
  let courseId = '';
  beforeAll(async () => {
    education = openEducation({ url: db().url });
    ({ courseId } = await givenCourse(education, { price: '40', capacity: 1, assessment: { title: 'Quiz' } }));
    ({ id: enrollmentId } = await givenEnrollment(education, courseId));
  });
  afterAll(() => education.close());

  const dump = async () => {
    const columns = TABLES.map(
      (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
    );
    return JSON.stringify(await db().admin(`SELECT ${columns.join(', ')}`));
  };

  it.each(
    TABLES.flatMap((table) => [
      `INSERT INTO ${table} DEFAULT VALUES`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table} CASCADE`,
    ]),
  )('cannot run: %s', async (sql) => {
    await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });
  });

  it.each([
    "UPDATE courses SET price = 0, status = 'archived'",
    "UPDATE enrollments SET status = 'completed', progress = 100, completed_at = now()",
    "UPDATE enrollments SET refund_amount = price, status = 'dropped', dropped_at = now()",
    'UPDATE learning_progress SET completed_lessons = 2',
    "UPDATE assessment_submissions SET score = 100, status = 'graded', graded_at = now()",
    "UPDATE certificates SET holder_name = 'Somebody'",
    'UPDATE wallets SET balance = 1000000',
    'SELECT * FROM courses FOR UPDATE',
    'ALTER TABLE enrollments DISABLE TRIGGER ALL',
    'DROP FUNCTION carry_progress() CASCADE',
    "SET session_replication_role = 'replica'",
    "SELECT nextval('certificate_numbers')",
    "CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
    // Parts of the functions, which run with the rights of the caller.
    "SELECT emit('refund-due', 'x', '{}', now())",
    "SELECT begin_request('k', 'enroll', repeat('a', 64), 'x')",
    'SELECT owe_refund(id, price, now()) FROM enrollments',
    "SELECT end_enrollment(e, e.price, 'student', now()) FROM enrollments AS e",
    'SELECT place_modules(course_id, ARRAY[id]) FROM modules',
    "SELECT take_seat('k', 'x', student_id, course_id, '1 h') FROM enrollments",
    "SELECT release_seats(ARRAY['x'], 'expired', now())",
    "SELECT lock_user('x'), lock_student(id) FROM students",
  ])('cannot run: %s', async (sql) => {
    const before = await dump();

    await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });

    expect(await dump()).toBe(before);
  });

  it.each([
    ["reserve_seat('k1', repeat('a', 64), 'x', $student, $course, '1 h')", 'course_full'],
    ["reserve_seat('k2', repeat('a', 64), 'x', $student, $course, '8 days')", 'expiry_invalid'],
    ["reserve_seat('k3', repeat('a', 64), 'x', $student, $course, NULL)", 'expiry_invalid'],
    ["enroll_student('k4', repeat('a', 64), 'x', $student, $course)", 'course_full'],
    ['void_enrollment($enrollment)', 'enrollment_not_unpaid'],
    ["complete_enrollment($enrollment, 'x')", 'course_unfinished'],
    ["record_payment($enrollment, 'another')", 'payment_differs'],
    ['record_progress($enrollment, (SELECT id FROM modules LIMIT 1), 3, 0)', 'lessons_invalid'],
    ['record_progress($enrollment, (SELECT id FROM modules LIMIT 1), -1, 0)', 'lessons_invalid'],
    ['add_module(\'x\', $course, \'{"title": "x"}\', NULL)', 'course_fixed'],
    ['restore_student($unknown)', 'student_not_found'],
    ['set_prerequisites($course, ARRAY[$course])', 'prerequisite_cycle'],
  ])('is refused by the functions as the store is: %s', async (call, rule) => {
    const studentId = await givenStudent(education);
    const values = { $student: studentId, $course: courseId, $enrollment: enrollmentId, $unknown: 'none' };
    const sql = Object.entries(values).reduce((text, [name, value]) => text.replaceAll(name, `'${value}'`), call);
    const before = await dump();

    await expect(db().app(`SELECT ${sql}`)).rejects.toMatchObject({ code: 'AZ001', message: rule });

    expect(await dump()).toBe(before);
  });

  it('grades once, under a name, and submits answers by question only', async () => {
    const { courseId: free, moduleIds } = await givenCourse(education, { assessment: { title: 'Quiz' } });
    const { id } = await givenEnrollment(education, free);
    const submit = (submission: string, answers: string) =>
      db().app(`SELECT submit_assessment($1, repeat('a', 64), $1, $2, $3, $4::jsonb)`, [
        ...[submission, id, moduleIds[0], answers],
      ]);
    const grade = (by: string | null, again: boolean | null) =>
      db().app("SELECT grade_submission('graded', 50, NULL, $1, $2)", [by, again]);
    for (const answers of ['[]', '7', '"a"', 'null']) {
      await expect(submit('refused', answers)).rejects.toMatchObject({
        constraint: 'assessment_submissions_answers_check',
      });
    }
    await submit('graded', '{}');

    const before = await dump();
    await expect(grade('teacher', null)).rejects.toMatchObject({ code: 'AZ001', message: 'grade_order' });
    for (const nobody of [null, '', ' '])
      await expect(grade(nobody, false)).rejects.toMatchObject({ code: 'AZ001', message: 'grader_missing' });
    expect(await dump()).toBe(before);
    await grade('teacher', false);
    const graded = await dump();
    await expect(grade('teacher', null)).rejects.toMatchObject({ code: 'AZ001', message: 'grade_order' });
    expect(await dump()).toBe(graded);
  });

  it('buys nothing with a forged copy of a wallet', async () => {
    const student = await education.prisma.student.findUniqueOrThrow({ where: { id: await givenStudent(education) } });
    await db().app('SELECT project_wallet($1, $2)', [fresh('w'), student.userId]);
    const [wallet] = await db().app('SELECT mint_wallet_id FROM wallets WHERE student_id = $1', [student.id]);
    await db().app("SELECT project_transaction('forged', 'mint', 'treasury-AZR', $1, 1000, NULL, NULL, now())", [
      wallet?.['mint_wallet_id'],
    ]);

    const paid = await givenCourse(education, { price: '40' });
    const call = "SELECT enroll_student('forge', repeat('a', 64), 'x', $1, $2)";
    await expect(db().app(call, [student.id, paid.courseId])).rejects.toMatchObject({ message: 'payment_required' });
    expect(walletProjection.types).toContain('mint.transaction-posted.v1');
  });

  it('gains nothing from temporary tables that hide the real ones', async () => {
    const { database, role } = db().target;
    await db().admin(`GRANT TEMPORARY ON DATABASE "${database}" TO "${role}"`);
    await db().app('CREATE TEMP TABLE enrollments AS SELECT * FROM public.enrollments');
    await db().app('UPDATE pg_temp.enrollments SET progress = 100');

    await expect(db().app(`SELECT complete_enrollment('${enrollmentId}', 'x')`)).rejects.toMatchObject({
      message: 'course_unfinished',
    });
    await db().app('DROP TABLE pg_temp.enrollments');
    expect((await getEnrollment(education, { enrollmentId })).progress.toNumber()).toBe(0);
    expect((await getCourse(education, { courseId })).price.toNumber()).toBe(40);
  });
});
