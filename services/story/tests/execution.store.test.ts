import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  cancelStory,
  completeStep,
  completeStory,
  decideGate,
  failStep,
  getStory,
  listFailedVerifications,
  moveTask,
  openStory,
  reconcile,
  recordVerification,
  rerunFromWave,
  reviewStep,
  type Stories,
  skipStep,
  updateStory,
} from '../src';
import { claim, claimOne, givenPlanned, givenStarted, placeOf, planOf, runWave, statusesOf } from './given';

const MINUTE_MS = 60_000;

describe('the execution of a story', () => {
  const db = useDatabase('story');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let stories: Stories;
  beforeAll(() => {
    stories = openStory({ url: db().url });
  });
  afterAll(() => stories.close());
  afterEach(async () => expect(await reconcile(stories)).toEqual([]));

  const gated = (...waves: readonly number[]) =>
    givenStarted(stories, { steps: planOf(...waves), gateMode: 'PauseAlways' });

  describe('a gate', () => {
    it('holds the next wave back until it is passed, and keeps the feedback', async () => {
      const storyId = await gated(1, 2);
      await runWave(stories, storyId);
      expect(await placeOf(stories, storyId)).toBe('GatePending 1');
      expect(await claim(stories, storyId)).toEqual([]);

      const checks = [{ name: 'build', passed: true, output: 'ok' }];
      const decision = { storyId, wave: 1, passed: true, feedback: 'Go on', checks, by: 'ada' };
      const decided = await decideGate(stories, decision);

      expect(decided).toMatchObject({
        status: 'Executing',
        currentWave: 2,
        gateResult: { wave: 1, passed: true, feedback: 'Go on', checks },
      });
      expect(await decideGate(stories, decision)).toEqual(decided);
      await runWave(stories, storyId);
      // There is no gate after the last wave.
      expect(await placeOf(stories, storyId)).toBe('ReadyToComplete 2');
      expect(
        await db().admin("SELECT user_id, details FROM audit_logs WHERE resource_id = $1 AND action = 'gate.decided'", [
          storyId,
        ]),
      ).toEqual([{ user_id: 'ada', details: { wave: 1, passed: true } }]);
    });

    it('that fails waits for another decision', async () => {
      const storyId = await gated(1, 2);
      await runWave(stories, storyId);

      expect(await decideGate(stories, { storyId, wave: 1, passed: false, feedback: 'No tests' })).toMatchObject({
        status: 'GateFailed',
        currentWave: 1,
        gateResult: { passed: false, feedback: 'No tests' },
      });
      expect(await claim(stories, storyId)).toEqual([]);
      expect(await decideGate(stories, { storyId, wave: 1, passed: true })).toMatchObject({
        status: 'Executing',
        gateResult: { wave: 1, passed: true },
      });
    });

    it('that failed opens again after a rejected step has run again', async () => {
      const storyId = await gated(1, 2);
      const [step] = await runWave(stories, storyId);
      await decideGate(stories, { storyId, wave: 1, passed: false });

      await reviewStep(stories, { stepId: step?.id ?? '', approval: 'Rejected', feedback: 'Add a test' });

      expect(await getStory(stories, { storyId })).toMatchObject({
        status: 'Executing',
        currentWave: 1,
        gateResult: null,
      });
      await runWave(stories, storyId);
      expect(await placeOf(stories, storyId)).toBe('GatePending 1');
    });

    it('is decided only when its wave has ended', async () => {
      const storyId = await gated(1, 2, 3);
      const decide = (wave: number) => decideGate(stories, { storyId, wave, passed: true });

      await expect(decide(1)).rejects.toMatchObject({ code: 'STORY.GATE_NOT_OPEN' });
      await runWave(stories, storyId);
      await expect(decide(2)).rejects.toMatchObject({ code: 'STORY.GATE_NOT_OPEN', meta: { currentWave: 1 } });
      await decide(1);
      await runWave(stories, storyId);
      expect(await placeOf(stories, storyId)).toBe('GatePending 2');
    });

    it('opens when the mode becomes AutoProceed, or when no later step is left', async () => {
      const [one, two] = [await gated(1, 2), await gated(1, 2)];
      await runWave(stories, one);
      await runWave(stories, two);

      expect(await updateStory(stories, { storyId: one, gateMode: 'AutoProceed' })).toMatchObject({
        status: 'Executing',
        currentWave: 2,
      });
      const [, later] = (await getStory(stories, { storyId: two })).steps;
      await skipStep(stories, { stepId: later?.id ?? '' });
      expect(await placeOf(stories, two)).toBe('ReadyToComplete 2');
    });

    it('does not open without a decision in AutoProceed', async () => {
      const storyId = await givenStarted(stories);
      await runWave(stories, storyId);

      expect(await getStory(stories, { storyId })).toMatchObject({
        status: 'Executing',
        currentWave: 2,
        gateResult: null,
      });
    });
  });

  describe('rerunFromWave', () => {
    it('resets the steps and tasks from a wave on, and keeps the number and the history of attempts', async () => {
      const first = { name: 'One', capability: 'coding', wave: 2, tasks: ['a'] };
      const storyId = await givenStarted(stories, {
        steps: [...planOf(1), first, ...planOf(3)],
        gateMode: 'PauseAlways',
      });
      await runWave(stories, storyId);
      await decideGate(stories, { storyId, wave: 1, passed: true });
      const step = await claimOne(stories, storyId);
      const [, planned] = (await getStory(stories, { storyId })).steps;
      await moveTask(stories, { claimId: step.claimId, taskId: planned?.tasks[0]?.id ?? '', status: 'Completed' });
      await completeStep(stories, { claimId: step.claimId, output: 'done' });
      await decideGate(stories, { storyId, wave: 2, passed: true });
      await runWave(stories, storyId);
      await recordVerification(stories, { storyId, checks: [{ name: 'test', passed: false }] });

      const reset = await rerunFromWave(stories, { storyId, wave: 2, by: 'ada' });

      expect(reset).toMatchObject({
        status: 'Executing',
        currentWave: 2,
        gateResult: null,
        verificationPassed: null,
        verificationResult: null,
      });
      expect(await rerunFromWave(stories, { storyId, wave: 2, by: 'ada' })).toEqual(reset);
      const { steps } = await getStory(stories, { storyId });
      expect(steps).toMatchObject([
        { status: 'Completed', output: 'done' },
        {
          status: 'Pending',
          attempts: 1,
          output: null,
          error: null,
          approval: null,
          reviewFeedback: null,
          assignedAgentId: null,
          startedAt: null,
          completedAt: null,
          tasks: [{ status: 'Pending', completedAt: null }],
        },
        { status: 'Pending', attempts: 1 },
      ]);
      expect((await claimOne(stories, storyId)).attempts).toBe(2);
    });

    it('brings a failed story back to an earlier wave', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1, 2) });
      await runWave(stories, storyId);
      await failStep(stories, { claimId: (await claimOne(stories, storyId)).claimId, error: 'x' });
      expect(await placeOf(stories, storyId)).toBe('Failed 2');

      await rerunFromWave(stories, { storyId, wave: 1 });

      expect(await placeOf(stories, storyId)).toBe('Executing 1');
      await runWave(stories, storyId);
      await runWave(stories, storyId);
      expect(await placeOf(stories, storyId)).toBe('ReadyToComplete 2');
    });

    it('waits for the holders of leases, and takes a lapsed lease away', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1) });
      const { claimId } = await claimOne(stories, storyId);

      await expect(rerunFromWave(stories, { storyId, wave: 1 })).rejects.toMatchObject({ code: 'STORY.STEP_RUNNING' });
      await clock.move(MINUTE_MS);
      await rerunFromWave(stories, { storyId, wave: 1 });

      expect(statusesOf(await getStory(stories, { storyId }))).toEqual(['Pending']);
      await expect(completeStep(stories, { claimId })).rejects.toMatchObject({ code: 'STORY.LEASE_LOST' });
    });

    it('needs a wave that has steps and was reached', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1, 3) });
      const planned = await givenPlanned(stories);

      for (const wave of [2, 3, 4])
        await expect(rerunFromWave(stories, { storyId, wave })).rejects.toMatchObject({
          code: 'STORY.WAVE_NOT_REACHED',
        });
      await expect(rerunFromWave(stories, { storyId: planned, wave: 1 })).rejects.toMatchObject({
        code: 'STORY.WAVE_NOT_REACHED',
      });
    });
  });

  describe('the end', () => {
    const ready = async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1) });
      await runWave(stories, storyId);
      return storyId;
    };

    it('needs all steps, and no failed verification', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1) });
      const failed = [
        { name: 'build', passed: true },
        { name: 'test', passed: false, output: '3 failed' },
      ];
      await expect(completeStory(stories, { storyId })).rejects.toMatchObject({ code: 'STORY.STORY_NOT_READY' });
      await expect(recordVerification(stories, { storyId, checks: failed })).rejects.toMatchObject({
        code: 'STORY.STORY_NOT_READY',
      });
      await runWave(stories, storyId);

      expect(await recordVerification(stories, { storyId, checks: failed })).toMatchObject({
        status: 'ReadyToComplete',
        verificationPassed: false,
        verificationResult: { passed: false, checks: failed },
      });
      expect((await listFailedVerifications(stories)).items.map(({ id }) => id)).toEqual([storyId]);
      await expect(completeStory(stories, { storyId })).rejects.toMatchObject({ code: 'STORY.VERIFICATION_FAILED' });
      await recordVerification(stories, { storyId, checks: [{ name: 'test', passed: true }] });
      expect((await listFailedVerifications(stories)).items).toEqual([]);

      const pullRequestUrl = 'https://github.com/azora/azora/pull/1';
      const done = await completeStory(stories, { storyId, pullRequestUrl, by: 'ada' });
      expect(done).toMatchObject({ status: 'Completed', completedAt: clock.now(), pullRequestUrl });
      expect(await completeStory(stories, { storyId })).toEqual(done);
    });

    it('is final', async () => {
      const storyId = await ready();
      await completeStory(stories, { storyId });

      const [step] = (await getStory(stories, { storyId })).steps;
      const ended = { code: 'STORY.STORY_ENDED' };
      await expect(rerunFromWave(stories, { storyId, wave: 1 })).rejects.toMatchObject(ended);
      await expect(reviewStep(stories, { stepId: step?.id ?? '', approval: 'Approved' })).rejects.toMatchObject(ended);
      await expect(decideGate(stories, { storyId, wave: 1, passed: true })).rejects.toMatchObject(ended);
      await expect(cancelStory(stories, { storyId })).rejects.toMatchObject({ code: 'STORY.ILLEGAL_TRANSITION' });
    });

    it('by cancellation revokes leases and skips what is left', async () => {
      const storyId = await givenStarted(stories);
      const [first] = await claim(stories, storyId);
      await completeStep(stories, { claimId: first?.claimId ?? '' });

      const cancelled = await cancelStory(stories, { storyId, by: 'ada' });

      expect(cancelled).toMatchObject({ status: 'Cancelled', completedAt: clock.now() });
      expect(await cancelStory(stories, { storyId })).toEqual(cancelled);
      expect(statusesOf(await getStory(stories, { storyId }))).toEqual(['Completed', 'Skipped', 'Skipped']);
      expect(
        await db().admin('SELECT outcome FROM step_attempts WHERE story_id = $1 ORDER BY outcome', [storyId]),
      ).toEqual([{ outcome: 'Completed' }, { outcome: 'Revoked' }]);
    });
  });

  describe('the status', () => {
    const set = (storyId: string, sql: string) => db().admin(`UPDATE ${sql} = $1`, [storyId]);

    it('follows from steps that the administrator changes', async () => {
      const storyId = await givenStarted(stories, { steps: planOf(1, 2) });

      await set(storyId, "story_steps SET status = 'Skipped' WHERE wave = 1 AND story_id");
      expect(await placeOf(stories, storyId)).toBe('Executing 2');
      await set(storyId, "story_steps SET status = 'Pending' WHERE wave = 1 AND story_id");
      expect(await placeOf(stories, storyId)).toBe('Executing 1');
      await set(storyId, 'story_steps SET wave = 5 WHERE wave = 1 AND story_id');
      expect(await placeOf(stories, storyId)).toBe('Executing 2');
      await db().admin('DELETE FROM story_steps WHERE wave = 2 AND story_id = $1', [storyId]);
      expect(await placeOf(stories, storyId)).toBe('Executing 5');
      await db().admin(
        `INSERT INTO story_steps (story_id, "order", name, capability, wave) VALUES ($1, 9, 'New', 'coding', 3)`,
        [storyId],
      );
      expect(await placeOf(stories, storyId)).toBe('Executing 3');
      await set(storyId, "story_steps SET status = 'Skipped' WHERE story_id");
      expect(await placeOf(stories, storyId)).toBe('ReadyToComplete 5');
    });

    it.each(['GatePending', 'GateFailed', 'ReadyToComplete', 'Failed'])(
      'cannot be set to %s while steps are open',
      async (status) => {
        const storyId = await givenStarted(stories);

        await set(storyId, `stories SET current_wave = 2, status = '${status}' WHERE id`);

        expect(await placeOf(stories, storyId)).toBe('Executing 1');
      },
    );

    it('of an ended story lets no step open again', async () => {
      const storyId = await givenStarted(stories);
      await cancelStory(stories, { storyId });

      await expect(set(storyId, "story_steps SET status = 'Pending' WHERE story_id")).rejects.toMatchObject({
        message: 'story_ended',
      });
      await expect(
        db().admin(`INSERT INTO story_steps (story_id, "order", name, capability) VALUES ($1, 9, 'New', 'coding')`, [
          storyId,
        ]),
      ).rejects.toMatchObject({ message: 'story_ended' });
      await set(storyId, "stories SET current_wave = 1, title = 'Kept' WHERE id");
      expect(await placeOf(stories, storyId)).toBe('Cancelled 1');
    });
  });
});
