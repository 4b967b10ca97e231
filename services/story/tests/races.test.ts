/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  addTask,
  appendChat,
  beginPlanning,
  cancelStory,
  claimReadySteps,
  completeStep,
  completeStory,
  createStory,
  decideGate,
  failStep,
  getStory,
  listTasks,
  reconcile,
  recordPlan,
  rerunFromWave,
  reviewStep,
  type Stories,
  skipStep,
  startStory,
} from '../src';
import {
  claim,
  claimOne,
  fresh,
  givenPlanned,
  givenStarted,
  givenStores,
  outcomes,
  placeOf,
  planOf,
  publishedFor,
  runWave,
} from './given';

const CLIENTS = 8;

describe('concurrent calls', () => {
  const db = useDatabase('story');
  let clients: readonly Stories[] = [];
  beforeAll(() => {
    clients = givenStores(db(), CLIENTS);
  });
  afterAll(() => Promise.all(clients.map((client) => client.close())));
  afterEach(async () => expect(await reconcile(one())).toEqual([]));

  const one = () => {
    const [client] = clients;
    if (client === undefined) throw new Error('no client');
    return client;
  };
  /** Makes a call by each client at once. */
  const race = (call: (client: Stories, index: number) => Promise<unknown>) => outcomes(clients.map(call));
  const countOf = (list: readonly string[], what: string) => list.filter((it) => it === what).length;
  const namesOf = async (storyId: string) =>
    (await publishedFor(db(), storyId)).map(({ type }) => type.replace(/^story\.(.*)\.v1$/, '$1'));

  it('claim each step once, and no more than the maximum parallelism', async () => {
    const storyId = await givenStarted(one(), { steps: planOf(1, 1, 1, 1, 1, 1), maxParallelism: 3 });

    const claims = await Promise.all(
      clients.map((client, n) => claimReadySteps(client, { storyId, agentId: `agent-${n}`, limit: 2 })),
    );

    const ids = claims.flat().map(({ id }) => id);
    expect([ids.length, new Set(ids).size]).toEqual([3, 3]);
  });

  it('claim each step of several stories once, and together everything', async () => {
    await db().admin('DELETE FROM stories');
    for (let n = 0; n < 4; n += 1) await givenStarted(one(), { steps: planOf(1, 1, 1), maxParallelism: 2 });

    const claimAll = async (client: Stories, n: number): Promise<readonly string[]> => {
      const claimed = await claimReadySteps(client, { agentId: `agent-${n}`, limit: 2 });
      for (const { claimId } of claimed) await completeStep(client, { claimId });
      return claimed.length === 0 ? [] : [...claimed.map(({ id }) => id), ...(await claimAll(client, n))];
    };
    const ids = (await Promise.all(clients.map(claimAll))).flat();
    // Clients pass over stories that others hold, so the last one may leave steps behind.
    ids.push(...(await claimAll(one(), 0)));

    expect([ids.length, new Set(ids).size]).toEqual([12, 12]);
  });

  it('record one outcome of a claim, and the same one again', async () => {
    const storyId = await givenStarted(one(), { steps: planOf(1, 2) });
    const { claimId } = await claimOne(one(), storyId);

    const found = await race((client, n) =>
      n % 2 === 0 ? completeStep(client, { claimId, output: 'x' }) : failStep(client, { claimId, error: 'x' }),
    );

    expect(countOf(found, 'done')).toBe(CLIENTS / 2);
    expect(countOf(found, 'STORY.OUTCOME_DIFFERS')).toBe(CLIENTS / 2);
    const names = await namesOf(storyId);
    expect(names.filter((name) => name === 'step-completed' || name === 'step-failed')).toHaveLength(1);
  });

  it('end the last steps of a wave, and the next wave starts once', async () => {
    const storyId = await givenStarted(one(), {
      steps: [...planOf(...Array(CLIENTS).fill(1)), ...planOf(2)],
      maxParallelism: CLIENTS,
    });
    const claimed = await claim(one(), storyId);

    await race((client, n) => completeStep(client, { claimId: claimed[n]?.claimId ?? '' }));

    expect(await placeOf(one(), storyId)).toBe('Executing 2');
    expect(countOf(await namesOf(storyId), 'wave-started')).toBe(2);
  });

  it('create one story, start it once, and complete it once', async () => {
    const idempotencyKey = fresh('key');
    const created = await Promise.all(clients.map((client) => createStory(client, { title: 'Once', idempotencyKey })));
    expect(new Set(created.map(({ id }) => id)).size).toBe(1);

    const storyId = await givenPlanned(one(), { steps: planOf(1) });
    expect(countOf(await race((client) => startStory(client, { storyId })), 'done')).toBe(CLIENTS);
    await runWave(one(), storyId);
    expect(countOf(await race((client) => completeStory(client, { storyId })), 'done')).toBe(CLIENTS);
    expect(await namesOf(storyId)).toEqual([
      ...['story-created', 'status-changed', 'status-changed', 'status-changed', 'wave-started', 'step-started'],
      ...['status-changed', 'step-completed', 'status-changed'],
    ]);
  });

  it('plan a story by one of several plans', async () => {
    const { id: storyId } = await createStory(one(), { title: 'Plans', idempotencyKey: fresh('key') });
    await beginPlanning(one(), { storyId });

    const found = await race((client, n) => recordPlan(client, { storyId, steps: planOf(...Array(n + 1).fill(1)) }));

    expect(countOf(found, 'done')).toBe(1);
    expect(countOf(found, 'STORY.ILLEGAL_TRANSITION')).toBe(CLIENTS - 1);
    const { steps, executionPlan } = await getStory(one(), { storyId });
    expect(steps).toHaveLength(executionPlan?.steps.length ?? 0);
  });

  it('decide a gate: nobody fails it after somebody has passed it', async () => {
    const storyId = await givenStarted(one(), { steps: planOf(1, 2), gateMode: 'PauseAlways' });
    await runWave(one(), storyId);

    const found = await race((client, n) =>
      decideGate(client, { storyId, wave: 1, passed: n === 0, feedback: `${n}` }),
    );

    expect(found[0]).toBe('done');
    expect(await placeOf(one(), storyId)).toBe('Executing 2');
    const decisions = (await publishedFor(db(), storyId)).filter(({ type }) => type === 'story.gate-decided.v1');
    expect(decisions.map(({ payload }) => payload['passed'])).toEqual([
      ...Array(countOf(found, 'done') - 1).fill(false),
      true,
    ]);
  });

  it('add tasks and messages without gaps and losses', async () => {
    const storyId = await givenStarted(one(), { steps: planOf(1) });
    const [step] = (await getStory(one(), { storyId })).steps;
    const stepId = step?.id ?? '';

    await race((client, n) => addTask(client, { stepId, description: `${n}`, idempotencyKey: fresh('task') }));
    await race((client, n) =>
      appendChat(client, { storyId, role: 'user', content: `${n}`, idempotencyKey: fresh('chat') }),
    );

    expect((await listTasks(one(), { stepId })).map(({ order }) => order)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const { chatHistory } = await getStory(one(), { storyId });
    expect(chatHistory?.map(({ content }) => content).sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
  });

  it('cancel, complete, skip, reject and rerun: the steps and the story agree, and no step runs twice', async () => {
    for (let round = 0; round < 3; round += 1) {
      const storyId = await givenStarted(one(), { steps: planOf(1, 1) });
      const [first, second] = await claim(one(), storyId);
      await completeStep(one(), { claimId: first?.claimId ?? '' });

      await race((client, n) => {
        const calls = [
          () => completeStep(client, { claimId: second?.claimId ?? '' }),
          () => cancelStory(client, { storyId }),
          () => rerunFromWave(client, { storyId, wave: 1 }),
          () => reviewStep(client, { stepId: first?.id ?? '', approval: 'Rejected', feedback: 'x' }),
          () => skipStep(client, { stepId: second?.id ?? '' }),
          () => claim(client, storyId),
          () => completeStory(client, { storyId }),
          () => claim(client, storyId),
        ];
        return calls[(n + round) % calls.length]?.() ?? Promise.resolve();
      });

      // Leases of the race do not lapse, so two open attempts at a step would be two workers on it.
      const twice = await db().admin(
        `SELECT step_id FROM step_attempts WHERE story_id = $1 AND outcome IS DISTINCT FROM 'Revoked' AND outcome IS DISTINCT FROM 'Completed'
         GROUP BY step_id HAVING count(*) > 1`,
        [storyId],
      );
      expect(twice).toEqual([]);
      expect(await reconcile(one())).toEqual([]);
    }
  });
});
