/** @server any */
import { endSessionInside, openFaultProxy, testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  analyzeSentiment,
  answerMessage,
  appendMessage,
  deleteConversation,
  endConversation,
  erasePerson,
  type Family,
  getConversation,
  listAffinities,
  listMessages,
  openFamily,
  recallMemories,
  reconcile,
  startConversation,
} from '../src';
import { fresh, givenMember } from './given';

const RUNS = 24 * testEffort();
const SEED = 20_261_202;
const DAY_MS = 86_400_000;
const START = '2026-12-02T12:00:00Z';
const MEMBERS = 2;
const TEXTS = ['I love my garden', 'It is awful today', 'The train leaves at nine'];

/** The operations and rejections that must occur in the runs: without them the runs would prove little. */
const MET = [
  ...['start', 'append', 'answer', 'end', 'delete', 'erase', 'repeat', 'crash', 'terminate'],
  ...['FAMILY.CONVERSATION_ENDED', 'FAMILY.MESSAGE_NOT_FOUND', 'FAMILY.CONVERSATION_NOT_FOUND'],
];

interface Said {
  readonly role: 'user' | 'member';
  readonly text: string;
  readonly answers: number | null;
}

interface Talk {
  readonly member: number;
  readonly said: Said[];
  isEnded: boolean;
  isDeleted: boolean;
}

interface Model {
  now: number;
  readonly talks: Talk[];
  /** Of each member: the sentiments of the user when the member answered, and the times. */
  readonly met: { readonly member: number; readonly sentiment: number; readonly at: number }[];
}

interface Real {
  readonly userId: string;
  /** At the same indexes as in the model. */
  readonly ids: string[];
  repeat: (() => Promise<{ readonly id: string }>) | undefined;
  repeatedId: string;
  /** The index of the conversation of the call. */
  repeatedIn: number;
}

type Step = fc.AsyncCommand<Model, Real>;

describe('the family and an in-memory model', () => {
  const db = useDatabase('family');
  const clock = useTestClock(db, START);
  const counts: Record<string, number> = {};
  const memberIds: string[] = [];
  let family: Family;
  let breaking: Family;
  let proxy: Awaited<ReturnType<typeof openFaultProxy>>;
  beforeAll(async () => {
    family = openFamily({ url: db().url, pool: { max: 4 } });
    const { hostname, port, searchParams } = new URL(db().url);
    proxy = await openFaultProxy({ host: searchParams.get('host') ?? hostname, port: Number(port || 5432) });
    breaking = openFamily({ url: proxy.through(db().url), pool: { max: 1 } });
    for (let n = 0; n < MEMBERS; n += 1) memberIds.push((await givenMember(family)).id);
  });
  afterAll(async () => {
    await Promise.all([family.close(), breaking.close()]);
    await proxy.close();
  });

  const met = (name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  const outcomeOf = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => 'done',
      (error) => String(error.code ?? error),
    );

  async function expectAlike(model: Model, { userId, ids }: Real): Promise<void> {
    for (const [n, talk] of model.talks.entries()) {
      const conversationId = ids[n] ?? '';
      const { items } = await listMessages(family, { conversationId, userId, limit: 200 });
      const expected = talk.isDeleted ? [] : talk.said.map((it, at) => ({ ...it, position: at + 1 }));
      expect(
        [...items]
          .reverse()
          .map(({ role, content, answers, position }) => ({ role, text: content, answers, position })),
      ).toEqual(expected);
      if (talk.isDeleted) continue;
      const found = await getConversation(family, { conversationId, userId });
      expect([found.messageCount, found.endedAt !== null]).toEqual([talk.said.length, talk.isEnded]);
    }
    const affinities = await listAffinities(family, { userId });
    expect(Object.fromEntries(affinities.map(({ memberId, score }) => [memberId, score]))).toEqual(
      Object.fromEntries(
        [...new Set(model.met.map(({ member }) => member))].map((member) => [
          memberIds[member],
          expect.closeTo(affinityOf(model, member), 9),
        ]),
      ),
    );
    for (const text of TEXTS) {
      const remembered = model.talks.some(({ isDeleted, said }) => !isDeleted && said.some((it) => it.text === text));
      expect((await recallMemories(family, { userId, text })).some(({ message }) => message.content === text)).toBe(
        remembered,
      );
    }
  }

  function affinityOf(model: Model, member: number): number {
    const weights = model.met
      .filter((it) => it.member === member)
      .map((it) => ({
        weight: 2 ** -((model.now - it.at) / (30 * DAY_MS)),
        sentiment: it.sentiment,
      }));
    const sum = (of: (it: { weight: number; sentiment: number }) => number) => weights.reduce((s, it) => s + of(it), 0);
    return sum(({ weight, sentiment }) => weight * sentiment) / (sum(({ weight }) => weight) + 3);
  }

  /** A step of a run, some time after the previous one. */
  function step<Input>(
    name: string,
    inputs: fc.Arbitrary<Input>,
    run: (model: Model, real: Real, input: Input) => Promise<unknown>,
  ): fc.Arbitrary<Step> {
    return fc.tuple(inputs, fc.constantFrom(0, 0, 1, 40)).map(([input, days]) => ({
      check: () => true,
      run: async (model, real) => {
        model.now += days * DAY_MS;
        if (days > 0) await clock.set(new Date(model.now));
        await run(model, real, input);
        await expectAlike(model, real);
      },
      toString: () => `${days} d later ${name}(${JSON.stringify(input)})`,
    }));
  }

  const at = fc.nat(30);
  const pick = (model: Model, n: number) => (model.talks.length === 0 ? 0 : n % model.talks.length);
  const refusal = (talk: Talk | undefined): string | undefined => {
    if (talk === undefined || talk.isDeleted) return 'FAMILY.CONVERSATION_NOT_FOUND';
    return talk.isEnded ? 'FAMILY.CONVERSATION_ENDED' : undefined;
  };

  const startStep = step('start', fc.nat(MEMBERS - 1), async (model, real, member) => {
    const { id } = await startConversation(family, { userId: real.userId, memberId: memberIds[member] ?? '' });
    const open = model.talks.findIndex((it) => it.member === member && !it.isEnded && !it.isDeleted);
    if (open >= 0) expect(id).toBe(real.ids[open]);
    else {
      model.talks.push({ member, said: [], isEnded: false, isDeleted: false });
      real.ids.push(id);
    }
    met('start');
  });

  const appendStep = step('append', fc.record({ at, text: fc.constantFrom(...TEXTS) }), async (model, real, it) => {
    const talk = model.talks[pick(model, it.at)];
    const conversationId = real.ids[pick(model, it.at)] ?? 'none';
    const input = { conversationId, userId: real.userId, content: it.text, idempotencyKey: fresh('key') };
    const call = appendMessage(family, input);
    const expected = refusal(talk);
    expect(await outcomeOf(call)).toBe(expected ?? 'done');
    met(expected ?? 'append');
    if (expected !== undefined) return;
    talk?.said.push({ role: 'user', text: it.text, answers: null });
    real.repeat = () => appendMessage(family, input);
    real.repeatedId = (await call).id;
    real.repeatedIn = pick(model, it.at);
  });

  const answerStep = step('answer', fc.record({ at, place: fc.nat(30) }), async (model, real, it) => {
    const talk = model.talks[pick(model, it.at)];
    const conversationId = real.ids[pick(model, it.at)] ?? 'none';
    // A message that exists, or the position after the last one.
    const position = 1 + (it.place % ((talk?.said.length ?? 0) + 1));
    const input = { conversationId, userId: real.userId, position, content: 'I see.' };
    const asked = talk?.said[position - 1];
    const isRepeated = talk?.isDeleted === false && talk.said.some(({ answers }) => answers === position);
    const unknown = asked?.role === 'user' ? undefined : 'FAMILY.MESSAGE_NOT_FOUND';
    const expected = isRepeated ? undefined : (refusal(talk) ?? unknown);
    expect(await outcomeOf(answerMessage(family, input))).toBe(expected ?? 'done');
    met(expected ?? 'answer');
    if (expected !== undefined || isRepeated || talk === undefined || asked === undefined) return;
    talk.said.push({ role: 'member', text: 'I see.', answers: position });
    model.met.push({ member: talk.member, sentiment: analyzeSentiment(asked.text).compound, at: model.now });
  });

  const endStep = step('end', at, async (model, real, n) => {
    const talk = model.talks[pick(model, n)];
    const input = { conversationId: real.ids[pick(model, n)] ?? 'none', userId: real.userId };
    const exists = talk !== undefined && !talk.isDeleted;
    expect(await outcomeOf(endConversation(family, input))).toBe(exists ? 'done' : 'FAMILY.CONVERSATION_NOT_FOUND');
    if (exists) talk.isEnded = true;
    met(exists ? 'end' : 'FAMILY.CONVERSATION_NOT_FOUND');
  });

  const deleteStep = step('delete', at, async (model, real, n) => {
    const talk = model.talks[pick(model, n)];
    const input = { conversationId: real.ids[pick(model, n)] ?? 'none', userId: real.userId };
    const exists = talk !== undefined && !talk.isDeleted;
    expect(await outcomeOf(deleteConversation(family, input))).toBe(exists ? 'done' : 'FAMILY.CONVERSATION_NOT_FOUND');
    if (exists) talk.isDeleted = true;
    met('delete');
  });

  const eraseStep = step('erase', fc.constant(undefined), async (model, real) => {
    await erasePerson(family, real.userId);
    for (const talk of model.talks) talk.isDeleted = true;
    model.met.length = 0;
    real.repeat = undefined;
    met('erase');
  });

  const repeatStep = step('repeat', fc.constant(undefined), async (model, real) => {
    if (real.repeat === undefined || model.talks[real.repeatedIn]?.isDeleted !== false) return;
    expect((await real.repeat()).id).toBe(real.repeatedId);
    met('repeat');
  });

  /** A call whose connection breaks on the way there or back, or whose session is terminated, and the same call again. */
  const crash = fc.record({
    at,
    text: fc.constantFrom(...TEXTS),
    bytes: fc.constantFrom(1, 60, 400),
    ends: fc.boolean(),
  });
  const crashStep = step('crash', crash, async (model, real, it) => {
    const talk = model.talks[pick(model, it.at)];
    if (talk === undefined || refusal(talk) !== undefined) return;
    const conversationId = real.ids[pick(model, it.at)] ?? '';
    const input = { conversationId, userId: real.userId, content: it.text, idempotencyKey: fresh('key') };
    await breaking.query({ text: 'SELECT 1', values: [] });
    if (it.ends) {
      const error = await endSessionInside(db(), 'LOCK TABLE outbox', () => appendMessage(family, input));
      expect(error).toMatchObject({ code: 'DATABASE.CONNECTION_LOST' });
      met('terminate');
    } else {
      proxy.set('downstream', { limitBytes: it.bytes });
      await outcomeOf(appendMessage(breaking, input));
      proxy.set('downstream', {});
      met('crash');
    }
    await appendMessage(family, input);
    talk.said.push({ role: 'user', text: it.text, answers: null });
  });

  it('agree after any steps, with broken connections and terminated sessions', async () => {
    let now = Date.parse(START);
    const setUp = async () => {
      now += 400 * DAY_MS;
      await clock.set(new Date(now));
      const model: Model = { now, talks: [], met: [] };
      return {
        model,
        real: { userId: fresh('ada'), ids: [], repeat: undefined, repeatedId: '', repeatedIn: 0 } as Real,
      };
    };
    const often = (times: number, one: fc.Arbitrary<Step>) => Array.from({ length: times }, () => one);
    const steps = [
      ...[...often(3, startStep), ...often(6, appendStep), ...often(5, answerStep), ...often(3, repeatStep)],
      ...[...often(4, crashStep), endStep, deleteStep, eraseStep],
    ];

    await fc.assert(
      fc.asyncProperty(fc.commands(steps, { maxCommands: 25, size: 'max' }), async (commands) => {
        await fc.asyncModelRun(setUp, commands);
        expect(await reconcile(family)).toEqual([]);
      }),
      // Unbiased, because short runs combine few operations; with a fixed seed, so that everything in MET occurs.
      { numRuns: RUNS, unbiased: true, seed: SEED },
    );

    expect(MET.filter((name) => counts[name] === undefined)).toEqual([]);
  });
});
