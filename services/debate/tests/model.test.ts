import { endSessionInside, testEffort, useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  aggregateUsage,
  appendEvents,
  type Debate,
  getMemory,
  getRating,
  getUsage,
  observeMemory,
  readEvents,
  reconcile,
  recordMatch,
  recordUsage,
  resolvePosition,
  storeMemory,
  takePosition,
} from '../src';
import { fresh, givenStore } from './given';

const RUNS = 3 * testEffort();
const SEED = 20_261_206;
const AGENTS = ['ada', 'bob', 'cyd'] as const;
const TIERS = ['fast', 'medium', 'slow', 'glacial'] as const;
/** A call that has done its work waits for one of these tables before it commits. */
const LAST_TABLES = 'LOCK TABLE outbox, usage_months, elo_history, stream_events';

interface Model {
  /** In ten-thousandths, so that sums are exact. */
  readonly elo: Record<string, number>;
  readonly played: Record<string, number>;
  readonly events: string[];
  used: number;
  brier: number;
  resolved: number;
  memory: { tier: number; surprise: number; consolidation: number; updates: number };
}

interface Real {
  readonly debate: Debate;
  readonly run: string;
  readonly memoryId: string;
  /** Makes a call; if it is to end, its session is terminated before the commit, and the call is repeated. */
  readonly call: (ends: boolean, work: () => Promise<unknown>) => Promise<void>;
}

type Step = fc.AsyncCommand<Model, Real>;

function step<Input>(
  name: string,
  inputs: fc.Arbitrary<Input>,
  apply: (model: Model, input: Input) => void,
  work: (real: Real, input: Input, key: string) => Promise<unknown>,
): fc.Arbitrary<Step> {
  const isEnded = fc.constantFrom(false, false, false, true);
  return fc.tuple(inputs, isEnded).map(([input, ends]) => ({
    check: () => true,
    run: async (model, real) => {
      const key = fresh('key');
      await real.call(ends, () => work(real, input, key));
      apply(model, input);
    },
    toString: () => `${name}(${JSON.stringify(input)})${ends ? ' that loses its session' : ''}`,
  }));
}

const score = fc.integer({ min: 0, max: 2 });
const rate = step(
  'rate',
  fc.record({
    pair: fc.constantFrom([0, 1], [0, 2], [1, 2]),
    scores: fc.tuple(score, score),
    k: fc.integer({ min: 1, max: 100 }),
  }),
  (model, { pair, scores, k }) => {
    const [one, other] = pair.map((place) => AGENTS[place ?? 0] ?? 'ada') as [string, string];
    const expected = 1 / (1 + 10 ** (((model.elo[other] ?? 0) - (model.elo[one] ?? 0)) / 4_000_000));
    const got = scores[0] > scores[1] ? 1 : scores[0] < scores[1] ? 0 : 0.5;
    const change = Math.round(Math.abs(k * (got - expected)) * 10_000) * Math.sign(got - expected);
    model.elo[one] = (model.elo[one] ?? 0) + change;
    model.elo[other] = (model.elo[other] ?? 0) - change;
    for (const agent of [one, other]) model.played[agent] = (model.played[agent] ?? 0) + 1;
  },
  ({ debate, run }, { pair, scores, k }, key) => {
    const names = pair.map((place) => `${AGENTS[place ?? 0]}-${run}`);
    const result = { [String(names[0])]: scores[0], [String(names[1])]: scores[1] };
    return recordMatch(debate, { debateId: key, scores: result, kFactor: k, domain: run });
  },
);

const append = step(
  'append',
  fc.integer({ min: 1, max: 3 }),
  (model, count) => {
    for (let n = 0; n < count; n += 1) model.events.push(`${n}/${count}`);
  },
  ({ debate, run }, count, idempotencyKey) => {
    const events = Array.from({ length: count }, (_, n) => ({
      eventType: 'error' as const,
      eventData: { at: `${n}/${count}` },
    }));
    return appendEvents(debate, { loopId: run, cycle: 1, events, idempotencyKey });
  },
);

const use = step(
  'use',
  fc.integer({ min: 1, max: 9 }),
  (model, count) => {
    model.used += count;
  },
  ({ debate, run }, count, idempotencyKey) =>
    recordUsage(debate, { events: [{ orgId: run, eventType: 'debate', count, idempotencyKey }] }),
);

const aggregate = step(
  'aggregate',
  fc.constant(undefined),
  () => undefined,
  ({ debate }) => aggregateUsage(debate),
);

const forecast = step(
  'forecast',
  fc.record({
    percent: fc.integer({ min: 0, max: 100 }),
    outcome: fc.constantFrom('correct' as const, 'incorrect' as const),
  }),
  (model, { percent, outcome }) => {
    model.resolved += 1;
    model.brier += (percent - (outcome === 'correct' ? 100 : 0)) ** 2;
  },
  async ({ debate, run }, { percent, outcome }, idempotencyKey) => {
    const position = { agentName: `ada-${run}`, claim: 'C', confidence: percent / 100, debateId: run, roundNum: 1 };
    const { id: positionId } = await takePosition(debate, { ...position, idempotencyKey });
    await resolvePosition(debate, { positionId, outcome });
  },
);

const observe = step(
  'observe',
  fc.record({ surprise: fc.constantFrom(0, 0.25, 1), success: fc.boolean() }),
  ({ memory }, { surprise, success }) => {
    memory.updates += 1;
    memory.surprise = 0.7 * memory.surprise + 0.3 * surprise;
    memory.consolidation = success ? memory.consolidation + 0.2 * (1 - memory.consolidation) : memory.consolidation / 2;
    if (memory.surprise >= 0.7 && memory.tier > 0) {
      Object.assign(memory, { tier: memory.tier - 1, surprise: 0, consolidation: 0 });
    } else if (memory.consolidation >= 0.7 && memory.surprise < 0.3 && memory.tier < 3) {
      Object.assign(memory, { tier: memory.tier + 1, consolidation: 0 });
    }
  },
  ({ debate, memoryId }, input, idempotencyKey) => observeMemory(debate, { memoryId, ...input, idempotencyKey }),
);

describe('debate against a model', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  let ended = 0;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  const call: Real['call'] = async (ends, work) => {
    if (ends) {
      const error = await endSessionInside(db(), LAST_TABLES, work);
      if (Object(error).code === 'DATABASE.CONNECTION_LOST') ended += 1;
    }
    await work();
  };

  it('holds what the model holds after any sequence of calls, though some lose their session and are repeated', async () => {
    const steps = [rate, rate, append, use, aggregate, forecast, observe, observe, observe];
    const property = fc.asyncProperty(fc.commands(steps, { maxCommands: 40, size: '+1' }), async (commands) => {
      const run = fresh('run');
      const { id: memoryId } = await storeMemory(debate, { content: run, tier: 'medium', idempotencyKey: run });
      const model: Model = {
        elo: Object.fromEntries(AGENTS.map((agent) => [agent, 15_000_000])),
        ...{ played: {}, events: [], used: 0, brier: 0, resolved: 0 },
        memory: { tier: 1, surprise: 0, consolidation: 0, updates: 0 },
      };

      await fc.asyncModelRun(() => ({ model, real: { debate, run, memoryId, call } }), commands);

      await expectSame(model, run, memoryId);
    });
    await fc.assert(property, { numRuns: RUNS, seed: SEED, endOnFailure: true });
    expect(ended).toBeGreaterThan(0);
  });

  async function expectSame(model: Model, run: string, memoryId: string): Promise<void> {
    for (const agent of AGENTS.filter((name) => model.played[name] !== undefined)) {
      const { elo, domainElos, debatesCount } = await getRating(debate, { agentName: `${agent}-${run}` });
      const expected = (model.elo[agent] ?? 0) / 10_000;
      expect([elo.toNumber(), debatesCount, domainElos]).toEqual([expected, model.played[agent], { [run]: expected }]);
    }
    if (model.resolved > 0) {
      const rating = await getRating(debate, { agentName: `ada-${run}` });
      expect([rating.calibrationTotal, rating.calibrationBrierSum.toNumber()]).toEqual([
        model.resolved,
        model.brier / 10_000,
      ]);
    }
    const events = await readEvents(debate, { loopId: run, cycle: 1 });
    expect(events.map(({ sequence, eventData }) => [sequence, eventData])).toEqual(
      model.events.map((at, n) => [BigInt(n + 1), { at }]),
    );
    expect(await getUsage(debate, { orgId: run, eventType: 'debate', month: new Date() })).toBe(BigInt(model.used));
    const memory = await getMemory(debate, { memoryId });
    expect([memory.tier, memory.updateCount]).toEqual([TIERS[model.memory.tier], model.memory.updates]);
    expect(memory.surpriseScore).toBeCloseTo(model.memory.surprise, 12);
    expect(memory.consolidationScore).toBeCloseTo(model.memory.consolidation, 12);
    expect(await reconcile(debate)).toEqual([]);
  }
});
