/** @server any */
import { useDatabase } from '@azora/db-testkit';

/** The columns that a row needs in each status, as SQL; triggers that compute other columns are off. */
interface Machine {
  readonly table: string;
  readonly statuses: readonly string[];
  readonly allowed: readonly string[];
  readonly insert: string;
  /** Columns that depend on the status, with `$` for it. */
  readonly columns: Readonly<Record<string, string>>;
  readonly off?: string;
}

const MACHINES: readonly Machine[] = [
  {
    table: 'students',
    statuses: ['active', 'paused', 'graduated'],
    allowed: ['active>paused', 'paused>active', 'active>graduated', 'paused>graduated'],
    insert: "(id, user_id, display_name) VALUES ('x', 'x', 'Ada')",
    columns: {},
  },
  {
    table: 'courses',
    statuses: ['draft', 'published', 'archived'],
    allowed: ['draft>published', 'published>archived'],
    insert: "(id, slug, instructor_id, title, category, duration_hours) VALUES ('x', 'x', 'x', 'X', 'X', 1)",
    columns: { published_at: "CASE WHEN $ = 'draft' THEN NULL ELSE now() END" },
  },
  {
    table: 'enrollments',
    statuses: ['active', 'completed', 'dropped'],
    allowed: ['active>completed', 'active>dropped'],
    insert: "(id, student_id, course_id) VALUES ('x', 'ada', 'go')",
    columns: {
      progress: '100',
      completed_at: "CASE WHEN $ = 'completed' THEN now() END",
      dropped_at: "CASE WHEN $ = 'dropped' THEN now() END",
    },
    off: 'enrollments_progress_changed',
  },
  {
    table: 'seat_reservations',
    statuses: ['held', 'confirmed', 'cancelled', 'expired'],
    allowed: ['held>confirmed', 'held>cancelled', 'held>expired'],
    insert:
      "(id, student_id, course_id, price, request_key, expires_at) VALUES ('x', 'ada', 'go', 0, 'k', now() + '1 h')",
    columns: { resolved_at: "CASE WHEN $ <> 'held' THEN now() END" },
  },
  {
    table: 'assessment_submissions',
    statuses: ['submitted', 'graded'],
    allowed: ['submitted>graded'],
    insert: "(id, enrollment_id, student_id, module_id, course_id, answers) VALUES ('x', 'e', 'ada', 'm', 'go', '{}')",
    columns: { score: "CASE WHEN $ = 'graded' THEN 1 END", graded_at: "CASE WHEN $ = 'graded' THEN now() END" },
  },
];

const PAIRS = MACHINES.flatMap((machine) =>
  machine.statuses.flatMap((from) => machine.statuses.map((to) => [machine.table, from, to, machine] as const)),
);

describe('the status machines in SQL', () => {
  const db = useDatabase('education');

  beforeAll(() =>
    db().admin(`INSERT INTO students (id, user_id, display_name) VALUES ('ada', 'ada', 'Ada');
      INSERT INTO courses (id, slug, instructor_id, title, category, duration_hours) VALUES ('go', 'go', 'x', 'Go', 'Go', 1), ('c', 'c', 'x', 'C', 'C', 1);
      INSERT INTO modules (id, course_id, position, title) VALUES ('m', 'go', 1, 'M');
      INSERT INTO enrollments (id, student_id, course_id, status, dropped_at) VALUES ('e', 'ada', 'go', 'dropped', now());
      INSERT INTO requests (key, operation, body_hash, answer_id) VALUES ('k', 'x', repeat('a', 64), 'x')`),
  );

  it.each(PAIRS)(
    '%s: even the administrator goes from %s to %s only if it is allowed',
    async (table, from, to, machine) => {
      const set = (status: string) =>
        ['status = $', ...Object.entries(machine.columns).map(([column, value]) => `${column} = ${value}`)]
          .join(', ')
          .replaceAll('$', `'${status}'::text`)
          .replace(`status = '${status}'::text`, `status = '${status}'`);
      const triggers = (action: string) => `ALTER TABLE ${table} ${action} TRIGGER USER;`;
      // The first status is set without the triggers. The statements are one transaction, which is rolled back.
      const change = db().admin(`${triggers('DISABLE')} INSERT INTO ${table} ${machine.insert};
      UPDATE ${table} SET ${set(from)} WHERE id = 'x'; ${triggers('ENABLE')}
      ${machine.off === undefined ? '' : `ALTER TABLE ${table} DISABLE TRIGGER ${machine.off};`}
      UPDATE ${table} SET ${set(to)} WHERE id = 'x'; DO $$ BEGIN RAISE 'done' USING ERRCODE = 'AZ999'; END $$`);
      const outcome = await change.then(
        () => 'no error',
        (error) => `${error.code} ${error.message}`,
      );
      const isAllowed = from === to || machine.allowed.includes(`${from}>${to}`);

      expect(outcome).toBe(isAllowed ? 'AZ999 done' : 'AZ001 status_transition');
    },
  );
});
