/** @server any */
import { useDatabase } from '@azora/db-testkit';

/** A state machine, and SQL that puts the row `x` into a status past the rules. */
interface Machine {
  readonly table: string;
  readonly statuses: readonly string[];
  readonly allowed: readonly string[];
  /** Columns that depend on the status, with `$` for it. */
  readonly columns: Readonly<Record<string, string>>;
  /** Triggers that compute or refuse the status for other reasons. */
  readonly off: readonly string[];
}

const STEP_STATUSES = ['Pending', 'Running', 'Completed', 'Failed', 'Skipped'];
const ENDED = "CASE WHEN $ IN ('Completed') THEN now() END";

const MACHINES: readonly Machine[] = [
  {
    table: 'stories',
    statuses: [
      ...['Created', 'Analyzing', 'Analyzed', 'Planning', 'Planned', 'Executing', 'GatePending', 'GateFailed'],
      ...['ReadyToComplete', 'Completed', 'Failed', 'Cancelled'],
    ],
    allowed: [
      ...['Created>Analyzing', 'Created>Planning', 'Created>Cancelled'],
      ...['Analyzing>Analyzed', 'Analyzing>Failed', 'Analyzing>Cancelled'],
      ...['Analyzed>Analyzing', 'Analyzed>Planning', 'Analyzed>Cancelled'],
      ...['Planning>Planned', 'Planning>Failed', 'Planning>Cancelled'],
      ...['Planned>Planning', 'Planned>Executing', 'Planned>ReadyToComplete', 'Planned>Cancelled'],
      ...['Executing>GatePending', 'Executing>ReadyToComplete', 'Executing>Failed', 'Executing>Cancelled'],
      ...['GatePending>Executing', 'GatePending>GateFailed', 'GatePending>ReadyToComplete', 'GatePending>Cancelled'],
      ...['GateFailed>Executing', 'GateFailed>ReadyToComplete', 'GateFailed>Cancelled'],
      ...['ReadyToComplete>Executing', 'ReadyToComplete>Completed', 'ReadyToComplete>Cancelled'],
      ...['Failed>Analyzing', 'Failed>Planning', 'Failed>Executing', 'Failed>GatePending', 'Failed>ReadyToComplete'],
      'Failed>Cancelled',
    ],
    columns: { completed_at: ENDED },
    off: ['stories_derived'],
  },
  {
    table: 'story_steps',
    statuses: STEP_STATUSES,
    allowed: [
      ...['Pending>Running', 'Pending>Skipped'],
      ...['Running>Completed', 'Running>Failed', 'Running>Skipped', 'Running>Pending'],
      ...['Completed>Pending', 'Failed>Pending', 'Failed>Skipped', 'Skipped>Pending'],
    ],
    columns: {
      completed_at: ENDED,
      claim_id: "CASE WHEN $ = 'Running' THEN gen_random_uuid() END",
      lease_until: "CASE WHEN $ = 'Running' THEN now() END",
    },
    off: ['story_steps_tasks_done'],
  },
  {
    table: 'story_tasks',
    statuses: STEP_STATUSES,
    allowed: [
      ...['Pending>Running', 'Pending>Completed', 'Pending>Failed', 'Pending>Skipped'],
      ...['Running>Pending', 'Running>Completed', 'Running>Failed', 'Running>Skipped'],
      ...['Failed>Pending', 'Failed>Running', 'Failed>Skipped', 'Completed>Pending', 'Skipped>Pending'],
    ],
    columns: { completed_at: ENDED },
    off: [],
  },
];

const PAIRS = MACHINES.flatMap((machine) =>
  machine.statuses.flatMap((from) => machine.statuses.map((to) => [machine.table, from, to, machine] as const)),
);
const ID = '00000000-0000-7000-8000-000000000001';

describe('the status machines in SQL', () => {
  const db = useDatabase('story');

  beforeAll(() =>
    db().admin(`INSERT INTO stories (id, title) VALUES ('${ID}', 'x');
      INSERT INTO story_steps (id, story_id, "order", name, capability) VALUES ('${ID}', '${ID}', 1, 'x', 'x');
      INSERT INTO story_tasks (id, step_id, "order", description) VALUES ('${ID}', '${ID}', 1, 'x')`),
  );

  it.each(PAIRS)(
    '%s: even the administrator goes from %s to %s only if it is allowed',
    async (table, from, to, { columns, off, allowed }) => {
      const set = (status: string) =>
        [`status = '${status}'`, ...Object.entries(columns).map(([column, value]) => `${column} = ${value}`)]
          .join(', ')
          .replaceAll('$', `'${status}'::text`);
      const triggers = (action: string) => `ALTER TABLE ${table} ${action} TRIGGER USER;`;
      // The first status is set without the triggers. The statements are one transaction, which is rolled back.
      const outcome = await db()
        .admin(`${triggers('DISABLE')} UPDATE ${table} SET ${set(from)} WHERE id = '${ID}'; ${triggers('ENABLE')}
          ${off.map((trigger) => `ALTER TABLE ${table} DISABLE TRIGGER ${trigger};`).join(' ')}
          UPDATE ${table} SET ${set(to)} WHERE id = '${ID}'; DO $$ BEGIN RAISE 'done' USING ERRCODE = 'AZ999'; END $$`)
        .then(
          () => 'no error',
          (error) => `${error.code} ${error.message}`,
        );

      expect(outcome).toBe(from === to || allowed.includes(`${from}>${to}`) ? 'AZ999 done' : 'AZ001 status_transition');
    },
  );

  it.each(['Completed', 'Skipped'])('keeps the tasks of a %s step finished for every writer', async (status) => {
    const end = (task: string) =>
      db().admin(`UPDATE story_tasks SET status = 'Running' WHERE id = '${ID}';
        UPDATE story_tasks SET status = '${task}', completed_at = CASE '${task}' WHEN 'Completed' THEN now() END WHERE id = '${ID}';
        UPDATE story_steps SET status = 'Running', claim_id = gen_random_uuid(), lease_until = now() WHERE id = '${ID}';
        UPDATE story_steps SET status = '${status}', claim_id = NULL, lease_until = NULL, completed_at = now() WHERE id = '${ID}';
        UPDATE story_tasks SET status = 'Pending', completed_at = NULL WHERE id = '${ID}';`);

    await expect(end('Failed')).rejects.toMatchObject({ message: 'tasks_open' });
    await expect(end('Completed')).rejects.toMatchObject({ message: 'step_ended' });
    await expect(end('Skipped')).rejects.toMatchObject({ message: 'step_ended' });
  });
});
