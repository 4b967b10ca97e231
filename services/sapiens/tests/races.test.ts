/** @server any */
import { callAtGate, type RacingCalls, racePairs, useDatabase } from '@azora/db-testkit';
import {
  abandonAssessment,
  abandonSession,
  addCard,
  addStep,
  answerItem,
  answerQuestion,
  appendChunk,
  appendMessage,
  askQuestion,
  beginMessage,
  changePathStatus,
  completeSession,
  createPath,
  deleteCard,
  erasePerson,
  finishMessage,
  listSessions,
  openSapiens,
  pauseSession,
  rateAnswer,
  rateSession,
  reconcile,
  recordInsight,
  recordPractice,
  recordStepProgress,
  removeStep,
  reorderSteps,
  restoreCard,
  resumeSession,
  reviewCard,
  type Sapiens,
  saveProfile,
  setStepPrerequisites,
  startAssessment,
  startSession,
} from '../src';
import { fresh, givenBank, givenCard, givenPath, givenSession } from './given';

/** Everything about a student but ids and times. */
const STATE = `
  SELECT
    (SELECT json_agg(json_build_array(topic, status, message_count, token_count, rating, summary, ended_at IS NULL) ORDER BY started_at)
      FROM tutoring_sessions WHERE student_id = $1) AS sessions,
    (SELECT json_agg(json_build_array(m.position, m.role, m.status, m.content) ORDER BY m.position)
      FROM messages AS m JOIN tutoring_sessions AS s ON s.id = m.session_id WHERE s.student_id = $1) AS messages,
    (SELECT json_agg(json_build_array(c.number, c.content) ORDER BY c.number) FROM message_chunks AS c
      JOIN messages AS m ON m.id = c.message_id JOIN tutoring_sessions AS s ON s.id = m.session_id WHERE s.student_id = $1) AS chunks,
    (SELECT count(*) FROM learning_insights AS i JOIN tutoring_sessions AS s ON s.id = i.session_id WHERE s.student_id = $1) AS insights,
    (SELECT json_agg(json_build_array(title, status) ORDER BY created_at, id) FROM learning_paths WHERE student_id = $1) AS paths,
    (SELECT json_agg(json_build_array(s.position, s.title, r.percent, ARRAY(SELECT needed.title FROM step_prerequisites AS n
        JOIN path_steps AS needed ON needed.id = n.prerequisite_id WHERE n.step_id = s.id ORDER BY 1)) ORDER BY s.position, s.title)
      FROM path_steps AS s JOIN learning_paths AS p ON p.id = s.path_id LEFT JOIN progress AS r ON r.step_id = s.id
      WHERE p.student_id = $1) AS steps,
    (SELECT json_agg(json_build_array(a.status, round(a.ability::numeric, 6), a.stop_reason, ARRAY(SELECT chosen_option FROM assessment_items
        WHERE assessment_id = a.id ORDER BY position)) ORDER BY a.started_at)
      FROM assessments AS a WHERE a.student_id = $1) AS assessments,
    (SELECT json_agg(json_build_array(c.state, c.reviews, c.deleted_at IS NULL, ARRAY(SELECT rating FROM card_reviews
        WHERE card_id = c.id ORDER BY number))) FROM cards AS c WHERE c.student_id = $1) AS cards,
    (SELECT json_agg(json_build_array(answer, helpful)) FROM questions WHERE student_id = $1) AS questions,
    (SELECT json_agg(json_build_array(attempts, correct, round(probability::numeric, 6))) FROM skill_mastery WHERE student_id = $1) AS mastery,
    (SELECT json_build_array(learning_style, goals, round(ability::numeric, 6), level, strengths) FROM student_profiles
      WHERE student_id = $1) AS profile,
    (SELECT count(*) FROM requests WHERE student_id = $1) AS requests,
    (SELECT array_agg(type ORDER BY position) FROM outbox WHERE key = $1) AS events`;

interface Student {
  readonly studentId: string;
}

describe('races in sapiens', () => {
  const db = useDatabase('sapiens');
  let sapiens: Sapiens;
  let topic = '';
  let skillId = '';
  beforeAll(async () => {
    // A function, because planning this query takes longer than running it.
    await db().admin(`CREATE FUNCTION state_of(text) RETURNS json LANGUAGE plpgsql
      AS $$ BEGIN RETURN (SELECT to_json(s) FROM (${STATE}) AS s); END $$`);
    sapiens = openSapiens({ url: db().url, pool: { max: 2 } });
    const bank = await givenBank(sapiens, [
      { discrimination: 1, location: 0 },
      { discrimination: 1, location: 1 },
    ]);
    topic = bank.topic;
    skillId = bank.skill.id;
  });
  afterEach(async () => {
    expect(await reconcile(sapiens)).toEqual([]);
  });
  afterAll(() => sapiens.close());

  const key = () => ({ idempotencyKey: fresh('key') });
  /** Every call takes the lock of the student first, and can race with the erasure. */
  const race = <Row extends Student>(race: Pick<RacingCalls<Row>, 'calls' | 'given'>) =>
    racePairs<Row>(db(), {
      calls: { erase: async ({ studentId }) => (await erasePerson(sapiens, studentId)).students, ...race.calls },
      given: race.given,
      gate: ({ studentId }) => ({
        text: 'SELECT FROM student_profiles WHERE student_id = $1 FOR UPDATE',
        values: [studentId],
      }),
      stateOf: async ({ studentId }) => (await db().admin('SELECT state_of($1)', [studentId]))[0]?.['state_of'],
    });

  it('of calls on an active session leave what one order of the two leaves', async () => {
    const unexplained = await race({
      given: async () => {
        const { id: sessionId, studentId } = await givenSession(sapiens);
        return { sessionId, studentId };
      },
      calls: {
        pause: (row) => pauseSession(sapiens, { sessionId: row.sessionId }),
        resume: (row) => resumeSession(sapiens, { sessionId: row.sessionId }),
        complete: (row) => completeSession(sapiens, { sessionId: row.sessionId, summary: 'Done' }),
        abandon: (row) => abandonSession(sapiens, { sessionId: row.sessionId }),
        rate: (row) => rateSession(sapiens, { sessionId: row.sessionId, rating: 4 }),
        append: (row) =>
          appendMessage(sapiens, { sessionId: row.sessionId, role: 'student', content: 'Why?', tokens: 2, ...key() }),
        insight: (row) =>
          recordInsight(sapiens, {
            ...{ sessionId: row.sessionId, kind: 'strength', topic: 'Loops', content: 'Knows them', confidence: 1 },
            ...key(),
          }),
        start: (row) => startSession(sapiens, { studentId: row.studentId, topic: 'Trees', ...key() }),
      },
    });

    expect(unexplained).toEqual([]);
  });

  it('of calls on a paused session leave what one order of the two leaves', async () => {
    const unexplained = await race({
      given: async () => {
        const { id: sessionId, studentId } = await givenSession(sapiens);
        await pauseSession(sapiens, { sessionId });
        return { sessionId, studentId };
      },
      calls: {
        resume: (row) => resumeSession(sapiens, { sessionId: row.sessionId }),
        start: (row) => startSession(sapiens, { studentId: row.studentId, topic: 'Trees', ...key() }),
        append: (row) =>
          appendMessage(sapiens, { sessionId: row.sessionId, role: 'student', content: 'Why?', ...key() }),
      },
    });

    expect(unexplained).toEqual([]);
  });

  it('of calls on a streaming message leave what one order of the two leaves', async () => {
    const chunk = (content: string) => (row: { readonly messageId: string }) =>
      appendChunk(sapiens, { messageId: row.messageId, number: 2, content, tokens: 1 });
    const unexplained = await race({
      given: async () => {
        const { id: sessionId, studentId } = await givenSession(sapiens);
        const { id: messageId } = await beginMessage(sapiens, { sessionId, ...key() });
        await appendChunk(sapiens, { messageId, number: 1, content: 'A loop', tokens: 2 });
        return { sessionId, studentId, messageId };
      },
      calls: {
        'append a': chunk(' repeats'),
        'append b': chunk(' ends'),
        finish: async (row) => (await finishMessage(sapiens, { messageId: row.messageId })).content,
        pause: (row) => pauseSession(sapiens, { sessionId: row.sessionId }),
        complete: (row) => completeSession(sapiens, { sessionId: row.sessionId }),
      },
    });

    expect(unexplained).toEqual([]);
  });

  it('of calls on a path leave what one order of the two leaves', async () => {
    const unexplained = await race({
      given: async () => {
        const { path, stepIds } = await givenPath(sapiens, {
          steps: ['Variables', 'Loops', 'Functions'].map((title) => ({ title, estimatedMinutes: 10 })),
        });
        const [one = '', two = '', three = ''] = stepIds;
        return { studentId: path.studentId, pathId: path.id, one, two, three };
      },
      calls: {
        remove: async (row) => (await removeStep(sapiens, { stepId: row.three })).title,
        add: (row) => addStep(sapiens, { pathId: row.pathId, title: 'Trees', estimatedMinutes: 5, position: 2 }),
        reorder: (row) => reorderSteps(sapiens, { pathId: row.pathId, stepIds: [row.three, row.two, row.one] }),
        need: async (row) =>
          (await setStepPrerequisites(sapiens, { stepId: row.three, prerequisiteIds: [row.one] })).length,
        begin: async (row) => (await recordStepProgress(sapiens, { stepId: row.three, percent: 50 })).percent,
        pause: (row) => changePathStatus(sapiens, { pathId: row.pathId, status: 'paused' }),
        abandon: (row) => changePathStatus(sapiens, { pathId: row.pathId, status: 'abandoned' }),
      },
    });

    expect(unexplained).toEqual([]);
  });

  it('of calls on a path with one open step leave what one order of the two leaves', async () => {
    const unexplained = await race({
      given: async () => {
        const { path, stepIds } = await givenPath(sapiens, {
          steps: ['Variables', 'Loops'].map((title) => ({ title, estimatedMinutes: 10 })),
        });
        const [one = '', two = ''] = stepIds;
        await recordStepProgress(sapiens, { stepId: one, percent: 100 });
        return { studentId: path.studentId, pathId: path.id, two };
      },
      calls: {
        remove: async (row) => (await removeStep(sapiens, { stepId: row.two })).title,
        finish: (row) => recordStepProgress(sapiens, { stepId: row.two, percent: 100 }),
        add: (row) => addStep(sapiens, { pathId: row.pathId, title: 'Trees', estimatedMinutes: 5 }),
        pause: (row) => changePathStatus(sapiens, { pathId: row.pathId, status: 'paused' }),
        create: (row) =>
          createPath(sapiens, {
            ...{
              studentId: row.studentId,
              title: 'PYTHON',
              subject: 'x',
              startLevel: 'beginner',
              targetLevel: 'expert',
            },
            ...{ estimatedHours: 1, steps: [{ title: 'Trees', estimatedMinutes: 5 }] },
            ...key(),
          }),
      },
    });

    expect(unexplained).toEqual([]);
  });

  it('of calls on an assessment leave what one order of the two leaves', async () => {
    const answer = (chosenOption: number) => (row: { readonly assessmentId: string }) =>
      answerItem(sapiens, { assessmentId: row.assessmentId, position: 1, chosenOption });
    const unexplained = await race({
      given: async () => {
        const studentId = fresh('student');
        const { id: assessmentId } = await startAssessment(sapiens, { studentId, topic, ...key() });
        return { studentId, assessmentId };
      },
      calls: {
        right: answer(1),
        wrong: answer(0),
        abandon: (row) => abandonAssessment(sapiens, { assessmentId: row.assessmentId }),
        start: (row) => startAssessment(sapiens, { studentId: row.studentId, topic, ...key() }),
        practice: (row) => recordPractice(sapiens, { studentId: row.studentId, skillId, isCorrect: true, ...key() }),
      },
    });

    expect(unexplained).toEqual([]);
  });

  it('of calls on a card leave what one order of the two leaves', async () => {
    const unexplained = await race({
      given: async () => {
        const { id: cardId, studentId } = await givenCard(sapiens);
        return { cardId, studentId };
      },
      calls: {
        easy: (row) => reviewCard(sapiens, { cardId: row.cardId, number: 1, rating: 'easy' }),
        again: (row) => reviewCard(sapiens, { cardId: row.cardId, number: 1, rating: 'again' }),
        delete: (row) => deleteCard(sapiens, { cardId: row.cardId }),
        restore: (row) => restoreCard(sapiens, { cardId: row.cardId }),
      },
    });

    expect(unexplained).toEqual([]);
  });

  it('of calls on a question leave what one order of the two leaves', async () => {
    const unexplained = await race({
      given: async () => {
        const studentId = fresh('student');
        const { id: questionId } = await askQuestion(sapiens, {
          studentId,
          topic: 'Loops',
          question: 'Why?',
          ...key(),
        });
        return { studentId, questionId };
      },
      calls: {
        'answer a': (row) => answerQuestion(sapiens, { questionId: row.questionId, answer: 'To repeat' }),
        'answer b': (row) => answerQuestion(sapiens, { questionId: row.questionId, answer: 'To end' }),
        rate: (row) => rateAnswer(sapiens, { questionId: row.questionId, isHelpful: true }),
      },
    });

    expect(unexplained).toEqual([]);
  });

  it('of calls for a student leave what one order of the two leaves, and a repeated request is the request', async () => {
    const unexplained = await race({
      given: async () => {
        const studentId = fresh('student');
        const request = { studentId, skillId, isCorrect: true, ...key() };
        await recordPractice(sapiens, request);
        return { studentId, request };
      },
      calls: {
        repeat: async (row) => (await recordPractice(sapiens, row.request)).attempts,
        right: async (row) => (await recordPractice(sapiens, { ...row.request, ...key() })).attempts,
        wrong: async (row) => (await recordPractice(sapiens, { ...row.request, isCorrect: false, ...key() })).attempts,
        style: (row) => saveProfile(sapiens, { studentId: row.studentId, learningStyle: 'visual' }),
        goals: (row) => saveProfile(sapiens, { studentId: row.studentId, goals: 'A job' }),
        card: (row) => addCard(sapiens, { studentId: row.studentId, front: 'x', back: 'y', ...key() }),
      },
    });

    expect(unexplained).toEqual([]);
  });

  it('of a repeated request and an erasure make a new request after the erasure', async () => {
    const request = { studentId: fresh('student'), topic: 'Loops', ...key() };
    const { id: erasedId } = await startSession(sapiens, request);
    // Stops a request after it has found its key taken, and before it reads the earlier request.
    await db().admin(`CREATE FUNCTION stop_request() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(18); RETURN NULL; END'`);
    await db().admin('CREATE TRIGGER stopped AFTER INSERT ON requests EXECUTE FUNCTION stop_request()');

    const outcomes = await callAtGate(db(), { text: 'SELECT pg_advisory_xact_lock(18)' }, [
      async () => (await startSession(sapiens, request)).id === erasedId,
      async () => (await erasePerson(sapiens, request.studentId)).students,
    ]);

    await db().admin('DROP FUNCTION stop_request() CASCADE');
    expect(outcomes).toEqual(['false', '1']);
    expect(await listSessions(sapiens, { studentId: request.studentId })).toMatchObject({
      items: [{ topic: 'Loops' }],
    });
  });
});
