import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  addTask,
  cancelStory,
  claimReadySteps,
  completeStep,
  extendLease,
  failStep,
  getStory,
  listStepAttempts,
  listSteps,
  listTasks,
  moveTask,
  openStory,
  reconcile,
  retryStep,
  reviewStep,
  type Stories,
  skipStep,
  startStory,
  updateStory,
} from '../src';
import { claim, claimOne, fresh, givenPlanned, givenStarted, placeOf, planOf, runWave, statusesOf } from './given';

const MINUTE_MS = 60_000;
const NOBODY = '00000000-0000-7000-8000-00000000000f';

describe('the steps of a story', () => {
  const db = useDatabase('story');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let stories: Stories;
  beforeAll(() => {
    stories = openStory({ url: db().url });
  });
  afterAll(() => stories.close());
  afterEach(async () => expect(await reconcile(stories)).toEqual([]));

  const start = (storyId: string) => startStory(stories, { storyId });
  const failOne = async (storyId: string) => {
    const { claimId } = await claimOne(stories, storyId);
    return failStep(stories, { claimId, error: 'x' });
  };
  const only = async (storyId: string) => {
    const [step] = (await getStory(stories, { storyId })).steps;
    if (step === undefined) throw new Error('the story has no step');
    return step;
  };

  describe('claimReadySteps', () => {
    it('claims the steps of the current wave in their order, and of no other wave', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1, 2, 1, 3) });

      const claimed = await claim(stories, storyId);

      expect(
        claimed.map(({ order, status, attempts, assignedAgentId }) => [order, status, attempts, assignedAgentId]),
      ).toEqual([
        [1, 'Running', 1, 'agent-1'],
        [3, 'Running', 1, 'agent-1'],
      ]);
      expect(claimed[0]).toMatchObject({
        startedAt: clock.now(),
        leaseUntil: new Date(clock.now().getTime() + MINUTE_MS),
      });
      expect(await claim(stories, storyId)).toEqual([]);
    });

    it('starts the next wave when the last step of a wave ends', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1, 1, 4) });
      const [first, second] = await claim(stories, storyId);

      await completeStep(stories, { claimId: first?.claimId ?? '' });
      expect(await placeOf(stories, storyId)).toBe('Executing 1');
      await completeStep(stories, { claimId: second?.claimId ?? '' });

      expect(await placeOf(stories, storyId)).toBe('Executing 4');
      expect((await claim(stories, storyId)).map(({ order }) => order)).toEqual([3]);
    });

    it('lets at most the maximum parallelism run, counted over all calls', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1, 1, 1, 1, 1), maxParallelism: 2 });

      const first = await claimOne(stories, storyId);
      expect(await claim(stories, storyId)).toHaveLength(1);
      expect(await claim(stories, storyId)).toEqual([]);
      await completeStep(stories, { claimId: first.claimId });
      expect(await claim(stories, storyId)).toHaveLength(1);
      await updateStory(stories, { storyId, maxParallelism: 3 });
      expect(await claim(stories, storyId)).toHaveLength(1);
      await updateStory(stories, { storyId, maxParallelism: 2 });
      expect(await claim(stories, storyId)).toEqual([]);
      await cancelStory(stories, { storyId });
    });

    it('gives a worker only what it can do', async () => {
      const steps = [...planOf(1), { name: 'Review', capability: 'review', wave: 1 }];
      const storyId = await givenStarted(stories, { steps });
      const agent = { storyId, agentId: 'reviewer', limit: 10 };

      expect(await claimReadySteps(stories, { ...agent, capabilities: ['design'] })).toEqual([]);
      const claimed = await claimReadySteps(stories, { ...agent, capabilities: ['design', 'review'] });

      expect(claimed.map(({ name }) => name)).toEqual(['Review']);
    });

    it('finds work of all stories in execution by priority and age', async () => {
      await db().admin('DELETE FROM stories');
      const low = await givenStarted(stories, { priority: 'Low', steps: planOf(1) });
      const old = await givenStarted(stories, { priority: 'High', steps: planOf(1, 1, 1), maxParallelism: 2 });
      await clock.move(1);
      const late = await givenStarted(stories, { priority: 'High', steps: planOf(1) });
      await givenPlanned(stories, { priority: 'Critical' });
      const urgent = await givenStarted(stories, { priority: 'Critical', steps: planOf(1) });

      const claimed = await claimReadySteps(stories, { agentId: 'agent-1', limit: 10 });

      expect(claimed.map(({ storyId }) => storyId)).toEqual([urgent, old, old, late, low]);
      expect(await claimReadySteps(stories, { agentId: 'agent-1' })).toEqual([]);
    });

    it.each<readonly [status: string, waves: readonly number[], lead: (storyId: string) => Promise<unknown>]>([
      ['Planned', [1], async () => undefined],
      ['Failed', [1, 1], (storyId) => start(storyId).then(() => failOne(storyId))],
      ['GatePending', [1, 2], (storyId) => start(storyId).then(() => runWave(stories, storyId))],
      ['ReadyToComplete', [1], (storyId) => start(storyId).then(() => runWave(stories, storyId))],
      ['Cancelled', [1], (storyId) => start(storyId).then(() => cancelStory(stories, { storyId }))],
    ])('claims nothing of a story that is %s', async (status, waves, lead) => {
      const storyId = await givenPlanned(stories, { steps: planOf(...waves), gateMode: 'PauseAlways' });
      await lead(storyId);

      expect((await getStory(stories, { storyId })).status).toBe(status);
      expect(await claim(stories, storyId)).toEqual([]);
    });

    it('rejects an unknown story', async () => {
      await expect(claim(stories, NOBODY)).rejects.toMatchObject({ code: 'STORY.STORY_NOT_FOUND' });
    });
  });

  describe('a lease', () => {
    it('lapses by itself: another worker gets the step, and the first one cannot end it', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1) });
      const first = await claimOne(stories, storyId);
      await clock.move(MINUTE_MS - 1);
      expect(await claim(stories, storyId)).toEqual([]);
      await clock.move(1);
      await expect(completeStep(stories, { claimId: first.claimId })).rejects.toMatchObject({
        code: 'STORY.LEASE_LOST',
        meta: { reason: 'lapsed' },
      });

      const second = await claimOne(stories, storyId);

      expect(second).toMatchObject({ id: first.id, attempts: 2, lapses: 1 });
      await expect(completeStep(stories, { claimId: first.claimId })).rejects.toMatchObject({
        code: 'STORY.LEASE_LOST',
      });
      await expect(failStep(stories, { claimId: first.claimId, error: 'x' })).rejects.toMatchObject({
        code: 'STORY.LEASE_LOST',
      });
      expect(await completeStep(stories, { claimId: second.claimId })).toMatchObject({
        status: 'Completed',
        lapses: 0,
      });
      const { items } = await listStepAttempts(stories, { storyId });
      expect(items.map(({ number, outcome }) => [number, outcome])).toEqual([
        [2, 'Completed'],
        [1, 'Lapsed'],
      ]);
      expect(items[1]?.endedAt).toEqual(first.leaseUntil);
    });

    it('does not count against the maximum parallelism after it has lapsed', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1, 1), maxParallelism: 1 });
      const first = await claimOne(stories, storyId);
      await clock.move(MINUTE_MS);

      expect((await claimOne(stories, storyId)).id).toBe(first.id);
      expect(await claim(stories, storyId)).toEqual([]);
    });

    it('is extended by its holder only, and never shortened', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1) });
      const { claimId } = await claimOne(stories, storyId);
      await clock.move(MINUTE_MS - 1);

      const extended = await extendLease(stories, { claimId, leaseMs: 5 * MINUTE_MS });
      expect(extended.leaseUntil).toEqual(new Date(clock.now().getTime() + 5 * MINUTE_MS));
      expect((await extendLease(stories, { claimId, leaseMs: 1 })).leaseUntil).toEqual(extended.leaseUntil);

      await clock.move(5 * MINUTE_MS);
      await expect(extendLease(stories, { claimId })).rejects.toMatchObject({ code: 'STORY.LEASE_LOST' });
      await expect(extendLease(stories, { claimId: NOBODY })).rejects.toMatchObject({ code: 'STORY.CLAIM_NOT_FOUND' });
    });

    it('fails a step at its fifth lapse in a row, and a retry begins to count anew', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1) });
      for (let lapse = 1; lapse <= 5; lapse += 1) {
        await claimOne(stories, storyId);
        await clock.move(MINUTE_MS);
      }

      expect(await claim(stories, storyId)).toEqual([]);
      const { id: stepId, ...step } = await only(storyId);
      expect(step).toMatchObject({ status: 'Failed', attempts: 5, error: expect.stringContaining('five times') });
      expect(await placeOf(stories, storyId)).toBe('Failed 1');

      await retryStep(stories, { stepId });
      expect(await claimOne(stories, storyId)).toMatchObject({ attempts: 6, lapses: 0 });
    });
  });

  describe('an outcome', () => {
    it('is recorded once: the same call again returns the step, another one is rejected', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1) });
      const { claimId } = await claimOne(stories, storyId);

      const first = await completeStep(stories, { claimId, output: 'done' });
      expect(first).toMatchObject({
        status: 'Completed',
        output: 'done',
        error: null,
        completedAt: clock.now(),
        leaseUntil: null,
      });
      expect(first).not.toHaveProperty('claimId');
      expect(await completeStep(stories, { claimId, output: 'done' })).toEqual(first);
      await expect(completeStep(stories, { claimId, output: 'other' })).rejects.toMatchObject({
        code: 'STORY.OUTCOME_DIFFERS',
      });
      await expect(failStep(stories, { claimId, error: 'done' })).rejects.toMatchObject({
        code: 'STORY.OUTCOME_DIFFERS',
      });
      await expect(extendLease(stories, { claimId })).rejects.toMatchObject({ code: 'STORY.LEASE_LOST' });
    });

    it('of a failure fails the story, keeps the error, and lets other steps of the wave end', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1, 1, 2) });
      const [first, second] = await claim(stories, storyId);
      const stepId = first?.id ?? '';

      const failed = await failStep(stories, { claimId: first?.claimId ?? '', error: 'No compiler' });
      expect(failed).toMatchObject({ status: 'Failed', error: 'No compiler', output: null });
      expect(await placeOf(stories, storyId)).toBe('Failed 1');
      await completeStep(stories, { claimId: second?.claimId ?? '' });
      expect(await placeOf(stories, storyId)).toBe('Failed 1');

      expect(await retryStep(stories, { stepId })).toMatchObject({ status: 'Pending', error: 'No compiler' });
      expect(await retryStep(stories, { stepId })).toMatchObject({ status: 'Pending' });
      await clock.move(1);
      const again = await claimOne(stories, storyId);
      expect(await completeStep(stories, { claimId: again.claimId })).toMatchObject({
        id: stepId,
        error: null,
        attempts: 2,
      });
      expect(await placeOf(stories, storyId)).toBe('Executing 2');
      const { items } = await listStepAttempts(stories, { storyId, stepId });
      expect(items.map(({ outcome, error }) => [outcome, error])).toEqual([
        ['Completed', null],
        ['Failed', 'No compiler'],
      ]);
    });

    it('of a canceled story is refused', async () => {
      const storyId = await givenStarted(stories);
      const { claimId } = await claimOne(stories, storyId);
      await cancelStory(stories, { storyId });

      await expect(completeStep(stories, { claimId })).rejects.toMatchObject({
        code: 'STORY.LEASE_LOST',
        meta: { reason: 'ended' },
      });
      expect(statusesOf(await getStory(stories, { storyId }))).toEqual(['Skipped', 'Skipped', 'Skipped']);
    });
  });

  describe('reviewStep', () => {
    it('approves a completed step, once or again', async () => {
      const storyId = await givenStarted(stories);
      const [step] = await runWave(stories, storyId);
      const review = { stepId: step?.id ?? '', approval: 'Approved', feedback: 'Good', by: 'ada' } as const;

      const reviewed = await reviewStep(stories, review);
      expect(reviewed).toMatchObject({ status: 'Completed', approval: 'Approved', reviewFeedback: 'Good' });
      expect(await reviewStep(stories, review)).toEqual(reviewed);
    });

    it('rejects a step with feedback, which its next attempt reads', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1) });
      const [done] = await runWave(stories, storyId);
      const stepId = done?.id ?? '';
      expect(await placeOf(stories, storyId)).toBe('ReadyToComplete 1');

      await reviewStep(stories, { stepId, approval: 'Rejected', feedback: 'Add a test' });

      expect(await placeOf(stories, storyId)).toBe('Executing 1');
      const again = await claimOne(stories, storyId);
      expect(again).toMatchObject({ approval: 'Rejected', reviewFeedback: 'Add a test', output: 'done' });
      expect(await completeStep(stories, { claimId: again.claimId })).toMatchObject({
        approval: null,
        reviewFeedback: null,
      });
    });

    it('rejects no step of an earlier wave, none without feedback, and reviews none that has not completed', async () => {
      const storyId = await givenStarted(stories);
      const [step] = await runWave(stories, storyId);
      const [, , last] = (await getStory(stories, { storyId })).steps;
      const rejection = { stepId: step?.id ?? '', approval: 'Rejected' } as const;

      await expect(reviewStep(stories, { ...rejection, feedback: 'x' })).rejects.toMatchObject({
        code: 'STORY.WAVE_PASSED',
      });
      await expect(reviewStep(stories, rejection)).rejects.toMatchObject({
        code: 'STORY.INVALID_INPUT',
        meta: { fields: ['feedback'] },
      });
      await expect(reviewStep(stories, { stepId: last?.id ?? '', approval: 'Approved' })).rejects.toMatchObject({
        code: 'STORY.STEP_NOT_COMPLETED',
      });
    });
  });

  describe('skipStep', () => {
    it('leaves out pending and failed steps with their tasks, and so ends a wave', async () => {
      const steps = [{ name: 'One', capability: 'coding', wave: 1, tasks: ['a', 'b'] }, ...planOf(1, 2)];
      const storyId = await givenStarted(stories, { steps });
      const [first, second] = (await getStory(stories, { storyId })).steps;

      expect(await skipStep(stories, { stepId: first?.id ?? '' })).toMatchObject({ status: 'Skipped' });
      expect((await listTasks(stories, { stepId: first?.id ?? '' })).map(({ status }) => status)).toEqual([
        'Skipped',
        'Skipped',
      ]);
      const { claimId } = await claimOne(stories, storyId);
      await failStep(stories, { claimId, error: 'x' });
      await skipStep(stories, { stepId: second?.id ?? '' });
      expect(await skipStep(stories, { stepId: second?.id ?? '' })).toMatchObject({ status: 'Skipped' });

      expect(await placeOf(stories, storyId)).toBe('Executing 2');
    });

    it('waits for the holder of a lease, and skips no completed step', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1, 1) });
      const [running, done] = await claim(stories, storyId);
      await completeStep(stories, { claimId: done?.claimId ?? '' });

      await expect(skipStep(stories, { stepId: running?.id ?? '' })).rejects.toMatchObject({
        code: 'STORY.STEP_RUNNING',
      });
      await expect(skipStep(stories, { stepId: done?.id ?? '' })).rejects.toMatchObject({
        code: 'STORY.ILLEGAL_TRANSITION',
      });
      await expect(retryStep(stories, { stepId: done?.id ?? '' })).rejects.toMatchObject({
        code: 'STORY.ILLEGAL_TRANSITION',
      });
      await clock.move(MINUTE_MS);
      expect(await skipStep(stories, { stepId: running?.id ?? '' })).toMatchObject({ status: 'Skipped' });
      expect(await placeOf(stories, storyId)).toBe('ReadyToComplete 1');
    });
  });

  describe('the tasks of a step', () => {
    const given = async () => {
      const storyId = await givenStarted(stories, {
        steps: [{ name: 'One', capability: 'coding', wave: 1, tasks: ['a'] }],
      });
      const { claimId, id: stepId } = await claimOne(stories, storyId);
      const added = { stepId, description: 'b', idempotencyKey: fresh('task') };
      const second = await addTask(stories, added);
      const [first] = await listTasks(stories, { stepId });
      return { storyId, claimId, stepId, added, first: first?.id ?? '', second };
    };

    it('are added to the end, once per key', async () => {
      const { stepId, added, second } = await given();

      expect(second).toMatchObject({ order: 2, status: 'Pending', description: 'b', completedAt: null });
      expect(await addTask(stories, added)).toEqual(second);
      await expect(addTask(stories, { ...added, description: 'c' })).rejects.toMatchObject({
        code: 'STORY.KEY_REUSED',
      });
      expect(await listTasks(stories, { stepId })).toHaveLength(2);
    });

    it('are moved by the holder of the lease, and must end before the step', async () => {
      const { claimId, first, second, stepId } = await given();
      const other = await given();

      expect(await moveTask(stories, { claimId, taskId: first, status: 'Running' })).toMatchObject({
        status: 'Running',
      });
      expect(await moveTask(stories, { claimId, taskId: first, status: 'Completed' })).toMatchObject({
        status: 'Completed',
        completedAt: clock.now(),
      });
      expect(await moveTask(stories, { claimId, taskId: first, status: 'Completed' })).toMatchObject({
        status: 'Completed',
      });
      await expect(moveTask(stories, { claimId, taskId: first, status: 'Failed' })).rejects.toMatchObject({
        code: 'STORY.ILLEGAL_TRANSITION',
        message: 'The task cannot go from Completed to Failed',
      });
      await expect(
        moveTask(stories, { claimId: other.claimId, taskId: first, status: 'Failed' }),
      ).rejects.toMatchObject({
        code: 'STORY.TASK_NOT_FOUND',
      });
      await expect(completeStep(stories, { claimId })).rejects.toMatchObject({
        code: 'STORY.TASKS_OPEN',
        meta: { tasks: 1 },
      });
      await moveTask(stories, { claimId, taskId: second.id, status: 'Skipped' });
      expect(await completeStep(stories, { claimId })).toMatchObject({ id: stepId, status: 'Completed' });
      await expect(addTask(stories, { stepId, description: 'x', idempotencyKey: fresh('task') })).rejects.toMatchObject(
        {
          code: 'STORY.STEP_ENDED',
        },
      );
    });

    it('that run or have failed are pending again in the next attempt, and completed ones stay', async () => {
      const { storyId, claimId, first, second, stepId } = await given();
      await moveTask(stories, { claimId, taskId: first, status: 'Completed' });
      await moveTask(stories, { claimId, taskId: second.id, status: 'Running' });
      await clock.move(MINUTE_MS);
      await expect(moveTask(stories, { claimId, taskId: second.id, status: 'Completed' })).rejects.toMatchObject({
        code: 'STORY.LEASE_LOST',
      });

      await claimOne(stories, storyId);

      expect((await listTasks(stories, { stepId })).map(({ status }) => status)).toEqual(['Completed', 'Pending']);
    });

    it('number at most 100', async () => {
      const tasks = Array.from({ length: 100 }, (_, n) => `Task ${n}`);
      const storyId = await givenStarted(stories, { steps: [{ name: 'One', capability: 'coding', wave: 1, tasks }] });
      const { id: stepId } = await only(storyId);

      await expect(addTask(stories, { stepId, description: 'x', idempotencyKey: fresh('task') })).rejects.toMatchObject(
        {
          code: 'STORY.TASKS_FULL',
        },
      );
    });
  });

  it('are listed by every filter, page by page', async () => {
    await db().admin('DELETE FROM stories');
    const storyId = await givenStarted(stories, { steps: planOf(1, 1, 1) });
    await givenPlanned(stories);
    const { id } = await claimOne(stories, storyId);

    const first = await listSteps(stories, { storyId, limit: 2 });
    const second = await listSteps(stories, { storyId, limit: 2, cursor: first.nextCursor ?? '' });
    expect(new Set([...first.items, ...second.items].map((step) => step.id)).size).toBe(3);
    expect(second.nextCursor).toBeNull();
    const filters = { statuses: ['Running'], capability: 'coding', agentId: 'agent-1' } as const;
    expect((await listSteps(stories, filters)).items.map((step) => step.id)).toEqual([id]);
    expect((await listSteps(stories, { agentId: 'agent-2' })).items).toEqual([]);
    expect((await listSteps(stories)).items).toHaveLength(6);
  });
});
