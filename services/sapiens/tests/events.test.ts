/** @server any */
import { useDatabase } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import {
  abandonAssessment,
  addCard,
  answerItem,
  answerQuestion,
  appendMessage,
  askQuestion,
  completeSession,
  EVENTS,
  erasePerson,
  openSapiens,
  recordInsight,
  recordPractice,
  recordStepProgress,
  reviewCard,
  type Sapiens,
  saveProfile,
  startAssessment,
  startSession,
} from '../src';
import { fresh, givenBank, givenPath, published } from './given';

/** Text of people, which no event repeats. */
const PERSONAL = 'Ada Lovelace, 12 Main Street';

describe('the events of sapiens', () => {
  const db = useDatabase('sapiens');
  let sapiens: Sapiens;
  beforeAll(() => {
    sapiens = openSapiens({ url: db().url });
  });
  afterAll(() => sapiens.close());

  const key = () => ({ idempotencyKey: `${fresh('key')} ${PERSONAL}` });

  /** The calls of a student's day; each is made twice. */
  async function* callsOf(studentId: string): AsyncGenerator<() => Promise<{ readonly id?: string }>> {
    const made: string[] = [];
    const keep = (call: () => Promise<{ readonly id: string }>) => async () => {
      const { id } = await call();
      made.push(id);
      return { id };
    };
    yield () => saveProfile(sapiens, { studentId, goals: PERSONAL });
    const session = { studentId, topic: PERSONAL, ...key() };
    yield keep(() => startSession(sapiens, session));
    const sessionId = made.at(-1) ?? '';
    const message = { sessionId, role: 'student', content: PERSONAL, ...key() } as const;
    yield () => appendMessage(sapiens, message);
    const insight = { sessionId, kind: 'weakness', topic: 'x', content: PERSONAL, confidence: 1, ...key() } as const;
    yield () => recordInsight(sapiens, insight);
    yield () => completeSession(sapiens, { sessionId, summary: PERSONAL });
    const request = key();
    const { path, stepIds } = await givenPath(sapiens, { studentId, title: PERSONAL, ...request });
    for (const stepId of stepIds) yield () => recordStepProgress(sapiens, { stepId, percent: 100 });
    made.push(path.id);
    const question = { studentId, topic: 'x', question: PERSONAL, ...key() };
    yield keep(() => askQuestion(sapiens, question));
    const questionId = made.at(-1) ?? '';
    yield () => answerQuestion(sapiens, { questionId, answer: PERSONAL });
    const { topic, skill } = await givenBank(sapiens, [{ discrimination: 1, location: 0 }]);
    const first = { studentId, topic, ...key() };
    yield keep(() => startAssessment(sapiens, first));
    const assessmentId = made.at(-1) ?? '';
    yield () => abandonAssessment(sapiens, { assessmentId });
    const second = { studentId, topic, ...key() };
    yield keep(() => startAssessment(sapiens, second));
    const completedId = made.at(-1) ?? '';
    yield () => answerItem(sapiens, { assessmentId: completedId, position: 1, chosenOption: 1 });
    for (let n = 0; n < 6; n += 1) {
      const attempt = { studentId, skillId: skill.id, isCorrect: true, ...key() };
      yield () => recordPractice(sapiens, attempt);
    }
    const card = { studentId, front: PERSONAL, back: PERSONAL, ...key() };
    yield keep(() => addCard(sapiens, card));
    const cardId = made.at(-1) ?? '';
    yield () => reviewCard(sapiens, { cardId, number: 1, rating: 'good' });
    yield async () => {
      await erasePerson(sapiens, studentId);
      return {};
    };
  }

  it('are published once, as they are declared, without texts of people', async () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const declared = new Map<string, (typeof EVENTS)[number]>(EVENTS.map((event) => [event.type, event]));
    const studentId = fresh('student');
    for await (const call of callsOf(studentId)) {
      await call();
      const before = (await published(db())).length;
      await call();
      expect(await published(db(), before)).toEqual([]);
    }

    const events = await published(db());
    const faults = events.filter(({ type, key: found, payload }) => {
      const event = declared.get(type);
      return event === undefined || !ajv.validate(event.jsonSchema, payload) || found !== studentId;
    });
    expect(faults).toEqual([]);
    expect([...new Set(events.map(({ type }) => type))].sort()).toEqual([...declared.keys()].sort());
    expect(JSON.stringify(events)).not.toContain('Lovelace');
  });
});
