/** @server any */
import { useDatabase } from '@azora/db-testkit';

interface Machine {
  readonly table: string;
  readonly statuses: readonly string[];
  readonly allowed: readonly string[];
  readonly insert: string;
  /** The columns that a row needs in each status, as SQL, with `$` for the status. */
  readonly columns: Readonly<Record<string, string>>;
}

const MACHINES: readonly Machine[] = [
  {
    table: 'tutoring_sessions',
    statuses: ['active', 'paused', 'completed', 'abandoned'],
    allowed: [
      ...['active>paused', 'paused>active', 'active>completed', 'paused>completed', 'active>abandoned'],
      'paused>abandoned',
    ],
    insert: "(id, student_id, topic) VALUES ('x', 'x', 'Loops')",
    columns: { ended_at: "CASE WHEN $ IN ('completed', 'abandoned') THEN started_at END" },
  },
  {
    table: 'messages',
    statuses: ['streaming', 'complete', 'cancelled'],
    allowed: ['streaming>complete', 'streaming>cancelled'],
    insert: "(id, session_id, position, role, content) VALUES ('x', 'session', 1, 'tutor', 'x')",
    columns: { content: "CASE WHEN $ = 'complete' THEN 'text' ELSE '' END" },
  },
  {
    table: 'learning_paths',
    statuses: ['active', 'paused', 'completed', 'abandoned'],
    allowed: ['active>paused', 'paused>active', 'active>completed', 'active>abandoned', 'paused>abandoned'],
    insert:
      "(id, student_id, title, subject, start_level, target_level, estimated_hours) VALUES ('path', 'x', 'x', 'x', 'beginner', 'expert', 1)",
    columns: { completed_at: "CASE WHEN $ = 'completed' THEN started_at END" },
  },
  {
    table: 'assessments',
    statuses: ['in_progress', 'completed', 'abandoned'],
    allowed: ['in_progress>completed', 'in_progress>abandoned'],
    insert: "(id, student_id, topic) VALUES ('x', 'x', 'x')",
    columns: {
      ended_at: "CASE WHEN $ <> 'in_progress' THEN started_at END",
      score: "CASE WHEN $ = 'completed' THEN 1 END",
    },
  },
  {
    table: 'items',
    statuses: ['active', 'retired'],
    allowed: ['active>retired'],
    insert:
      "(id, skill_id, prompt, options, correct_option, discrimination, location) VALUES ('x', 'skill', 'x', '{a,b}', 0, 1, 0)",
    columns: {},
  },
];

const PAIRS = MACHINES.flatMap((machine) =>
  machine.statuses.flatMap((from) => machine.statuses.map((to) => [machine.table, from, to, machine] as const)),
);

/** A completed path has a completed step. */
const COMPLETED_STEP = `INSERT INTO path_steps (id, path_id, position, title, estimated_minutes) VALUES ('s', 'path', 1, 'x', 1);
  INSERT INTO progress (id, path_id, step_id, percent, started_at, completed_at) VALUES ('p', 'path', 's', 100, now(), now());`;

describe('the status machines in SQL', () => {
  const db = useDatabase('sapiens');
  beforeAll(() =>
    db().admin(`INSERT INTO tutoring_sessions (id, student_id, topic) VALUES ('session', 'ada', 'x');
      INSERT INTO skills (id, slug, name, topic) VALUES ('skill', 'x', 'x', 'x')`),
  );

  it.each(PAIRS)(
    '%s: even the administrator goes from %s to %s only if it is allowed',
    async (table, from, to, machine) => {
      const set = (status: string) =>
        [
          `status = '${status}'`,
          ...Object.entries(machine.columns).map(
            ([column, value]) => `${column} = ${value.replaceAll('$', `'${status}'::text`)}`,
          ),
        ].join(', ');
      const triggers = (action: string) => `ALTER TABLE ${table} ${action} TRIGGER USER;`;
      // The first status is set without the triggers. The statements are one transaction, which is rolled back.
      const change = db().admin(`${triggers('DISABLE')} INSERT INTO ${table} ${machine.insert};
        ${table === 'learning_paths' ? COMPLETED_STEP : ''} SET CONSTRAINTS ALL IMMEDIATE;
        UPDATE ${table} SET ${set(from)} WHERE id IN ('x', 'path'); ${triggers('ENABLE')}
        UPDATE ${table} SET ${set(to)} WHERE id IN ('x', 'path'); DO $$ BEGIN RAISE 'done' USING ERRCODE = 'AZ999'; END $$`);
      const outcome = await change.then(
        () => 'no error',
        (error) => `${error.code} ${error.message}`,
      );
      const isAllowed = from === to || machine.allowed.includes(`${from}>${to}`);

      expect(outcome).toBe(isAllowed ? 'AZ999 done' : 'AZ001 status_transition');
    },
  );

  it('complete no path whose steps are open', async () => {
    const change = db().admin(`INSERT INTO learning_paths ${MACHINES[2]?.insert};
      UPDATE learning_paths SET status = 'completed', completed_at = now() WHERE id = 'path'`);

    await expect(change).rejects.toMatchObject({ code: 'AZ001', message: 'path_unfinished' });
  });
});
