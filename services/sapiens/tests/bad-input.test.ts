/** @server any */
import {
  acceptedInput,
  BAD,
  type BadCall,
  type BadValues,
  badElements,
  outcomeOfGood,
  rowsOf,
  useDatabase,
} from '@azora/db-testkit';
import * as store from '../src';
import { openSapiens, type Sapiens } from '../src';
import { givenBank, givenCard, givenPath } from './given';

const KEY = { idempotencyKey: BAD.texts };
const STUDENT = { studentId: BAD.ids };
const PAGE = { limit: BAD.limits, cursor: BAD.cursors };
const STEP = { kind: BAD.choices, title: BAD.texts, description: BAD.texts, estimatedMinutes: BAD.ordinals };
const LANGUAGES: BadValues = [...BAD.texts, ['words', 'english please']];
const key = 'bad-input';

/** The rows that valid input names. */
const ids = {
  session: '',
  message: '',
  path: '',
  steps: [''],
  other: '',
  others: [''],
  skill: '',
  assessment: '',
  card: '',
  question: '',
};

/** Each function with valid input, and invalid values of its fields. */
const callsOf = (): Readonly<Record<string, BadCall<Sapiens>>> => ({
  startSession: [
    store.startSession,
    { studentId: 'ada', topic: 'Loops', idempotencyKey: key },
    { ...STUDENT, topic: BAD.texts, courseId: BAD.ids, ...KEY },
  ],
  pauseSession: [store.pauseSession, { sessionId: ids.session }, { sessionId: BAD.ids }],
  resumeSession: [store.resumeSession, { sessionId: ids.session }, { sessionId: BAD.ids }],
  completeSession: [store.completeSession, { sessionId: ids.session }, { sessionId: BAD.ids, summary: BAD.texts }],
  abandonSession: [store.abandonSession, { sessionId: ids.session }, { sessionId: BAD.ids }],
  rateSession: [
    store.rateSession,
    { sessionId: ids.session, rating: 5 },
    { sessionId: BAD.ids, rating: [...BAD.ordinals, ['6', 6]] },
  ],
  getSession: [store.getSession, { sessionId: ids.session }, { sessionId: BAD.ids }],
  listSessions: [store.listSessions, {}, { ...STUDENT, courseId: BAD.ids, status: BAD.choices, ...PAGE }],
  recordInsight: [
    store.recordInsight,
    { sessionId: ids.session, kind: 'strength', topic: 'x', content: 'x', confidence: 1, idempotencyKey: key },
    {
      ...{ sessionId: BAD.ids, kind: BAD.choices, topic: BAD.texts, content: BAD.texts },
      ...{ confidence: BAD.shares, ...KEY },
    },
  ],
  listInsights: [store.listInsights, {}, { ...STUDENT, sessionId: BAD.ids, kind: BAD.choices, ...PAGE }],
  appendMessage: [
    store.appendMessage,
    { sessionId: ids.session, role: 'tutor', content: 'x', idempotencyKey: key },
    {
      ...{ sessionId: BAD.ids, role: BAD.choices, content: BAD.texts, tokens: BAD.counts },
      ...{ confidence: BAD.shares, ...KEY },
    },
  ],
  beginMessage: [
    store.beginMessage,
    { sessionId: ids.session, idempotencyKey: key },
    { sessionId: BAD.ids, role: BAD.choices, ...KEY },
  ],
  appendChunk: [
    store.appendChunk,
    { messageId: ids.message, number: 1, content: ' ' },
    {
      ...{ messageId: BAD.ids, number: [...BAD.ordinals, ['10,001', 10_001]], tokens: BAD.counts },
      content: BAD.texts.filter(([what]) => what !== 'blanks'),
    },
  ],
  finishMessage: [store.finishMessage, { messageId: ids.message }, { messageId: BAD.ids, confidence: BAD.shares }],
  listMessages: [
    store.listMessages,
    { sessionId: ids.session },
    { sessionId: BAD.ids, limit: BAD.limits, cursor: [...BAD.cursors, ['a word', 'next']] },
  ],
  createPath: [
    store.createPath,
    {
      ...{ studentId: 'ada', title: 'x', subject: 'x', startLevel: 'beginner', targetLevel: 'expert' },
      ...{ estimatedHours: 1, steps: [{ title: 'x', estimatedMinutes: 1 }], idempotencyKey: key },
    },
    {
      ...{ ...STUDENT, title: BAD.texts, subject: BAD.texts, description: BAD.texts, courseId: BAD.ids, ...KEY },
      ...{ startLevel: BAD.choices, targetLevel: BAD.choices, estimatedHours: BAD.ordinals },
      steps: [
        ...badElements({ title: 'x', estimatedMinutes: 1 }, { ...STEP, needs: [['a later step', [1]]] }),
        ['none', []],
        ['201', Array.from({ length: 201 }, () => ({ title: 'x', estimatedMinutes: 1 }))],
      ],
    },
  ],
  getPath: [store.getPath, { pathId: ids.path }, { pathId: BAD.ids }],
  listPaths: [store.listPaths, {}, { ...STUDENT, courseId: BAD.ids, status: BAD.choices, ...PAGE }],
  listSteps: [store.listSteps, { pathId: ids.path }, { pathId: BAD.ids }],
  changePathStatus: [
    store.changePathStatus,
    { pathId: ids.path, status: 'active' },
    { pathId: BAD.ids, status: [...BAD.choices, ['one that follows', 'completed']] },
  ],
  addStep: [
    store.addStep,
    { pathId: ids.path, title: 'x', estimatedMinutes: 1 },
    { pathId: BAD.ids, ...STEP, position: BAD.ordinals },
  ],
  removeStep: [store.removeStep, { stepId: ids.steps[2] }, { stepId: BAD.ids }],
  reorderSteps: [
    store.reorderSteps,
    { pathId: ids.other, stepIds: ids.others },
    {
      pathId: BAD.ids,
      stepIds: [
        ['not all', ids.others.slice(1)],
        ['text', 'x'],
        ['one twice', [...ids.others, ids.others[0]]],
      ],
    },
  ],
  setStepPrerequisites: [
    store.setStepPrerequisites,
    { stepId: ids.steps[2], prerequisiteIds: [ids.steps[0]] },
    { stepId: BAD.ids, prerequisiteIds: [['text', 'x'], ...BAD.ids.map(([what, id]) => [what, [id]] as const)] },
  ],
  recordStepProgress: [
    store.recordStepProgress,
    { stepId: ids.steps[0], percent: 1 },
    {
      ...{ stepId: BAD.ids, score: BAD.shares, timeSpentMinutes: BAD.counts },
      percent: [...BAD.shares.filter(([what]) => what !== '1.1'), ['100.1', 100.1]],
    },
  ],
  startAssessment: [
    store.startAssessment,
    { studentId: 'ada', topic: 'nothing', idempotencyKey: key },
    {
      ...{ ...STUDENT, topic: BAD.texts, courseId: BAD.ids, ...KEY },
      ...{ maxItems: BAD.ordinals, targetStandardError: [...BAD.shares, ['0', 0]] },
    },
  ],
  answerItem: [
    store.answerItem,
    { assessmentId: ids.assessment, position: 1, chosenOption: 0 },
    { assessmentId: BAD.ids, position: BAD.ordinals, chosenOption: [...BAD.counts, ['no option', 2]] },
  ],
  abandonAssessment: [store.abandonAssessment, { assessmentId: ids.assessment }, { assessmentId: BAD.ids }],
  getAssessment: [store.getAssessment, { assessmentId: ids.assessment }, { assessmentId: BAD.ids }],
  listAssessments: [store.listAssessments, {}, { ...STUDENT, courseId: BAD.ids, status: BAD.choices, ...PAGE }],
  listAnswers: [store.listAnswers, { assessmentId: ids.assessment }, { assessmentId: BAD.ids }],
  addCard: [
    store.addCard,
    { studentId: 'ada', front: 'x', back: 'x', idempotencyKey: key },
    { ...STUDENT, front: BAD.texts, back: BAD.texts, skillId: BAD.ids, ...KEY },
  ],
  reviewCard: [
    store.reviewCard,
    { cardId: ids.card, number: 1, rating: 'good' },
    { cardId: BAD.ids, number: BAD.ordinals, rating: BAD.choices },
  ],
  previewReview: [store.previewReview, { cardId: ids.card }, { cardId: BAD.ids }],
  getCard: [store.getCard, { cardId: ids.card }, { cardId: BAD.ids }],
  deleteCard: [store.deleteCard, { cardId: ids.card }, { cardId: BAD.ids }],
  restoreCard: [store.restoreCard, { cardId: ids.card }, { cardId: BAD.ids }],
  listCards: [store.listCards, { studentId: 'ada' }, { ...STUDENT, skillId: BAD.ids, ...PAGE }],
  listDueCards: [store.listDueCards, { studentId: 'ada' }, { ...STUDENT, ...PAGE }],
  listReviews: [store.listReviews, { cardId: ids.card }, { cardId: BAD.ids, ...PAGE }],
  recordPractice: [
    store.recordPractice,
    { studentId: 'ada', skillId: ids.skill, isCorrect: true, idempotencyKey: key },
    { ...STUDENT, skillId: BAD.ids, isCorrect: BAD.flags, ...KEY },
  ],
  findMastery: [store.findMastery, { studentId: 'ada', skillId: ids.skill }, { ...STUDENT, skillId: BAD.ids }],
  listMastery: [store.listMastery, { studentId: 'ada' }, { ...STUDENT, ...PAGE }],
  listAttempts: [store.listAttempts, { studentId: 'ada', skillId: 'x' }, { ...STUDENT, skillId: BAD.ids, ...PAGE }],
  createSkill: [
    store.createSkill,
    { slug: 'bad-input', name: 'x', topic: 'x', slip: 0.5 },
    {
      ...{ slug: [...BAD.texts, ['upper case', 'Loops']], name: BAD.texts, topic: BAD.texts },
      ...{
        prior: BAD.shares,
        learn: BAD.shares,
        guess: [...BAD.shares, ['1 with slip', 0.5]],
        slip: BAD.shares.filter(([what]) => !/1/.test(what)),
      },
    },
  ],
  getSkill: [store.getSkill, { skillId: ids.skill }, { skillId: BAD.ids }],
  findSkill: [store.findSkill, { slug: 'x' }, { slug: BAD.texts }],
  listSkills: [store.listSkills, {}, { topic: BAD.texts, ...PAGE }],
  addItem: [
    store.addItem,
    {
      ...{ skillId: ids.skill, prompt: 'x', options: ['a', 'b'], correctOption: 0 },
      ...{ discrimination: 1, location: 0, idempotencyKey: key },
    },
    {
      ...{ skillId: BAD.ids, prompt: BAD.texts, ...KEY },
      options: [
        ...[['one', ['a']] as const, ['equal ones', ['a', 'a']] as const, ['text', 'ab'] as const],
        ...BAD.texts.map(([what, text]) => [what, ['a', text]] as const),
      ],
      correctOption: [...BAD.counts, ['no option', 2]],
      discrimination: [...BAD.shares.filter(([what]) => what !== '1.1'), ['0', 0], ['4.1', 4.1]],
      location: [...BAD.shares.filter(([what]) => !/1.1|-0.1/.test(what)), ['6.1', 6.1], ['none', undefined]],
    },
  ],
  retireItem: [store.retireItem, { itemId: 'x' }, { itemId: BAD.ids }],
  listItems: [store.listItems, {}, { skillId: BAD.ids, status: BAD.choices, ...PAGE }],
  askQuestion: [
    store.askQuestion,
    { studentId: 'ada', topic: 'x', question: 'x', idempotencyKey: key },
    { ...STUDENT, topic: BAD.texts, question: BAD.texts, difficulty: BAD.shares, ...KEY },
  ],
  answerQuestion: [
    store.answerQuestion,
    { questionId: ids.question, answer: 'x' },
    { questionId: BAD.ids, answer: BAD.texts, confidence: BAD.shares },
  ],
  rateAnswer: [
    store.rateAnswer,
    { questionId: ids.question, isHelpful: true },
    { questionId: BAD.ids, isHelpful: BAD.flags },
  ],
  getQuestion: [store.getQuestion, { questionId: ids.question }, { questionId: BAD.ids }],
  listQuestions: [
    store.listQuestions,
    {},
    { ...STUDENT, topic: BAD.texts, isAnswered: BAD.flags, text: BAD.texts, ...PAGE },
  ],
  saveProfile: [
    store.saveProfile,
    { studentId: 'ada' },
    {
      ...{ ...STUDENT, preferredLanguage: LANGUAGES, goals: BAD.textsOrNull },
      learningStyle: BAD.choices.filter(([what]) => what !== 'null'),
      interests: [
        ...[['text', 'x'] as const, ['51', Array.from({ length: 51 }, () => 'x')] as const],
        ...BAD.texts.map(([what, text]) => [what, [text]] as const),
      ],
    },
  ],
  findProfile: [store.findProfile, { studentId: 'ada' }, STUDENT],
  listProfiles: [store.listProfiles, {}, { level: BAD.choices, ...PAGE }],
});

describe('invalid input', () => {
  const db = useDatabase('sapiens');
  let sapiens: Sapiens;
  beforeAll(async () => {
    sapiens = openSapiens({ url: db().url });
    const bank = await givenBank(sapiens, [{ discrimination: 1, location: 0 }]);
    const { path, stepIds } = await givenPath(sapiens);
    const other = await givenPath(sapiens);
    const { id: session } = await store.startSession(sapiens, {
      studentId: 'ben',
      topic: 'x',
      idempotencyKey: 'session',
    });
    const asked = { studentId: 'ben', topic: 'x', question: 'x', idempotencyKey: 'question' };
    const assessed = { studentId: 'ben', topic: bank.topic, idempotencyKey: 'assessment' };
    Object.assign(ids, {
      ...{ session, path: path.id, steps: stepIds, skill: bank.skill.id },
      ...{ other: other.path.id, others: other.stepIds },
      message: (await store.beginMessage(sapiens, { sessionId: session, idempotencyKey: 'message' })).id,
      assessment: (await store.startAssessment(sapiens, assessed)).id,
      card: (await givenCard(sapiens)).id,
      question: (await store.askQuestion(sapiens, asked)).id,
    });
  });
  afterAll(() => sapiens.close());

  it.each(Object.keys(callsOf()))('of %s is rejected with the name of the field, and changes nothing', async (name) => {
    const call = callsOf()[name] as BadCall<Sapiens>;
    const before = await rowsOf(db());

    expect(await acceptedInput(sapiens, 'SAPIENS.INVALID_INPUT', call)).toEqual([]);
    expect(await rowsOf(db())).toEqual(before);
    expect(await outcomeOfGood(sapiens, call)).not.toBe('SAPIENS.INVALID_INPUT');
  });

  it('of the functions about a person is rejected', async () => {
    for (const [, id] of BAD.ids) {
      for (const call of [store.exportPerson(sapiens, id as string), store.erasePerson(sapiens, id as string)])
        await expect(call).rejects.toMatchObject({ code: 'SAPIENS.INVALID_INPUT' });
    }
  });

  it('is tested for every function with input', () => {
    const others = ['openSapiens', 'reconcile', 'exportPerson', 'erasePerson'];
    const functions = Object.entries(store).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));

    expect(functions.filter((name) => /^[a-z]/.test(name) && !others.includes(name)).sort()).toEqual(
      Object.keys(callsOf()).sort(),
    );
  });
});
