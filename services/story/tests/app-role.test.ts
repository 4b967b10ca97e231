import { useDatabase } from '@azora/db-testkit';
import { completeStory, getStory, openStory, reconcile, type Stories } from '../src';
import { claimOne, givenPlanned, givenStarted, planOf, runWave } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = ['stories', 'story_steps', 'story_tasks', 'step_attempts', 'requests', 'outbox'];

describe('the app role of story with its own SQL', () => {
  const db = useDatabase('story');
  let stories: Stories;
  let ids: Readonly<Record<string, string>> = {};
  beforeAll(async () => {
    stories = openStory({ url: db().url });
    const running = await givenStarted(stories, { steps: planOf(1, 1, 2), gateMode: 'PauseAlways', maxParallelism: 1 });
    const { claimId, id: runningStep } = await claimOne(stories, running);
    const [, pendingStep] = (await getStory(stories, { storyId: running })).steps;
    const gate = await givenStarted(stories, { steps: planOf(1, 2), gateMode: 'PauseAlways' });
    await runWave(stories, gate);
    const done = await givenStarted(stories, { steps: planOf(1) });
    const [doneStep] = await runWave(stories, done);
    await completeStory(stories, { storyId: done });
    const planned = await givenPlanned(stories);
    ids = {
      ...{ $running: running, $runningStep: runningStep, $pendingStep: pendingStep?.id ?? '', $claim: claimId },
      ...{ $gate: gate, $doneStep: doneStep?.id ?? '', $done: done, $planned: planned },
      $nobody: '00000000-0000-7000-8000-00000000000f',
    };
  });
  afterAll(() => stories.close());
  afterEach(async () => expect(await reconcile(stories)).toEqual([]));

  const dump = async () => {
    const columns = TABLES.map(
      (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
    );
    return JSON.stringify(await db().admin(`SELECT ${columns.join(', ')}`));
  };
  const withIds = (sql: string) =>
    Object.entries(ids)
      .sort(([one], [other]) => other.length - one.length)
      .reduce((text, [name, id]) => text.replaceAll(name, `'${id}'`), sql);

  it.each(
    TABLES.flatMap((table) => [
      `INSERT INTO ${table} DEFAULT VALUES`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table} CASCADE`,
      `SELECT * FROM ${table} FOR UPDATE`,
    ]),
  )('cannot run: %s', async (sql) => {
    await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });
  });

  it.each([
    "UPDATE stories SET status = 'Completed', completed_at = now()",
    'UPDATE stories SET current_wave = 9, max_parallelism = 1000',
    'UPDATE stories SET gate_result = \'{"wave": 1, "passed": true}\'',
    "UPDATE story_steps SET lease_until = 'infinity'",
    "UPDATE story_steps SET status = 'Completed', completed_at = now()",
    "UPDATE step_attempts SET outcome = 'Completed', ended_at = now()",
    "UPDATE story_tasks SET status = 'Completed', completed_at = now()",
    'ALTER TABLE stories DISABLE TRIGGER ALL',
    'DROP FUNCTION derive_story() CASCADE',
    "SET session_replication_role = 'replica'",
    "CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
    // Parts of the functions, which run with the rights of the caller.
    "SELECT emit('story-created', $running, '{}', now())",
    "SELECT begin_request('k', 'createStory', repeat('a', 64), $running)",
    "SELECT * FROM claim_in_story($running, 'evil', NULL, 100, '1 h')",
    'SELECT lock_story($running)',
    'SELECT lock_claim($claim)',
    'SELECT close_attempts(ARRAY[$runningStep::uuid], now())',
    'SELECT end_story(s, now()) FROM stories AS s',
  ])('cannot run: %s', async (sql) => {
    const before = await dump();

    await expect(db().app(withIds(sql))).rejects.toMatchObject({ code: NO_RIGHT });

    expect(await dump()).toBe(before);
  });

  it.each([
    ["claim_steps($running, 'evil', NULL, 1, '2 days')", 'lease_invalid'],
    ["claim_steps($running, 'evil', NULL, 1, '-1 hour')", 'lease_invalid'],
    ["claim_steps($running, 'evil', NULL, 1, NULL)", 'lease_invalid'],
    ["extend_lease($nobody, '1 h')", 'claim_not_found'],
    ["finish_step($nobody, 'Completed', 'x', repeat('a', 64))", 'claim_not_found'],
    ["finish_step($claim, 'Skipped', 'x', repeat('a', 64))", 'outcome_invalid'],
    ["finish_step($claim, 'Completed', 'x', NULL)", 'outcome_invalid'],
    ["finish_step($claim, NULL, 'x', repeat('a', 64))", 'outcome_invalid'],
    ['skip_step($runningStep, NULL)', 'step_running'],
    ['retry_step($runningStep, NULL)', 'status_transition'],
    ['skip_step($doneStep, NULL)', 'story_ended'],
    ["review_step($doneStep, 'Rejected', 'x', NULL)", 'story_ended'],
    ['review_step($runningStep, NULL, NULL, NULL)', 'approval_invalid'],
    ["review_step($pendingStep, 'Approved', NULL, NULL)", 'step_not_completed'],
    ['rerun_story($running, 1, NULL)', 'step_running'],
    ['rerun_story($running, NULL, NULL)', 'wave_not_reached'],
    ['rerun_story($running, 2, NULL)', 'wave_not_reached'],
    ['decide_gate($running, 1, true, NULL, NULL, NULL)', 'gate_not_open'],
    ['decide_gate($gate, 2, true, NULL, NULL, NULL)', 'gate_not_open'],
    ['decide_gate($done, 1, true, NULL, NULL, NULL)', 'story_ended'],
    ['complete_story($gate, NULL, NULL)', 'story_not_ready'],
    ["move_story($running, 'Completed')", 'status_transition'],
    ["move_story($running, 'Planning')", 'status_transition'],
    ["move_story($planned, 'Executing')", 'status_transition'],
    ['record_plan($running, \'{"steps": [{"name": "x", "capability": "x", "wave": 1}]}\')', 'status_transition'],
    ['start_story($nobody)', 'story_not_found'],
    ["record_verification($gate, '[{}]')", 'story_not_ready'],
    ["move_task($claim, $nobody, 'Completed')", 'task_not_found'],
    ["add_task('k', repeat('a', 64), $nobody, 'x')", 'step_not_found'],
    ["append_chat('k', repeat('a', 64), $running, 'tool', 'x')", 'chat_invalid'],
    ["append_chat('k', repeat('a', 64), $running, NULL, 'x')", 'chat_invalid'],
    ['cancel_story($done, NULL)', 'status_transition'],
  ])('is refused by the functions as the store is: %s', async (call, rule) => {
    const before = await dump();

    await expect(db().app(withIds(`SELECT ${call}`))).rejects.toMatchObject({ code: 'AZ001', message: rule });

    expect(await dump()).toBe(before);
  });

  it('claims no more than the maximum parallelism by hand', async () => {
    const before = await dump();

    expect(await db().app(withIds("SELECT * FROM claim_steps($running, 'evil', NULL, 1000000, '1 h')"))).toEqual([]);

    expect(await dump()).toBe(before);
  });

  it('changes nothing but the fields of the store by a patch of its own', async () => {
    const patch = {
      ...{ status: 'Completed', current_wave: 9, completed_at: '2026-01-01', user_id: 'evil', source: 'System' },
      ...{ gate_result: { wave: 1, passed: true }, created_at: '2000-01-01', id: ids['$nobody'], title: 'New' },
    };
    const columns = 'status, current_wave, completed_at, user_id, source, gate_result, created_at, title';
    const read = () => db().admin(`SELECT ${columns} FROM stories WHERE id = $1`, [ids['$planned']]);
    const [before] = await read();

    await db().app('SELECT update_story($1, $2)', [ids['$planned'], patch]);

    expect(await read()).toEqual([{ ...before, title: 'New' }]);
  });

  it('gains nothing from temporary tables that hide the real ones', async () => {
    const { database, role } = db().target;
    await db().admin(`GRANT TEMPORARY ON DATABASE "${database}" TO "${role}"`);
    await db().app('CREATE TEMP TABLE stories AS SELECT * FROM public.stories');
    await db().app("UPDATE pg_temp.stories SET status = 'ReadyToComplete', max_parallelism = 100");
    const before = await dump();

    await expect(db().app(withIds('SELECT complete_story($gate, NULL, NULL)'))).rejects.toMatchObject({
      message: 'story_not_ready',
    });
    expect(await db().app(withIds("SELECT * FROM claim_steps($running, 'evil', NULL, 9, '1 h')"))).toEqual([]);

    await db().app('DROP TABLE pg_temp.stories');
    expect(await dump()).toBe(before);
  });
});
