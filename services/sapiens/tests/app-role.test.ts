import { useDatabase } from '@azora/db-testkit';
import {
  addCard,
  appendMessage,
  beginMessage,
  getCard,
  openSapiens,
  recordPractice,
  recordStepProgress,
  reviewCard,
  type Sapiens,
  startAssessment,
} from '../src';
import { fresh, givenBank, givenPath, givenSession } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = [
  ...['student_profiles', 'tutoring_sessions', 'messages', 'message_chunks', 'learning_insights', 'learning_paths'],
  ...[
    'path_steps',
    'step_prerequisites',
    'progress',
    'questions',
    'skills',
    'items',
    'assessments',
    'assessment_items',
  ],
  ...['skill_mastery', 'skill_attempts', 'cards', 'card_reviews', 'requests', 'outbox'],
];

describe('the app role of sapiens with its own SQL', () => {
  const db = useDatabase('sapiens');
  let sapiens: Sapiens;
  const ids: Record<string, string> = {};
  beforeAll(async () => {
    sapiens = openSapiens({ url: db().url });
    const studentId = 'ada';
    const { id: session } = await givenSession(sapiens, studentId);
    await appendMessage(sapiens, { sessionId: session, role: 'student', content: 'x', idempotencyKey: fresh('key') });
    const { id: message } = await beginMessage(sapiens, { sessionId: session, idempotencyKey: fresh('key') });
    const { path, stepIds } = await givenPath(sapiens, { studentId });
    await recordStepProgress(sapiens, { stepId: stepIds[0] ?? '', percent: 10 });
    const { topic, skill } = await givenBank(sapiens, [{ discrimination: 1, location: 0 }]);
    const { id: assessment } = await startAssessment(sapiens, { studentId, topic, idempotencyKey: fresh('key') });
    await recordPractice(sapiens, { studentId, skillId: skill.id, isCorrect: true, idempotencyKey: fresh('key') });
    const { id: card } = await addCard(sapiens, { studentId, front: 'x', back: 'y', idempotencyKey: fresh('key') });
    await reviewCard(sapiens, { cardId: card, number: 1, rating: 'good' });
    Object.assign(ids, { session, message, path: path.id, step: stepIds[2], topic, assessment, card, skill: skill.id });
  });
  afterAll(() => sapiens.close());

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
    'UPDATE student_profiles SET ability = 1',
    "UPDATE tutoring_sessions SET status = 'completed', ended_at = now()",
    'UPDATE messages SET tokens = 0',
    'UPDATE progress SET percent = 100, completed_at = now()',
    "UPDATE assessments SET ability = 3, status = 'completed', score = 1, ended_at = now()",
    'UPDATE assessment_items SET chosen_option = correct_option, answered_at = now()',
    'UPDATE skill_mastery SET probability = 1',
    "UPDATE card_reviews SET rating = 'easy'",
    'UPDATE cards SET stability = 100',
    'UPDATE items SET location = 5',
    'SELECT * FROM cards FOR UPDATE',
    'ALTER TABLE cards DISABLE TRIGGER ALL',
    'DROP FUNCTION derive_ability() CASCADE',
    "SET session_replication_role = 'replica'",
    "CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
    // Parts of the functions, which run with the rights of the caller.
    "SELECT emit('skill-mastered', 'ada', '{}', now())",
    "SELECT begin_request('k', 'addCard', repeat('a', 64), 'x', 'ada')",
    "SELECT lock_student('ada')",
    "SELECT add_attempt('x', 'ada', skill_id, true, NULL, now()) FROM skill_mastery",
    'SELECT complete_path(id, now()) FROM learning_paths',
    'SELECT place_steps(id, ARRAY(SELECT s.id FROM path_steps AS s WHERE s.path_id = p.id)) FROM learning_paths AS p',
    "SELECT refresh_profile('ada', now())",
    "SELECT end_message(id, NULL, now()) FROM messages WHERE status = 'streaming'",
    'SELECT ask_next_item(a, now()) FROM assessments AS a',
  ])('cannot run: %s', async (sql) => {
    const before = await dump();

    await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });

    expect(await dump()).toBe(before);
  });

  it.each([
    ["start_session('k1', repeat('a', 64), 'x', 'ada', 'Lists', NULL)", 'session_active'],
    ["change_session_status('none', 'completed', NULL)", 'session_not_found'],
    ["rate_session('$session', 5)", 'session_not_ended'],
    ["append_chunk('$message', 2, 'x', 0)", 'chunk_order'],
    ["record_step_progress('$step', 100, 1, 0)", 'prerequisites_missing'],
    ["change_path_status('$path', 'completed')", 'path_unfinished'],
    ["reorder_steps('$path', NULL)", 'order_invalid'],
    ["answer_item('$assessment', 2, 1)", 'answer_order'],
    ["start_assessment('k2', repeat('a', 64), 'x', 'ada', '$topic', NULL, 10, 0.3)", 'assessment_running'],
    ["record_practice('k3', repeat('a', 64), 'x', 'ada', 'none', true)", 'skill_not_found'],
    ["review_card('$card', 3, 'easy')", 'review_order'],
    ["review_card('$card', 0, 'easy')", 'review_order'],
    ["review_card('$card', NULL, 'easy')", 'review_order'],
    ["review_card('$card', 1, 'easy')", 'already_reviewed'],
  ])('is refused by the functions as the store is: %s', async (call, rule) => {
    const sql = call.replaceAll(/\$(\w+)/g, (_match, name: string) => ids[name] ?? '');
    const before = await dump();

    await expect(db().app(`SELECT ${sql}`)).rejects.toMatchObject({ code: 'AZ001', message: rule });

    expect(await dump()).toBe(before);
  });

  it.each([
    ['cards', 'stability = 100', 'schedule_fixed'],
    ['card_reviews', "rating = 'easy'", 'log_fixed'],
    ['skill_attempts', 'is_correct = NOT is_correct', 'log_fixed'],
    ['progress', 'percent = 5', 'progress_fixed'],
    ['assessment_items', 'location = 1', 'answer_fixed'],
    ['path_steps', "position = position + 1 WHERE title = 'Functions'", 'step_positions'],
  ])('and even the administrator cannot change %s so that %s', async (table, change, rule) => {
    await expect(db().admin(`UPDATE ${table} SET ${change}`)).rejects.toMatchObject({ code: 'AZ001', message: rule });
  });

  it('and even the administrator cannot set an ability that does not follow from the answers', async () => {
    await db().admin('UPDATE assessments SET ability = 3, standard_error = 0.2, difficulty = 1');

    expect(await db().app('SELECT ability, standard_error, difficulty FROM assessments')).toEqual([
      { ability: 0, standard_error: 1, difficulty: 0.5 },
    ]);
  });

  it('gains nothing from temporary tables that hide the real ones', async () => {
    const { database, role } = db().target;
    await db().admin(`GRANT TEMPORARY ON DATABASE "${database}" TO "${role}"`);
    await db().app('CREATE TEMP TABLE cards AS SELECT * FROM public.cards');
    await db().app('UPDATE pg_temp.cards SET reviews = 7');

    await expect(db().app(`SELECT review_card('${ids['card']}', 8, 'easy')`)).rejects.toMatchObject({
      message: 'review_order',
    });
    await db().app('DROP TABLE pg_temp.cards');
    expect((await getCard(sapiens, { cardId: ids['card'] ?? '' })).reviews).toBe(1);
  });
});
