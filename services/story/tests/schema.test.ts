import {
  insertRow,
  itKeepsAnAuditLog,
  itTestsEveryCheck,
  refusalsOf,
  schemaRefuses,
  useDatabase,
} from '@azora/db-testkit';

type Row = Readonly<Record<string, unknown>>;

const STORY = '00000000-0000-7000-8000-000000000001';
const STEP = '00000000-0000-7000-8000-000000000002';
const NOWHERE = '00000000-0000-7000-8000-00000000000f';
const PAST = '2000-01-01';

/** A valid row for each table. */
const VALID: Readonly<Record<string, Row>> = {
  stories: { title: 'Make transfers safe to repeat' },
  story_steps: { story_id: STORY, order: 1, name: 'Write the migration', capability: 'coding' },
  story_tasks: { step_id: STEP, order: 1, description: 'Add the column' },
  step_attempts: {
    step_id: STEP,
    story_id: STORY,
    number: 1,
    agent_id: 'coding-agent',
    started_at: '2026-01-01',
    lease_until: '2026-01-02',
  },
  requests: { key: 'k', operation: 'createStory', body_hash: 'a'.repeat(64), answer_id: STORY },
};

/** A constraint, its table, and the change to a valid row that violates it. */
const REFUSED: readonly (readonly [string, string, Row])[] = [
  ['stories_title_check', 'stories', { title: ' ' }],
  ['stories_status_check', 'stories', { status: 'Dreaming' }],
  ['stories_completed_at_check', 'stories', { status: 'Completed' }],
  ['stories_completed_at_check', 'stories', { status: 'Executing', completed_at: '2100-01-01' }],
  ['stories_completed_after_created_check', 'stories', { status: 'Failed', completed_at: PAST }],
  ['stories_issue_provider_check', 'stories', issue({ issue_provider: 'Jira' })],
  ['stories_issue_number_check', 'stories', issue({ issue_number: 0 })],
  ['stories_issue_check', 'stories', issue({ issue_repo: null })],
  ['stories_automation_mode_check', 'stories', { automation_mode: 'Reckless' }],
  ['stories_dispatch_target_check', 'stories', { dispatch_target: 'Nobody' }],
  ['stories_source_check', 'stories', { source: 'Rumour' }],
  ['stories_source_guardian_id_check', 'stories', { source_guardian_id: 'ci-guardian' }],
  ['stories_pattern_language_check', 'stories', { pattern_language: 'typescript' }],
  ['stories_priority_check', 'stories', { priority: 'medium' }],
  ['stories_gate_mode_check', 'stories', { gate_mode: 'Never' }],
  ['stories_chat_history_check', 'stories', { chat_history: '{}' }],
  ['stories_verification_result_check', 'stories', { verification_result: '[]' }],
  ['stories_gate_result_check', 'stories', { gate_result: 'true', status: 'Cancelled' }],
  [
    'stories_verification_agrees_check',
    'stories',
    { verification_passed: true, verification_result: '{"passed": false}' },
  ],
  ['stories_verification_agrees_check', 'stories', { verification_result: '{"passed": true}' }],
  ['stories_gate_decision_check', 'stories', { gate_result: '{}' }],
  ['stories_gate_decision_check', 'stories', { gate_result: '{"wave": 1, "passed": "true"}' }],
  ['stories_gate_decision_check', 'stories', { gate_result: '{"wave": "1", "passed": true}' }],
  ['stories_chat_size_check', 'stories', { chat_history: JSON.stringify(['x'.repeat(1_000_000)]) }],
  ['stories_current_wave_check', 'stories', { current_wave: -1 }],
  ['stories_max_parallelism_check', 'stories', { max_parallelism: 0 }],
  ['story_steps_order_check', 'story_steps', { order: 0 }],
  ['story_steps_name_check', 'story_steps', { name: '' }],
  ['story_steps_capability_check', 'story_steps', { capability: ' ' }],
  ['story_steps_status_check', 'story_steps', { status: 'Done' }],
  ['story_steps_attempts_check', 'story_steps', { attempts: -1 }],
  ['story_steps_approval_check', 'story_steps', { approval: 'Maybe' }],
  ['story_steps_wave_check', 'story_steps', { wave: -1 }],
  ['story_steps_completed_at_check', 'story_steps', { status: 'Completed' }],
  ['story_steps_completed_at_check', 'story_steps', { completed_at: PAST }],
  [
    'story_steps_completed_after_started_check',
    'story_steps',
    { status: 'Failed', started_at: '2000-01-02', completed_at: PAST },
  ],
  ['story_steps_story_id_fkey', 'story_steps', { story_id: NOWHERE }],
  ['story_steps_claim_check', 'story_steps', { status: 'Running' }],
  ['story_steps_claim_check', 'story_steps', { claim_id: NOWHERE, lease_until: PAST }],
  ['story_steps_claim_check', 'story_steps', { status: 'Running', claim_id: NOWHERE }],
  ['story_steps_lapses_check', 'story_steps', { lapses: 6 }],
  ['story_steps_lease_until_check', 'story_steps', { status: 'Running', claim_id: NOWHERE, lease_until: 'infinity' }],
  ['step_attempts_number_check', 'step_attempts', { number: 0 }],
  ['step_attempts_agent_id_check', 'step_attempts', { agent_id: ' ' }],
  ['step_attempts_lease_check', 'step_attempts', { lease_until: PAST }],
  ['step_attempts_outcome_check', 'step_attempts', { ended_at: '2026-01-02', outcome: 'Lost' }],
  ['step_attempts_ended_check', 'step_attempts', { ended_at: '2026-01-02' }],
  ['step_attempts_ended_check', 'step_attempts', { outcome: 'Lapsed' }],
  ['step_attempts_ended_check', 'step_attempts', { outcome: 'Lapsed', ended_at: PAST }],
  ['step_attempts_outcome_hash_check', 'step_attempts', { outcome: 'Completed', ended_at: '2026-01-02' }],
  ['step_attempts_outcome_hash_check', 'step_attempts', { outcome_hash: 'a'.repeat(64) }],
  [
    'step_attempts_outcome_hash_check',
    'step_attempts',
    { outcome: 'Failed', ended_at: '2026-01-02', outcome_hash: 'A'.repeat(64) },
  ],
  ['step_attempts_step_id_fkey', 'step_attempts', { step_id: NOWHERE }],
  ['step_attempts_story_id_fkey', 'step_attempts', { story_id: NOWHERE }],
  ['requests_key_check', 'requests', { key: ' ' }],
  ['requests_body_hash_check', 'requests', { body_hash: 'x'.repeat(64) }],
  ['story_tasks_order_check', 'story_tasks', { order: -1 }],
  ['story_tasks_description_check', 'story_tasks', { description: '' }],
  ['story_tasks_status_check', 'story_tasks', { status: 'Done' }],
  ['story_tasks_completed_at_check', 'story_tasks', { status: 'Completed' }],
  ['story_tasks_completed_at_check', 'story_tasks', { completed_at: PAST }],
  ['story_tasks_step_id_fkey', 'story_tasks', { step_id: NOWHERE }],
];

function issue(change: Row): Row {
  return { issue_provider: 'GitHub', issue_number: 42, issue_owner: 'azora', issue_repo: 'azora', ...change };
}

describe('the story schema', () => {
  const db = useDatabase('story');
  const insert = (table: string, change: Row = {}) => insertRow(db().admin, table, { ...VALID[table], ...change });

  beforeAll(async () => {
    await insert('stories', { id: STORY });
    await insert('story_steps', { id: STEP, order: 100 });
  });

  it('gives a new story, step and task their defaults', async () => {
    const [story] = await insert('stories');
    const [step] = await insert('story_steps', { story_id: story?.['id'] });
    const [task] = await insert('story_tasks', { step_id: step?.['id'] });

    expect(story).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      status: 'Created',
      automation_mode: 'Assisted',
      dispatch_target: 'CopilotCli',
      source: 'User',
      priority: 'Medium',
      current_wave: 0,
      gate_mode: 'AutoProceed',
      max_parallelism: 4,
      created_at: expect.any(Date),
      updated_at: expect.any(Date),
    });
    expect(step).toMatchObject({ status: 'Pending', attempts: 0, wave: 0, created_at: expect.any(Date) });
    expect(task).toMatchObject({ status: 'Pending', completed_at: null, created_at: expect.any(Date) });
  });

  it.each(REFUSED)('rejects a row that violates %s', async (constraint, table, change) => {
    await schemaRefuses(insert(table, change), constraint);
  });

  itTestsEveryCheck(
    db,
    REFUSED.map(([constraint]) => constraint),
  );

  it('accepts an issue with all its parts, or only its URL', async () => {
    expect(await insert('stories', issue({}))).toHaveLength(1);
    expect(await insert('stories', { issue_url: 'https://tracker.azora.world/7' })).toHaveLength(1);
  });

  it.each([
    ['story_steps_story_id_order_key', 'story_steps', { order: 7 }],
    ['story_tasks_step_id_order_key', 'story_tasks', { order: 7 }],
    ['step_attempts_step_id_number_key', 'step_attempts', { number: 7, outcome: 'Lapsed', ended_at: '2026-01-02' }],
    ['requests_pkey', 'requests', { key: 'raced' }],
  ])('accepts one of eight concurrent rows under %s', async (constraint, table, shared) => {
    const refused = await refusalsOf(Array.from({ length: 8 }, () => insert(table, shared)));

    expect(refused).toEqual(Array(7).fill(constraint));
  });

  it('accepts one of eight concurrent attempts at a step that have not ended', async () => {
    const inserts = Array.from({ length: 8 }, (_, n) => insert('step_attempts', { number: 100 + n }));

    expect(await refusalsOf(inserts)).toEqual(Array(7).fill('step_attempts_open_key'));
  });

  it('deletes the steps of a story and their tasks with it', async () => {
    const [story] = await insert('stories');
    const [step] = await insert('story_steps', { story_id: story?.['id'] });
    await insert('story_tasks', { step_id: step?.['id'] });

    await db().admin('DELETE FROM stories WHERE id = $1', [story?.['id']]);

    expect(await db().app('SELECT 1 FROM story_steps WHERE story_id = $1', [story?.['id']])).toEqual([]);
    expect(await db().app('SELECT 1 FROM story_tasks WHERE step_id = $1', [step?.['id']])).toEqual([]);
  });

  it('finds the stories whose verification failed, by a key of the JSON result', async () => {
    const [story] = await insert('stories', { verification_passed: false, verification_result: '{"passed": false}' });

    expect(await db().app("SELECT id FROM stories WHERE verification_result->>'passed' = 'false'")).toEqual([
      { id: story?.['id'] },
    ]);
  });

  itKeepsAnAuditLog(db);
});
