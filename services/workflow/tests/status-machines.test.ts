/** @server any */
import { useDatabase } from '@azora/db-testkit';

/** A state machine, its table with the row to change, and the columns that depend on the status, with `$` for it. */
interface Machine {
  readonly table: string;
  readonly row: string;
  readonly statuses: readonly string[];
  readonly allowed: readonly string[];
  readonly columns: string;
}

const MACHINES: readonly Machine[] = [
  {
    table: 'workflows',
    row: 'id = 1',
    statuses: ['draft', 'published', 'archived'],
    allowed: ['draft>published', 'published>archived'],
    columns: '',
  },
  {
    table: 'workflow_runs',
    row: "id = 'run'",
    statuses: ['running', 'completed', 'failed', 'cancelled'],
    allowed: ['running>completed', 'running>failed', 'running>cancelled', 'failed>running', 'cancelled>running'],
    columns: ", finished_at = CASE WHEN $ <> 'running' THEN now() END",
  },
  {
    table: 'run_steps',
    row: "node_id = 'a'",
    statuses: ['waiting', 'ready', 'running', 'completed', 'failed', 'cancelled'],
    allowed: [
      ...[
        'waiting>ready',
        'waiting>cancelled',
        'ready>running',
        'ready>cancelled',
        'running>completed',
        'running>ready',
      ],
      ...['running>failed', 'running>cancelled', 'failed>ready', 'cancelled>ready', 'cancelled>waiting'],
    ],
    columns: `, waiting_for = CASE $ WHEN 'waiting' THEN 1 ELSE 0 END, lease_id = 'x',
      finished_at = CASE WHEN $ IN ('completed', 'failed', 'cancelled') THEN now() END`,
  },
];

const PAIRS = MACHINES.flatMap((machine) =>
  machine.statuses.flatMap((from) => machine.statuses.map((to) => [machine.table, from, to, machine] as const)),
);

describe('the status machines in SQL', () => {
  const db = useDatabase('workflow');

  beforeAll(() =>
    db().admin(`INSERT INTO workflows (id, name, owner_id) VALUES (1, 'x', 'ada');
      INSERT INTO workflow_versions (workflow_id, number, draft_version, name, nodes, connections, settings, plugins, plan)
      VALUES (1, 1, 1, 'x', '[]', '[]', '{}', '[]', '[]');
      INSERT INTO workflow_runs (id, workflow_id, number) VALUES ('run', 1, 1);
      INSERT INTO run_steps (run_id, node_id, type, position, status) VALUES ('run', 'a', 'x', 0, 'ready'), ('run', 'b', 'x', 1, 'ready');
      INSERT INTO step_results (run_id, node_id, lease_id, result) VALUES ('run', 'a', 'x', '1')`),
  );

  it.each(PAIRS)(
    '%s: even the administrator goes from %s to %s only if it is allowed',
    async (table, from, to, { row, columns, allowed }) => {
      const set = (status: string) =>
        `UPDATE ${table} SET status = '${status}'${columns.replaceAll('$', `'${status}'::text`)} WHERE ${row};`;
      // The first status is set without the triggers. The statements are one transaction, which is rolled back.
      const outcome = await db()
        .admin(`ALTER TABLE ${table} DISABLE TRIGGER USER; ${set(from)} ALTER TABLE ${table} ENABLE TRIGGER USER; ${set(to)}
          DO $$ BEGIN RAISE 'done' USING ERRCODE = 'AZ999'; END $$`)
        .then(
          () => 'no error',
          (error) => `${error.code} ${error.message}`,
        );

      const isAllowed = from === to || allowed.includes(`${from}>${to}`);
      expect(outcome).toBe(isAllowed ? 'AZ999 done' : 'AZ001 illegal_transition');
    },
  );

  it.each([
    [
      "UPDATE run_steps SET status = 'completed', lease_id = 'y', finished_at = now() WHERE node_id = 'b'",
      'illegal_transition',
    ],
    [
      `UPDATE run_steps SET status = 'running', lease_id = 'y' WHERE node_id = 'b';
       UPDATE run_steps SET status = 'completed', finished_at = now() WHERE node_id = 'b'`,
      'result_missing',
    ],
    [
      `UPDATE run_steps SET status = 'running', lease_id = 'y' WHERE node_id = 'a';
       UPDATE run_steps SET status = 'completed', finished_at = now() WHERE node_id = 'a'`,
      'result_missing',
    ],
    ["UPDATE step_results SET result = '2'", 'result_fixed'],
    ['DELETE FROM step_results', 'result_fixed'],
    ['TRUNCATE step_results', 'result_fixed'],
    ["UPDATE workflow_versions SET name = 'y'", 'version_fixed'],
    ["UPDATE workflow_versions SET published_by = 'eve'", 'version_fixed'],
    ['DELETE FROM workflow_versions', 'version_fixed'],
    ['TRUNCATE workflow_versions CASCADE', 'version_fixed'],
    ['UPDATE workflows SET last_number = 7', 'version_number'],
  ])('and the administrator cannot rewrite what was written: %s', async (sql, rule) => {
    await expect(db().admin(sql)).rejects.toMatchObject({ message: rule });
  });
});
