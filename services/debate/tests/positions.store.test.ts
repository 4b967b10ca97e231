/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  type Debate,
  getCalibration,
  getPosition,
  getRating,
  listMetrics,
  listPositions,
  type Outcome,
  reconcile,
  recordMetrics,
  resolvePosition,
  reversePosition,
  sumMetrics,
  takePosition,
} from '../src';
import { fresh, givenStore, givenStores, outcomes } from './given';

const OUTCOMES = ['pending', 'correct', 'incorrect', 'unknown'] as const;
const PAIRS = OUTCOMES.flatMap((from) => OUTCOMES.map((to) => [from, to] as const));

describe('the positions of agents', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterEach(async () => {
    expect(await reconcile(debate)).toEqual([]);
  });
  afterAll(() => debate.close());

  const take = (agentName = fresh('agent'), confidence = 0.8) =>
    takePosition(debate, {
      agentName,
      claim: 'It is the cache',
      confidence,
      debateId: 'debate-1',
      roundNum: 1,
      idempotencyKey: fresh('key'),
    });

  it.each(PAIRS)('go from %s to %s only if they were pending', async (from, to) => {
    const { id: positionId } = await take();
    if (from !== 'pending') await resolvePosition(debate, { positionId, outcome: from });
    const isAllowed = from === to || from === 'pending';

    const byAdmin = await db()
      .admin(`UPDATE positions SET outcome = '${to}', resolved_at = CASE '${to}' WHEN 'pending' THEN NULL ELSE coalesce(resolved_at, now()) END
        WHERE id = '${positionId}'; DO $$ BEGIN RAISE 'done'; END $$`)
      .catch(({ message }) => message);
    expect(byAdmin).toBe(isAllowed ? 'done' : 'outcome_transition');
    if (to === 'pending') return;
    const [byStore] = await outcomes([resolvePosition(debate, { positionId, outcome: to })]);
    expect(byStore).toBe(isAllowed ? 'done' : 'DEBATE.ILLEGAL_TRANSITION');
  });

  it('count once in the calibration when eight clients resolve them, with the exact Brier score', async () => {
    const stores = givenStores(db(), 4);
    const agentName = fresh('agent');
    const confidences = [0.9, 0.9, 0.35, 0.1, 1];
    const results: readonly Outcome[] = ['correct', 'incorrect', 'correct', 'incorrect', 'unknown'];
    const taken = await Promise.all(confidences.map((confidence) => take(agentName, confidence)));

    await Promise.all(
      stores.flatMap((store) =>
        taken.flatMap(({ id: positionId }, n) => {
          const outcome = results[n] ?? 'unknown';
          return [resolvePosition(store, { positionId, outcome }), resolvePosition(store, { positionId, outcome })];
        }),
      ),
    );

    // 0.1² + 0.9² + 0.65² + 0.1²
    const rating = await getRating(debate, { agentName });
    expect(rating).toMatchObject({ calibrationTotal: 4, calibrationCorrect: 2 });
    expect(rating.calibrationBrierSum.toFixed()).toBe('1.2525');
    expect(await getCalibration(debate, { agentName })).toEqual({
      ...{ taken: 5, reversed: 0, resolved: 4, correct: 2, brierScore: 0.313125 },
      tenths: [
        { from: 0.1, positions: 1, meanConfidence: 0.1, shareCorrect: 0 },
        { from: 0.3, positions: 1, meanConfidence: 0.35, shareCorrect: 1 },
        { from: 0.9, positions: 2, meanConfidence: 0.9, shareCorrect: 0.5 },
      ],
    });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('are reversed once, and listed as flips', async () => {
    const agentName = fresh('agent');
    const [{ id: positionId }, kept] = [await take(agentName), await take(agentName)];

    const flips = await outcomes([
      reversePosition(debate, { positionId, debateId: 'd2' }),
      reversePosition(debate, { positionId, debateId: 'd2' }),
    ]);

    expect(flips).toEqual(['done', 'done']);
    expect(await getPosition(debate, { positionId })).toMatchObject({ reversed: true, reversalDebateId: 'd2' });
    await expect(reversePosition(debate, { positionId, debateId: 'd3' })).rejects.toMatchObject({
      code: 'DEBATE.POSITION_REVERSED',
    });
    expect((await listPositions(debate, { agentName, reversed: true })).items.map(({ id }) => id)).toEqual([
      positionId,
    ]);
    expect((await listPositions(debate, { agentName, reversed: false })).items.map(({ id }) => id)).toEqual([kept.id]);
    expect(await getCalibration(debate, { agentName })).toMatchObject({ taken: 2, reversed: 1, brierScore: null });
    await expect(db().admin(`UPDATE positions SET claim = 'other' WHERE id = '${positionId}'`)).rejects.toMatchObject({
      message: 'position_fixed',
    });
  });

  it('are taken once per key', async () => {
    const input = {
      agentName: fresh('agent'),
      claim: 'C',
      confidence: 1,
      debateId: 'd',
      roundNum: 0,
      idempotencyKey: fresh('key'),
    };

    const taken = await Promise.all(Array.from({ length: 4 }, () => takePosition(debate, input)));

    expect(new Set(taken.map(({ id }) => id)).size).toBe(1);
    const tried = await outcomes([
      takePosition(debate, { ...input, confidence: 0.5 }),
      takePosition(debate, { ...input, confidence: 1.5 }),
      getPosition(debate, { positionId: 'none' }),
    ]);
    expect(tried).toEqual(['DEBATE.KEY_REUSED', 'DEBATE.INVALID_INPUT', 'DEBATE.POSITION_NOT_FOUND']);
  });
});

describe('the metrics of agents', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  it('are recorded once per key and summed up', async () => {
    const [agentName, loopId] = [fresh('agent'), fresh('loop')];
    const record = (
      cycle: number,
      messagesSent: number,
      avgResponseTimeMs: number | undefined,
      idempotencyKey: string,
    ) =>
      recordMetrics(debate, {
        ...{ loopId, cycle, agentName, phase: 'debate', messagesSent, votesWon: 1, idempotencyKey },
        ...(avgResponseTimeMs === undefined ? {} : { avgResponseTimeMs }),
      });

    await Promise.all(Array.from({ length: 4 }, () => record(1, 3, 100, 'metrics-once')));
    await record(2, 1, 500, fresh('key'));
    await record(3, 10, undefined, fresh('key'));

    expect(await sumMetrics(debate, { agentName })).toEqual({
      ...{ records: 3, messagesSent: 14, proposalsMade: 0, critiquesGiven: 0, votesWon: 3, votesReceived: 0 },
      ...{ consensusContributions: 0, avgResponseTimeMs: 200 },
    });
    expect((await listMetrics(debate, { loopId, limit: 2 })).items.map(({ cycle }) => cycle)).toEqual([3, 2]);
    expect(await sumMetrics(debate, { agentName, loopId: 'other' })).toMatchObject({
      records: 0,
      avgResponseTimeMs: null,
    });
  });
});
