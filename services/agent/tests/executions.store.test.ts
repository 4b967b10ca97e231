/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Agent,
  executionStatistics,
  failExecution,
  failStalledExecutions,
  finishExecution,
  getExecution,
  listExecutions,
  listModelPrices,
  openAgent,
  setModelPrice,
  startExecution,
} from '../src';
import { eventsOf, fresh, givenConversation, givenExecution, givenStores, outcomes } from './given';

const HOUR_MS = 3_600_000;
const START = '2026-03-01T12:00:00Z';

describe('executions', () => {
  const db = useDatabase('agent');
  const clock = useTestClock(db, START);
  let agent: Agent;
  beforeAll(() => {
    agent = openAgent({ url: db().url });
  });
  afterAll(() => agent.close());

  it('last as long as the clock of the database says, and count their tokens', async () => {
    const { id: conversationId, userId } = await givenConversation(agent);
    const input = { agentId: 'coder', prompt: 'Why?', userId, conversationId, idempotencyKey: fresh('key') };
    const started = await startExecution(agent, input);
    expect(await startExecution(agent, input)).toEqual(started);
    expect(started).toMatchObject({ status: 'running', success: false, finishedAt: null, durationMs: null });
    await clock.move(1_234);
    const outcome = { executionId: started.id, response: 'Locks', model: 'm', promptTokens: 30, completionTokens: 12 };

    const finished = await finishExecution(agent, outcome);
    expect(finished).toEqual({
      ...started,
      ...{
        status: 'succeeded',
        success: true,
        response: 'Locks',
        model: 'm',
        finishedAt: clock.now(),
        durationMs: 1_234,
      },
      ...{ promptTokens: 30, completionTokens: 12, tokensUsed: 42 },
    });
    await clock.move(1);
    expect(await finishExecution(agent, outcome)).toEqual(finished);
    expect(await getExecution(agent, { executionId: started.id })).toEqual(finished);
    expect(await eventsOf(db(), started.id)).toEqual(['execution-started', 'execution-ended']);
  });

  it('end once: another outcome is an error that names both statuses', async () => {
    const { id: executionId } = await givenExecution(agent);
    await failExecution(agent, { executionId, error: 'Timed out', tokensUsed: 3 });

    for (const call of [
      () => finishExecution(agent, { executionId }),
      () => failExecution(agent, { executionId, error: 'Other' }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'AGENT.ILLEGAL_TRANSITION', meta: { from: 'failed' } });
    }
    expect(await getExecution(agent, { executionId })).toMatchObject({ error: 'Timed out', tokensUsed: 3 });
    const unknown = { executionId: '00000000-0000-7000-8000-000000000001' };
    await expect(finishExecution(agent, unknown)).rejects.toMatchObject({ code: 'AGENT.EXECUTION_NOT_FOUND' });
    await expect(getExecution(agent, unknown)).rejects.toMatchObject({ code: 'AGENT.EXECUTION_NOT_FOUND' });
  });

  it('end once though eight processes report different outcomes', async () => {
    const stores = givenStores(db(), 8);
    const { id: executionId } = await givenExecution(agent);

    const found = await outcomes(
      stores.map((store, n) =>
        n % 2 === 0
          ? finishExecution(store, { executionId, response: `Answer ${n}` })
          : failExecution(store, { executionId, error: `Error ${n}` }),
      ),
    );
    await Promise.all(stores.map((store) => store.close()));

    expect([...found].sort()).toEqual([...Array(7).fill('AGENT.ILLEGAL_TRANSITION'), 'done']);
    expect(await eventsOf(db(), executionId)).toEqual(['execution-started', 'execution-ended']);
  });

  it('that never end are failed after their age', async () => {
    const old = await givenExecution(agent);
    await clock.move(HOUR_MS - 1);
    const young = await givenExecution(agent);
    // Other tests leave executions that run.
    await failStalledExecutions(agent, { olderThanMs: HOUR_MS });
    expect((await getExecution(agent, { executionId: old.id })).status).toBe('running');
    await clock.move(1);

    expect(await failStalledExecutions(agent, { olderThanMs: HOUR_MS })).toBeGreaterThan(0);
    expect(await getExecution(agent, { executionId: old.id })).toMatchObject({ status: 'failed', durationMs: HOUR_MS });
    expect((await getExecution(agent, { executionId: young.id })).status).toBe('running');
    expect(await failStalledExecutions(agent, { olderThanMs: HOUR_MS })).toBe(0);
  });

  it('are listed by agent, user, conversation and status, newest first', async () => {
    const { id: conversationId, userId } = await givenConversation(agent);
    const agentId = fresh('agent');
    const first = await givenExecution(agent, { agentId, userId, conversationId });
    await clock.move(1);
    const second = await givenExecution(agent, { agentId, userId });
    await finishExecution(agent, { executionId: first.id });
    const ids = async (input: Parameters<typeof listExecutions>[1]) =>
      (await listExecutions(agent, input)).items.map(({ id }) => id);

    expect(await ids({ agentId })).toEqual([second.id, first.id]);
    expect(await ids({ conversationId })).toEqual([first.id]);
    expect(await ids({ userId: userId ?? '', status: 'running' })).toEqual([second.id]);
    const page = await listExecutions(agent, { agentId, limit: 1 });
    expect(await ids({ agentId, cursor: page.nextCursor ?? '' })).toEqual([first.id]);
  });

  it('cost what the price at their start says, exactly', async () => {
    const [agentId, model] = [fresh('agent'), fresh('model')];
    const since = clock.now();
    const priceFrom = (hours: number, promptPrice: string, completionPrice: string) =>
      setModelPrice(agent, {
        ...{ model, promptPrice, completionPrice },
        validFrom: new Date(since.getTime() + hours * HOUR_MS),
      });
    const run = async (
      tokens: { promptTokens?: number; completionTokens?: number; tokensUsed?: number },
      ms: number,
    ) => {
      const { id: executionId } = await givenExecution(agent, { agentId, model });
      await clock.move(ms);
      await finishExecution(agent, { executionId, ...tokens });
    };
    await run({ promptTokens: 1, completionTokens: 1 }, 100);
    await clock.set(new Date(since.getTime() + HOUR_MS));
    await priceFrom(1, '0.15', '0.6');
    await priceFrom(2, '3', '0.00000001');
    await run({ promptTokens: 1_000_001, completionTokens: 7 }, 200);
    await clock.set(new Date(since.getTime() + 2 * HOUR_MS - 1));
    // It starts before the price changes and ends after it.
    await run({ promptTokens: 3, completionTokens: 0 }, 400);
    await clock.set(new Date(since.getTime() + 2 * HOUR_MS));
    await run({ promptTokens: 1_000_000_000, completionTokens: 1_000_000_000 }, 800);
    await run({ tokensUsed: 9 }, 1_600);
    const { id: executionId } = await givenExecution(agent, { agentId });
    await failExecution(agent, { executionId, error: 'No model' });
    await givenExecution(agent, { agentId, model });
    const until = new Date(since.getTime() + 10 * HOUR_MS);

    const [priced, unnamed] = await executionStatistics(agent, { since, until, agentId });

    // 1,000,001 · 0.15 + 7 · 0.6, then 3 · 0.15, then 1000 · 3 and 1000 · 0.00000001, a million tokens each.
    const cost = ['0.15000435', '0.00000045', '3000', '0.00001'];
    expect(priced).toMatchObject({
      ...{ agentId, model, executions: 6, running: 1, succeeded: 5, failed: 0, unpriced: 2 },
      ...{ promptTokens: 1_001_000_005, completionTokens: 1_000_000_008, tokensUsed: 2_001_000_022 },
      durationMs: { mean: 620, p50: 400, p95: 1_440 },
    });
    expect(priced?.cost.toFixed()).toBe('3000.1500148');
    expect(cost.reduce((sum, part) => sum + Number(part), 0)).toBeCloseTo(3000.1500148, 8);
    expect(unnamed).toMatchObject({ model: null, executions: 1, failed: 1, unpriced: 1 });
    expect(unnamed?.cost.toFixed()).toBe('0');
    expect(await executionStatistics(agent, { since, until, model: 'unknown' })).toEqual([]);
    // The end of the period is not part of it.
    const first = await executionStatistics(agent, { since, until: new Date(since.getTime() + HOUR_MS), agentId });
    expect(first).toMatchObject([{ executions: 1, unpriced: 1 }]);
  });

  it('have prices that never change', async () => {
    const model = fresh('model');
    const price = { model, validFrom: new Date(START), promptPrice: '1', completionPrice: '2.50' };
    const set = await setModelPrice(agent, price);

    expect(await setModelPrice(agent, { ...price, promptPrice: '1.00' })).toEqual(set);
    expect(await db().admin('SELECT action FROM audit_logs WHERE resource_id = $1', [model])).toEqual([
      { action: 'price.added' },
    ]);
    await expect(setModelPrice(agent, { ...price, promptPrice: '2' })).rejects.toMatchObject({
      code: 'AGENT.PRICE_FIXED',
    });
    await expect(db().admin('UPDATE model_prices SET prompt_price = 0')).rejects.toMatchObject({
      message: 'price_fixed',
    });
    const later = await setModelPrice(agent, {
      ...price,
      validFrom: new Date(Date.parse(START) + 1),
      promptPrice: '2',
    });
    expect(await listModelPrices(agent, { model })).toEqual([later, set]);
    expect(set.completionPrice.toFixed()).toBe('2.5');
  });

  it.each([
    ['MONEY.NOT_DECIMAL', { promptPrice: 1 }],
    ['MONEY.NOT_DECIMAL', { promptPrice: 'NaN' }],
    ['MONEY.TOO_PRECISE', { promptPrice: '0.000000001' }],
    ['AGENT.INVALID_INPUT', { completionPrice: '-1' }],
    ['AGENT.INVALID_INPUT', { completionPrice: '0'.repeat(101) }],
    ['AGENT.INVALID_INPUT', { model: '' }],
    ['AGENT.INVALID_INPUT', { validFrom: new Date(Number.NaN) }],
  ])('reject a price with %s', async (code, change) => {
    const price = { model: 'm', validFrom: new Date(START), promptPrice: '1', completionPrice: '1' };

    await expect(setModelPrice(agent, { ...price, ...change } as never)).rejects.toMatchObject({ code });
  });

  it.each([
    [{ promptTokens: 1 }],
    [{ completionTokens: 1 }],
    [{ promptTokens: 1, completionTokens: 1, tokensUsed: 2 }],
    [{ tokensUsed: 1.5 }],
    [{ tokensUsed: 1_000_000_001 }],
  ])('reject the tokens %j', async (tokens) => {
    const { id: executionId } = await givenExecution(agent);

    await expect(finishExecution(agent, { executionId, ...tokens })).rejects.toMatchObject({
      code: 'AGENT.INVALID_INPUT',
    });
  });

  it('reject an empty period and a bad agent', async () => {
    const period = { since: new Date(START), until: new Date(START) };

    await expect(executionStatistics(agent, period)).rejects.toMatchObject({ code: 'AGENT.INVALID_INPUT' });
    await expect(givenExecution(agent, { agentId: '' })).rejects.toMatchObject({ code: 'AGENT.INVALID_INPUT' });
  });
});
