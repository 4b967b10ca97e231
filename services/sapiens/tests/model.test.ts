/** @server any */
import { endSessionInside, openFaultProxy, testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import fc from 'fast-check';
import { createEmptyCard, type Card as FsrsCard } from 'ts-fsrs';
import {
  addCard,
  answerItem,
  appendChunk,
  appendMessage,
  beginMessage,
  completeSession,
  finishMessage,
  getCard,
  getSession,
  listAnswers,
  openSapiens,
  pauseSession,
  reconcile,
  recordPractice,
  resumeSession,
  reviewCard,
  type Sapiens,
  startAssessment,
  startSession,
} from '../src';
import { isSameCard, RATINGS, replayAttempts, scheduler } from '../src/replay';
import { fresh, givenBank, MINUTE_MS } from './given';

const RUNS = 14 * testEffort();
const SEED = 20_261_202;

/** The operations and rejections that must occur in the runs: without them the runs would prove little. */
const MET = [
  ...[
    'start',
    'pause',
    'resume',
    'complete',
    'message',
    'stream',
    'chunk',
    'finish',
    'practice',
    'review',
    'answer',
    'crash',
    'end',
  ],
  ...['SAPIENS.SESSION_ACTIVE', 'SAPIENS.SESSION_NOT_ACTIVE', 'SAPIENS.MESSAGE_ENDED', 'SAPIENS.STATUS_REFUSED'],
  ...['SAPIENS.REVIEW_ORDER', 'SAPIENS.ALREADY_REVIEWED', 'SAPIENS.ITEM_ANSWERED'],
];

interface ModelSession {
  status: 'active' | 'paused' | 'completed';
  seconds: number;
  since: number;
  messages: number;
  tokens: number;
}

interface Model {
  now: number;
  readonly sessions: ModelSession[];
  /** The stream of the last session that has one. */
  stream: { session: number; chunks: number; tokens: number; isOpen: boolean } | undefined;
  readonly attempts: boolean[];
  card: FsrsCard;
  readonly ratings: (keyof typeof RATINGS)[];
  readonly answers: number[];
}

interface Real {
  readonly studentId: string;
  readonly skillId: string;
  readonly cardId: string;
  readonly assessmentId: string;
  readonly sessionIds: string[];
  messageId: string;
}

/** The fate of the first attempt of a call: its answer is lost after the commit, or its session is ended before it. */
type Crash = 'none' | 'answer' | 'session';

type Step = fc.AsyncCommand<Model, Real>;

describe('the sessions, skills and cards of a student, and an in-memory model', () => {
  const db = useDatabase('sapiens');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  const counts: Record<string, number> = {};
  let proxy: Awaited<ReturnType<typeof openFaultProxy>>;
  let sapiens: Sapiens;
  let unstable: Sapiens;
  let bank: Awaited<ReturnType<typeof givenBank>>;
  let now = Date.parse('2026-03-01T12:00:00Z');
  beforeAll(async () => {
    const { hostname, port, searchParams } = new URL(db().url);
    proxy = await openFaultProxy({ host: searchParams.get('host') ?? hostname, port: Number(port || 5432) });
    sapiens = openSapiens({ url: db().url, pool: { max: 4 } });
    unstable = openSapiens({ url: proxy.through(db().url), pool: { max: 2 } });
    bank = await givenBank(
      sapiens,
      Array.from({ length: 4 }, (_, n) => ({ discrimination: 1, location: n / 2 - 1 })),
    );
  });
  afterAll(async () => {
    await Promise.all([sapiens.close(), unstable.close()]);
    await proxy.close();
  });

  const met = (name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };

  /**
   * Makes a call, after an attempt whose answer is lost or whose session is ended, as a client does that knows only that the connection
   * ended. Returns the code of its error, if it has one.
   */
  async function attempt<Result>(
    call: (store: Sapiens) => Promise<Result>,
    crash: Crash,
  ): Promise<{ readonly code?: string; readonly result?: Result }> {
    if (crash === 'answer') await loseAnswerOf(call);
    // Without the table of events, a call has done everything but publish.
    const error =
      crash === 'session' ? await endSessionInside(db(), 'LOCK TABLE outbox', () => call(sapiens)) : undefined;
    if (error !== undefined && codeOf(error) === 'DATABASE.CONNECTION_LOST') met('end');
    return call(sapiens).then(
      (result) => ({ result }),
      (failure) => ({ code: codeOf(failure) }),
    );
  }

  const codeOf = (error: unknown) => String(Object(error).code);

  /** The call goes out on an open connection and is committed; the proxy cuts the connection at the first byte of the answer. */
  async function loseAnswerOf(call: (store: Sapiens) => Promise<unknown>): Promise<void> {
    await unstable.query({ text: 'SELECT 1', values: [] });
    proxy.set('downstream', { limitBytes: 1 });
    const lost = await call(unstable).then(() => 'done', codeOf);
    proxy.set('downstream', {});
    if (lost === 'DATABASE.CONNECTION_LOST') met('crash');
  }

  async function expectAlike(model: Model, real: Real): Promise<void> {
    const sessions = await Promise.all(real.sessionIds.map((sessionId) => getSession(sapiens, { sessionId })));
    expect(sessions.map((it) => [it.status, it.messageCount, it.tokenCount, it.durationMinutes])).toEqual(
      model.sessions.map((it) => {
        const minutes = it.status === 'completed' ? Math.ceil(it.seconds / 60) : null;
        return [it.status, it.messages, it.tokens, minutes];
      }),
    );
    const card = await getCard(sapiens, { cardId: real.cardId });
    expect([card, isSameCard(card, model.card)]).toEqual([card, true]);
    const answers = await listAnswers(sapiens, { assessmentId: real.assessmentId });
    expect(answers.map(({ chosenOption }) => chosenOption)).toEqual(model.answers);
  }

  /** A step of a run, some time after the previous one; in some of them the first answer is lost. */
  function step<Input>(
    name: string,
    inputs: fc.Arbitrary<Input>,
    run: (model: Model, real: Real, input: Input, crash: Crash) => Promise<string | undefined>,
  ): fc.Arbitrary<Step> {
    const when = fc.record({
      minutes: fc.constantFrom(0, 1, 9, 1441),
      crash: fc.constantFrom<Crash>('none', 'none', 'none', 'none', 'answer', 'session'),
    });
    return fc.tuple(inputs, when).map(([input, { minutes, crash }]) => ({
      check: () => true,
      run: async (model, real) => {
        model.now += minutes * MINUTE_MS;
        if (minutes > 0) await clock.set(new Date(model.now));
        met((await run(model, real, input, crash)) ?? name);
        await expectAlike(model, real);
      },
      toString: () =>
        `${minutes} min later ${name}(${JSON.stringify(input)})${crash === 'none' ? '' : `, first ${crash} lost`}`,
    }));
  }

  const nothing = fc.constant(undefined);
  const place = fc.nat(20);
  const isActive = ({ status }: ModelSession) => status === 'active';

  const startStep = step('start', nothing, async (model, real, _input, crash) => {
    const input = { studentId: real.studentId, topic: 'Loops', idempotencyKey: fresh('key') };
    const { code, result } = await attempt((store) => startSession(store, input), crash);
    const expected = model.sessions.some(isActive) ? 'SAPIENS.SESSION_ACTIVE' : undefined;
    expect(code).toBe(expected);
    if (result !== undefined) {
      real.sessionIds.push(result.id);
      model.sessions.push({ status: 'active', seconds: 0, since: model.now, messages: 0, tokens: 0 });
    }
    return code;
  });

  const CHANGES = { pause: pauseSession, resume: resumeSession, complete: completeSession } as const;
  const TARGETS = { pause: 'paused', resume: 'active', complete: 'completed' } as const;
  function refusalOf(model: Model, session: ModelSession, target: ModelSession['status']): string | undefined {
    if (session.status === target) return undefined;
    if (session.status === 'completed') return 'SAPIENS.STATUS_REFUSED';
    return target === 'active' && model.sessions.some(isActive) ? 'SAPIENS.SESSION_ACTIVE' : undefined;
  }
  function applyChange(model: Model, index: number, session: ModelSession, target: ModelSession['status']): void {
    if (isActive(session)) session.seconds += (model.now - session.since) / 1000;
    session.status = target;
    session.since = model.now;
    if (target === 'completed' && model.stream?.session === index && model.stream.isOpen) endStream(model);
  }
  const changing = fc.record({ change: fc.constantFrom('pause', 'resume', 'resume', 'complete'), at: place });
  const changeStep = step('change', changing, async (model, real, { change, at }, crash) => {
    const index = at % Math.max(1, model.sessions.length);
    const session = model.sessions[index];
    if (session === undefined) return undefined;
    const sessionId = real.sessionIds[index] ?? '';
    const { code } = await attempt((store) => CHANGES[change](store, { sessionId }), crash);
    const target = TARGETS[change];
    expect(code).toBe(refusalOf(model, session, target));
    if (code !== undefined || session.status === target) return code ?? change;
    applyChange(model, index, session, target);
    return change;
  });

  function endStream({ stream, sessions }: Model): void {
    if (stream === undefined) return;
    stream.isOpen = false;
    const session = sessions[stream.session];
    if (session !== undefined && stream.chunks > 0) session.tokens += stream.tokens;
  }

  const messageStep = step(
    'message',
    fc.record({ at: place, tokens: fc.nat(9) }),
    async (model, real, { at, tokens }, crash) => {
      const index = at % Math.max(1, model.sessions.length);
      const session = model.sessions[index];
      if (session === undefined) return undefined;
      const input = { sessionId: real.sessionIds[index] ?? '', role: 'student', content: 'Why?', tokens } as const;
      const idempotencyKey = fresh('key');
      const { code } = await attempt((store) => appendMessage(store, { ...input, idempotencyKey }), crash);
      expect(code).toBe(isActive(session) ? undefined : 'SAPIENS.SESSION_NOT_ACTIVE');
      if (code === undefined) {
        session.messages += 1;
        session.tokens += tokens;
      }
      return code;
    },
  );

  const streamStep = step('stream', nothing, async (model, real, _input, crash) => {
    const index = model.sessions.findIndex(isActive);
    const session = model.sessions[index];
    if (session === undefined || model.stream?.isOpen === true) return 'skipped';
    const input = { sessionId: real.sessionIds[index] ?? '', idempotencyKey: fresh('key') };
    const { code, result } = await attempt((store) => beginMessage(store, input), crash);
    expect(code).toBeUndefined();
    session.messages += 1;
    model.stream = { session: index, chunks: 0, tokens: 0, isOpen: true };
    real.messageId = result?.id ?? '';
    return undefined;
  });

  const chunkStep = step('chunk', fc.nat(5), async ({ stream }, { messageId }, tokens, crash) => {
    if (stream === undefined) return 'skipped';
    const chunk = { messageId, number: stream.chunks + 1, content: 'And so on. ', tokens };
    const { code } = await attempt((store) => appendChunk(store, chunk), crash);
    expect(code).toBe(stream.isOpen ? undefined : 'SAPIENS.MESSAGE_ENDED');
    if (code === undefined) {
      stream.chunks += 1;
      stream.tokens += tokens;
    }
    return code;
  });

  const finishStep = step('finish', nothing, async (model, { messageId }, _input, crash) => {
    if (model.stream === undefined) return 'skipped';
    const { code, result } = await attempt((store) => finishMessage(store, { messageId }), crash);
    expect([code, result?.status]).toEqual([undefined, model.stream.chunks > 0 ? 'complete' : 'cancelled']);
    if (model.stream.isOpen) endStream(model);
    return undefined;
  });

  const practiceStep = step('practice', fc.boolean(), async (model, { studentId, skillId }, isCorrect, crash) => {
    const input = { studentId, skillId, isCorrect, idempotencyKey: fresh('key') };
    const { result } = await attempt((store) => recordPractice(store, input), crash);
    model.attempts.push(isCorrect);
    expect(result?.attempts).toBe(model.attempts.length);
    expect(result?.probability).toBeCloseTo(replayAttempts(bank.skill, model.attempts), 9);
    return undefined;
  });

  const rating = fc.constantFrom('again', 'hard', 'good', 'easy');
  const reviewing = fc.record({ rating, ahead: fc.constantFrom(0, 0, 0, 1, -1) });
  const reviewStep = step('review', reviewing, async (model, { cardId }, { rating: rated, ahead }, crash) => {
    const number = Math.max(1, model.ratings.length + 1 + ahead);
    const { code } = await attempt((store) => reviewCard(store, { cardId, number, rating: rated }), crash);
    const earlier = model.ratings[number - 1];
    const expected =
      number > model.ratings.length + 1
        ? 'SAPIENS.REVIEW_ORDER'
        : earlier !== undefined && earlier !== rated
          ? 'SAPIENS.ALREADY_REVIEWED'
          : undefined;
    expect(code).toBe(expected);
    if (code === undefined && earlier === undefined) {
      model.ratings.push(rated);
      model.card = scheduler.next(model.card, new Date(model.now), RATINGS[rated]).card;
    }
    return code;
  });

  const answering = fc.record({ chosenOption: fc.nat(1), isRepeat: fc.boolean() });
  const answerStep = step('answer', answering, async (model, real, { chosenOption, isRepeat }, crash) => {
    const position = isRepeat ? Math.max(1, model.answers.length) : Math.min(4, model.answers.length + 1);
    const input = { assessmentId: real.assessmentId, position, chosenOption };
    const { code, result } = await attempt((store) => answerItem(store, input), crash);
    const earlier = model.answers[position - 1];
    expect(code).toBe(earlier === undefined || earlier === chosenOption ? undefined : 'SAPIENS.ITEM_ANSWERED');
    if (code === undefined && earlier === undefined) {
      model.answers.push(chosenOption);
      model.attempts.push(chosenOption === 1);
    }
    if (result !== undefined) expect(result.status).toBe(model.answers.length === 4 ? 'completed' : 'in_progress');
    return code;
  });

  it('agree after any steps, lost answers and ended sessions', async () => {
    const setUp = async () => {
      now += 1_000 * 24 * 60 * MINUTE_MS;
      await clock.set(new Date(now));
      const studentId = fresh('student');
      const { topic, skill } = bank;
      const { id: cardId } = await addCard(sapiens, { studentId, front: 'x', back: 'y', idempotencyKey: fresh('key') });
      const { id: assessmentId } = await startAssessment(sapiens, { studentId, topic, idempotencyKey: fresh('key') });
      const model: Model = {
        ...{ now, sessions: [], stream: undefined, attempts: [], card: createEmptyCard(new Date(now)), ratings: [] },
        answers: [],
      };
      const real: Real = { studentId, skillId: skill.id, cardId, assessmentId, sessionIds: [], messageId: '' };
      return { model, real };
    };
    const steps = [
      ...[
        startStep,
        changeStep,
        changeStep,
        changeStep,
        messageStep,
        streamStep,
        streamStep,
        chunkStep,
        chunkStep,
        finishStep,
      ],
      ...[finishStep, practiceStep, reviewStep, reviewStep, answerStep, answerStep],
    ];

    await fc.assert(
      fc.asyncProperty(fc.commands(steps, { maxCommands: 30, size: 'max' }), (commands) =>
        fc.asyncModelRun(setUp, commands),
      ),
      // Unbiased, because short runs combine few operations; with a fixed seed, so that everything in MET occurs.
      { numRuns: RUNS, unbiased: true, seed: SEED },
    );

    expect(await reconcile(sapiens)).toEqual([]);
    expect(MET.filter((name) => counts[name] === undefined)).toEqual([]);
  });
});
