import { itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

/** A table, the rule that a change of its rows violates, and the change. */
const INVALID = [
  ['student_profiles', 'student_id', `student_id = ' '`],
  ['student_profiles', 'ability', `ability = 1.01`],
  ['student_profiles', 'ability', `ability = 'NaN'`],
  ['student_profiles', 'preferred_language', `preferred_language = 'English, please'`],
  ['student_profiles', 'topic_mastery', `topic_mastery = '[0.5]'`],
  ['student_profiles', 'topic_mastery', `topic_mastery = '{"Loops": 2}'`],
  ['student_profiles', 'topic_mastery', `topic_mastery = '{"Loops": "much"}'`],
  ['student_profiles', 'topic_mastery', `topic_mastery = '{"Loops": [0.5]}'`],
  ['tutoring_sessions', 'topic', `topic = ''`],
  ['tutoring_sessions', 'ended_at', `status = 'completed', ended_at = started_at - interval '1 second'`],
  ['tutoring_sessions', 'status_ended_at', `status = 'completed'`],
  ['tutoring_sessions', 'status_ended_at', `ended_at = started_at`],
  ['tutoring_sessions', 'duration_minutes', `duration_minutes = 0`],
  [
    'tutoring_sessions',
    'duration_minutes',
    `status = 'completed', ended_at = started_at + interval '9 minutes', duration_minutes = 10`,
  ],
  ['tutoring_sessions', 'rating', `rating = 5`],
  ['tutoring_sessions', 'rating', `status = 'abandoned', ended_at = started_at, rating = 6`],
  ['messages', 'position', `position = 0`],
  ['messages', 'content', `content = '  '`],
  ['messages', 'confidence', `role = 'student', confidence = 0.5`],
  ['messages', 'confidence', `role = 'tutor', confidence = 1.1`],
  ['learning_insights', 'topic', `topic = ''`],
  ['learning_insights', 'content', `content = ''`],
  ['learning_insights', 'confidence', `confidence = -0.1`],
  ['learning_paths', 'title', `title = ''`],
  ['learning_paths', 'subject', `subject = ''`],
  ['learning_paths', 'target_level', `target_level = 'beginner', start_level = 'expert'`],
  ['learning_paths', 'estimated_hours', `estimated_hours = 0`],
  ['learning_paths', 'completed_at', `status = 'completed', completed_at = started_at - interval '1 second'`],
  ['learning_paths', 'status_completed_at', `status = 'completed'`],
  ['learning_paths', 'status_completed_at', `completed_at = started_at`],
  ['path_steps', 'position', `position = position - 2`],
  ['path_steps', 'title', `title = ''`],
  ['path_steps', 'estimated_minutes', `estimated_minutes = 0`],
  ['progress', 'percent', `percent = -1`],
  ['progress', 'percent', `percent = 100.5`],
  ['progress', 'score', `score = 1.5`],
  ['progress', 'time_spent_minutes', `time_spent_minutes = -1`],
  ['progress', 'completed_at', `percent = 100, completed_at = started_at - interval '1 second'`],
  ['progress', 'percent_completed_at', `percent = 100`],
  ['progress', 'percent_completed_at', `completed_at = started_at`],
  ['questions', 'topic', `topic = ''`],
  ['questions', 'question', `question = ''`],
  ['questions', 'answer', `answer = '', answered_at = now()`],
  ['questions', 'difficulty', `difficulty = 2`],
  ['questions', 'answered_at', `answer = 'Because.'`],
  ['questions', 'confidence', `confidence = 0.5`],
  ['questions', 'helpful', `helpful = true`],
  ['assessments', 'topic', `topic = ''`],
  ['assessments', 'difficulty', `difficulty = -0.5`],
  ['assessments', 'max_items', `max_items = 0`],
  ['assessments', 'score', `status = 'completed', ended_at = started_at, score = 1.1`],
  ['assessments', 'ended_at', `status = 'abandoned', ended_at = started_at - interval '1 second'`],
  ['assessments', 'status_ended_at', `status = 'abandoned'`],
  ['assessments', 'status_score', `score = 0.5`],
  ['assessments', 'status_score', `status = 'completed', ended_at = started_at`],
  ['assessment_items', 'position', `position = 0`],
  ['assessment_items', 'prompt', `prompt = ''`],
  ['assessment_items', 'options', `options = '{a}'`],
  ['assessment_items', 'correct_option', `correct_option = 2`],
  ['assessment_items', 'chosen_option', `chosen_option = 2, answered_at = now()`],
  ['assessment_items', 'difficulty', `difficulty = 1.5`],
  ['assessment_items', 'answered_at', `chosen_option = 1`],
  ['assessment_items', 'answered_at', `answered_at = now()`],
  ['tutoring_sessions', 'resumed_at', `resumed_at = started_at - interval '1 second'`],
  ['tutoring_sessions', 'active_seconds', `active_seconds = -1`],
  ['tutoring_sessions', 'message_count', `message_count = -1`],
  ['tutoring_sessions', 'token_count', `token_count = -1`],
  ['messages', 'content', `status = 'streaming'`],
  ['messages', 'content', `status = 'cancelled'`],
  ['messages', 'tokens', `tokens = -1`],
  ['message_chunks', 'number', `number = 0`],
  ['message_chunks', 'content', `content = ''`],
  ['message_chunks', 'tokens', `tokens = 10001`],
  ['requests', 'key', `key = ' '`],
  ['requests', 'body_hash', `body_hash = repeat('x', 64)`],
  ['skills', 'slug', `slug = 'Two words'`],
  ['skills', 'name', `name = ''`],
  ['skills', 'topic', `topic = ''`],
  ['skills', 'parameters', `guess = 0.5, slip = 0.5`],
  ['skills', 'parameters', `prior = 'NaN'`],
  ['items', 'prompt', `prompt = ''`],
  ['items', 'options', `options = '{a}', correct_option = 0`],
  ['items', 'correct_option', `correct_option = 2`],
  ['items', 'discrimination', `discrimination = 0`],
  ['items', 'discrimination', `discrimination = 'NaN'`],
  ['items', 'location', `location = 6.5`],
  ['assessments', 'ability', `ability = 6.5`],
  ['assessments', 'standard_error', `standard_error = 0`],
  ['assessments', 'target_standard_error', `target_standard_error = 0.05`],
  ['assessments', 'stop_reason', `stop_reason = 'precise'`],
  ['assessment_items', 'discrimination', `discrimination = 4.5`],
  ['assessment_items', 'location', `location = -7`],
  ['skill_mastery', 'probability', `probability = 1.1`],
  ['skill_mastery', 'attempts', `correct = attempts + 1`],
  ['skill_attempts', 'number', `number = 0`],
  ['skill_attempts', 'source', `source = 'assessment'`],
  ['skill_attempts', 'probability', `probability = -0.1`],
  ['cards', 'front', `front = ''`],
  ['cards', 'back', `back = ''`],
  ['cards', 'state', `state = 'new'`],
  ['cards', 'state', `stability = 0`],
  ['cards', 'stability', `stability = 'NaN'`],
  ['cards', 'difficulty', `difficulty = 'Infinity'`],
  ['cards', 'counts', `lapses = reviews + 1`],
  ['card_reviews', 'number', `number = 0`],
  ['card_reviews', 'stability', `stability = -1`],
  ['card_reviews', 'difficulty', `difficulty = 11`],
  ['card_reviews', 'elapsed_days', `elapsed_days = -1`],
] as const;

describe('the sapiens schema', () => {
  const db = useDatabase('sapiens');

  beforeAll(async () => {
    await db().admin(`INSERT INTO student_profiles (id, student_id) VALUES ('profile', 'ada')`);
    await db().admin(`INSERT INTO tutoring_sessions (id, student_id, topic) VALUES ('session', 'ada', 'Loops')`);
    await db().admin(`INSERT INTO messages (id, session_id, position, role, content)
      VALUES ('message', 'session', 1, 'student', 'What is a loop?')`);
    await db().admin(`INSERT INTO learning_insights (id, session_id, kind, topic, content, confidence)
      VALUES ('insight', 'session', 'strength', 'Loops', 'Quick', 0.5)`);
    await db().admin(`INSERT INTO learning_paths
        (id, student_id, title, subject, start_level, target_level, estimated_hours)
      VALUES ('path', 'ada', 'Python', 'Programming', 'intermediate', 'advanced', 10),
        ('other', 'ada', 'Algebra', 'Mathematics', 'beginner', 'beginner', 10)`);
    await db().admin(`INSERT INTO path_steps (id, path_id, position, title, estimated_minutes)
      VALUES ('step', 'path', 1, 'Variables', 10), ('next', 'path', 2, 'Loops', 10)`);
    await db().admin(`INSERT INTO progress (id, path_id, step_id) VALUES ('progress', 'path', 'step')`);
    await db().admin(
      `INSERT INTO questions (id, student_id, topic, question) VALUES ('question', 'ada', 'Loops', 'Why?')`,
    );
    await db().admin(`INSERT INTO assessments (id, student_id, topic) VALUES ('assessment', 'ada', 'Loops')`);
    await db().admin(`INSERT INTO assessment_items
        (id, assessment_id, position, prompt, options, correct_option, difficulty)
      VALUES ('item', 'assessment', 1, 'Which one?', '{a,b}', 0, 0.5)`);
    await db().admin(`
      INSERT INTO messages (id, session_id, position, role, content, status)
        VALUES ('stream', 'session', 2, 'tutor', '', 'streaming');
      INSERT INTO message_chunks (message_id, number, content) VALUES ('stream', 1, 'x');
      INSERT INTO requests (key, operation, body_hash, answer_id) VALUES ('k', 'x', repeat('a', 64), 'x');
      INSERT INTO skills (id, slug, name, topic) VALUES ('skill', 'loops', 'Loops', 'Loops');
      INSERT INTO items (id, skill_id, prompt, options, correct_option, discrimination, location)
        VALUES ('i', 'skill', 'Which?', '{a,b}', 1, 1, 0);
      INSERT INTO skill_attempts (id, student_id, skill_id, is_correct, source) VALUES ('t', 'ada', 'skill', true, 'practice');
      INSERT INTO cards (id, student_id, front, back) VALUES ('card', 'ada', 'Question', 'Answer');
      INSERT INTO card_reviews (card_id, number, rating, reviewed_at) VALUES ('card', 1, 'good', now())`);
  });

  it.each(INVALID)('rejects rows of %s with an invalid %s: %s', async (table, rule, change) => {
    // Without the triggers, which may reject the change first. The statements are one transaction.
    const statements = `ALTER TABLE ${table} DISABLE TRIGGER USER; UPDATE ${table} SET ${change}`;
    await schemaRefuses(db().admin(statements), `${table}_${rule}_check`);
  });

  it.each([
    ['student_profiles', 'interests'],
    ['assessment_items', 'options'],
  ])('rejects rows of %s whose %s are NULL', async (table, column) => {
    const statements = `ALTER TABLE ${table} DISABLE TRIGGER USER; UPDATE ${table} SET ${column} = NULL`;
    await expect(db().admin(statements)).rejects.toMatchObject({ code: '23502', column });
  });

  it.each([
    [
      'starts one session when four requests of a student race',
      `INSERT INTO tutoring_sessions (id, student_id, topic) VALUES ($1, 'ben', $1)`,
      'tutoring_sessions_active_key',
    ],
    [
      'creates one profile per student',
      `INSERT INTO student_profiles (id, student_id) VALUES ($1, 'ben')`,
      'student_profiles_student_id_key',
    ],
    [
      'creates one open path per title, ignoring case',
      `INSERT INTO learning_paths (id, student_id, title, subject, start_level, target_level, estimated_hours)
        VALUES ($1, 'ben', CASE $1 WHEN 'b' THEN 'PYTHON' ELSE 'Python' END, 'x', 'beginner', 'expert', 1)`,
      'learning_paths_open_key',
    ],
    [
      'starts one assessment per topic, ignoring case',
      `INSERT INTO assessments (id, student_id, topic) VALUES ($1, 'ben', CASE $1 WHEN 'b' THEN 'SETS' ELSE 'Sets' END)`,
      'assessments_in_progress_key',
    ],
    [
      'asks one assessment item at a time',
      `INSERT INTO assessment_items (id, assessment_id, position, prompt, options, correct_option, difficulty)
        SELECT $1::text, id, ascii($1::text), 'Which?', '{a,b}', 0, 0.5 FROM assessments WHERE student_id = 'ben'`,
      'assessment_items_open_key',
    ],
    [
      'accepts one message per position of a session',
      `INSERT INTO messages (id, session_id, position, role, content) VALUES ($1, 'session', 7, 'student', 'Hi')`,
      'messages_session_id_position_key',
    ],
    [
      'gives a place in a path to one step',
      `INSERT INTO path_steps (id, path_id, position, title, estimated_minutes) VALUES ($1, 'path', 3, 'x', 1)`,
      'path_steps_path_id_position_key',
    ],
    [
      'records the progress of a step once',
      `INSERT INTO progress (id, path_id, step_id) VALUES ($1, 'path', 'next')`,
      'progress_path_id_step_id_key',
    ],
  ])('%s', async (_behaviour, insert, constraint) => {
    const refused = await refusalsOf(['a', 'b', 'c', 'd'].map((id) => db().admin(insert, [id])));

    expect(refused).toEqual(Array(3).fill(constraint));
  });

  it('accepts a new session or assessment after the last one was paused, completed or abandoned', async () => {
    await db().admin(`INSERT INTO tutoring_sessions (id, student_id, topic, status, ended_at)
      VALUES ('p1', 'cy', 'x', 'paused', NULL), ('p2', 'cy', 'x', 'paused', NULL), ('p3', 'cy', 'x', 'active', NULL)`);
    await db().admin(`INSERT INTO assessments (id, student_id, topic, status, ended_at)
      VALUES ('a1', 'cy', 'x', 'abandoned', now()), ('a2', 'cy', 'x', 'in_progress', NULL)`);

    expect(await db().admin(`SELECT id FROM tutoring_sessions WHERE student_id = 'cy'`)).toHaveLength(3);
  });

  it('rejects progress with a step of another path', async () => {
    const insert = `INSERT INTO progress (id, path_id, step_id) VALUES ('stray', 'other', 'step')`;

    await schemaRefuses(db().admin(insert), 'progress_path_id_step_id_fkey');
  });

  it('finds a question by the words of its answer', async () => {
    await db().admin(`INSERT INTO questions (id, student_id, topic, question, answer, answered_at)
      VALUES ('found', 'ada', 'Lists', 'What is a tuple?', 'A list that never changes', now())`);

    const search = `SELECT id FROM questions WHERE search @@ websearch_to_tsquery('english', 'changing lists')`;
    expect(await db().admin(search)).toEqual([{ id: 'found' }]);
  });

  it('deletes the rows that belong to a session, a path or an assessment with it', async () => {
    await db().admin(`INSERT INTO tutoring_sessions (id, student_id, topic) VALUES ('gone', 'dan', 'x')`);
    await db().admin(
      `INSERT INTO messages (id, session_id, position, role, content) VALUES ('gone', 'gone', 1, 'system', 'x')`,
    );
    await db().admin(`INSERT INTO learning_insights (id, session_id, kind, topic, content, confidence)
      VALUES ('gone', 'gone', 'weakness', 'x', 'x', 1)`);
    await db().admin(`INSERT INTO learning_paths
        (id, student_id, title, subject, start_level, target_level, estimated_hours)
      VALUES ('gone', 'dan', 'x', 'x', 'beginner', 'expert', 1)`);
    await db().admin(
      `INSERT INTO path_steps (id, path_id, position, title, estimated_minutes) VALUES ('gone', 'gone', 1, 'x', 1)`,
    );
    await db().admin(`INSERT INTO progress (id, path_id, step_id) VALUES ('gone', 'gone', 'gone')`);
    await db().admin(`INSERT INTO assessments (id, student_id, topic) VALUES ('gone', 'dan', 'x')`);
    await db().admin(`INSERT INTO assessment_items (id, assessment_id, position, prompt, options, correct_option, difficulty)
      VALUES ('gone', 'gone', 1, 'x', '{a,b}', 0, 0)`);

    for (const parent of ['tutoring_sessions', 'learning_paths', 'assessments']) {
      await db().admin(`DELETE FROM ${parent} WHERE student_id = 'dan'`);
    }

    for (const child of ['messages', 'learning_insights', 'path_steps', 'progress', 'assessment_items']) {
      expect(await db().admin(`SELECT id FROM ${child} WHERE id = 'gone'`)).toEqual([]);
    }
  });

  itTestsEveryCheck(
    db,
    INVALID.map(([table, rule]) => `${table}_${rule}_check`),
  );

  itKeepsAnAuditLog(db);
});
