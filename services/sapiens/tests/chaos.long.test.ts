/** @server none */
import { type ChaosCall, type ChaosServer, callUnderKills, openChaosServer, testEffort } from '@azora/db-testkit';
import {
  addCard,
  answerItem,
  appendMessage,
  completeSession,
  erasePerson,
  openSapiens,
  reconcile,
  recordPractice,
  reviewCard,
  type Sapiens,
  startAssessment,
  startSession,
} from '../src';
import { fresh, givenBank } from './given';

const CLIENTS = 8;
const KILLS = 2 * testEffort();
const CALLS = 240;
const STUDENTS = 5;

describe('the tutoring of students on a server that is killed', () => {
  let server: ChaosServer;
  let sapiens: Sapiens;
  let bank: Awaited<ReturnType<typeof givenBank>>;
  const cardIds: string[] = [];
  beforeAll(async () => {
    server = await openChaosServer('sapiens');
    sapiens = openSapiens({ url: server.url, pool: { max: CLIENTS }, slowQueryMs: 3_600_000 });
    bank = await givenBank(
      sapiens,
      [-1, -0.5, 0, 0.5, 1].map((location) => ({ discrimination: 1, location })),
    );
    for (let n = 0; n < STUDENTS; n += 1) {
      const card = { studentId: `ada-${n}`, front: 'while', back: 'A loop', idempotencyKey: fresh('key') };
      cardIds.push((await addCard(sapiens, card)).id);
    }
  });
  afterAll(async () => {
    await sapiens.close();
    await server.close();
  });

  /** What the clients know to be written, of the students who are not erased. */
  const known = { messages: new Set<string>(), practices: 0, reviews: new Map<string, number>() };
  let made = 0;

  /** Clients share students, so that their calls race. */
  function next(): ChaosCall {
    made += 1;
    const at = made % STUDENTS;
    const [studentId, gone] = [`ada-${at}`, `gone-${at}`];
    const isCorrect = made % 3 !== 0;
    const idempotencyKey = fresh('key');
    const practice = { skillId: bank.skill.id, isCorrect, idempotencyKey };
    switch (made % 9) {
      case 0:
        return ['erase', () => erasePerson(sapiens, gone)];
      case 1:
        return ['practice of the erased', () => recordPractice(sapiens, { studentId: gone, ...practice })];
      case 2:
      case 3:
        return [
          'practice',
          async () => {
            await recordPractice(sapiens, { studentId, ...practice });
            known.practices += 1;
          },
        ];
      case 4:
      case 5:
        return ['review', reviewOf(cardIds[at] ?? '', isCorrect)];
      case 6:
        return ['assess', assessmentOf(fresh('tested'), isCorrect)];
      default:
        return ['tutor', sessionOf(studentId, made % 2 === 0)];
    }
  }

  /** Repeats the review with its number, as a device does that knows how many reviews it has seen. */
  function reviewOf(cardId: string, isGood: boolean): () => Promise<void> {
    const number = (known.reviews.get(cardId) ?? 0) + 1;
    return async () => {
      await reviewCard(sapiens, { cardId, number, rating: isGood ? 'good' : 'hard' });
      known.reviews.set(cardId, Math.max(number, known.reviews.get(cardId) ?? 0));
    };
  }

  function assessmentOf(studentId: string, isCorrect: boolean): () => Promise<void> {
    const started = { studentId, topic: bank.topic, maxItems: 3, idempotencyKey: fresh('key') };
    return async () => {
      const { id: assessmentId } = await startAssessment(sapiens, started);
      for (const position of [1, 2, 3]) {
        const answer = { assessmentId, position, chosenOption: isCorrect || position === 2 ? 1 : 0 };
        await answerItem(sapiens, answer);
      }
    };
  }

  function sessionOf(studentId: string, isCompleted: boolean): () => Promise<void> {
    const [start, said] = [fresh('key'), fresh('key')];
    return async () => {
      const { id: sessionId } = await startSession(sapiens, { studentId, topic: 'Loops', idempotencyKey: start });
      const message = { sessionId, role: 'student', content: 'Why?', tokens: 7, idempotencyKey: said } as const;
      known.messages.add((await appendMessage(sapiens, message)).id);
      if (isCompleted) await completeSession(sapiens, { sessionId });
    };
  }

  async function check(): Promise<void> {
    expect(await reconcile(sapiens)).toEqual([]);
    const [found] = await server.admin(
      `SELECT (SELECT count(*)::int FROM messages WHERE id = ANY ($1)) AS known, (SELECT count(*)::int FROM messages) AS messages,
        (SELECT count(*)::int FROM skill_attempts WHERE student_id LIKE 'ada-%') AS practices,
        (SELECT coalesce(jsonb_object_agg(id, reviews), '{}') FROM cards WHERE reviews > 0) AS reviews,
        (SELECT count(*)::int FROM tutoring_sessions AS s WHERE (SELECT count(*) FROM outbox AS o
          WHERE o.type = 'sapiens.session-started.v1' AND o.payload ->> 'sessionId' = s.id) <> 1) AS unpublished`,
      [[...known.messages]],
    );
    const { size } = known.messages;
    expect(found).toEqual({
      ...{ known: size, messages: size, practices: known.practices, unpublished: 0 },
      reviews: Object.fromEntries(known.reviews),
    });
  }

  it('keeps what it confirmed and does each repeated call once', async () => {
    const run = { clients: CLIENTS, kills: KILLS, calls: CALLS, next, check };
    const refusals = /^SAPIENS\.(SESSION_ACTIVE|SESSION_NOT_ACTIVE|ALREADY_REVIEWED|STATUS_REFUSED)$/;
    const { done, lost } = await callUnderKills(server, { ...run, refusals });

    const names = ['assess', 'erase', 'practice', 'practice of the erased', 'review', 'tutor'];
    expect(Object.keys(done).sort()).toEqual(names);
    expect(lost).toBeGreaterThan(0);
  });
});
