import { useDatabase } from '@azora/db-testkit';
import {
  appendChat,
  completeStory,
  decideGate,
  erasePerson,
  exportPerson,
  failStep,
  getStory,
  listStepAttempts,
  openStory,
  reconcile,
  recordVerification,
  retryStep,
  reviewStep,
  type Stories,
  skipStep,
  updateStory,
} from '../src';
import { claimOne, fresh, givenStarted, outcomes, runWave } from './given';

/** Text that only the person can have written. */
const PRIVATE = 'Ada Lovelace, 12 Main Street';

describe('a person', () => {
  const db = useDatabase('story');
  let stories: Stories;
  beforeAll(() => {
    stories = openStory({ url: db().url });
  });
  afterAll(() => stories.close());

  /** A story whose every text names the person, after a failed attempt, a rejected review and a failed gate. */
  const given = async (userId: string) => {
    const steps = [1, 2].map((wave) => ({
      name: PRIVATE,
      capability: 'coding',
      wave,
      description: PRIVATE,
      tasks: wave === 2 ? [PRIVATE] : [],
    }));
    const issue = { provider: 'GitHub', number: 1, owner: PRIVATE, repo: PRIVATE } as const;
    const text = { description: PRIVATE, repositoryPath: PRIVATE, worktreePath: PRIVATE, gitBranch: PRIVATE };
    const storyId = await givenStarted(stories, {
      ...{ userId, title: PRIVATE, issueUrl: PRIVATE, issue, steps, gateMode: 'PauseAlways', ...text },
    });
    await updateStory(stories, { storyId, pullRequestUrl: PRIVATE });
    await appendChat(stories, { storyId, role: 'user', content: PRIVATE, idempotencyKey: fresh('chat') });
    const { claimId, id: stepId } = await claimOne(stories, storyId);
    await failStep(stories, { claimId, error: PRIVATE });
    await retryStep(stories, { stepId });
    await runWave(stories, storyId);
    await reviewStep(stories, { stepId, approval: 'Approved', feedback: PRIVATE, by: userId });
    await decideGate(stories, { storyId, wave: 1, passed: false, feedback: PRIVATE, by: userId });
    return storyId;
  };

  const dump = async () =>
    JSON.stringify(
      await db().admin(
        `SELECT (SELECT jsonb_agg(to_jsonb(s)) FROM stories AS s) AS stories, (SELECT jsonb_agg(to_jsonb(s)) FROM story_steps AS s) AS steps,
           (SELECT jsonb_agg(to_jsonb(s)) FROM story_tasks AS s) AS tasks, (SELECT jsonb_agg(to_jsonb(s)) FROM step_attempts AS s) AS attempts,
           (SELECT jsonb_agg(to_jsonb(s)) FROM outbox AS s) AS outbox`,
      ),
    );

  it('is exported with stories, steps, tasks, attempts and the audit log', async () => {
    const userId = fresh('user');
    const [storyId] = [await given(userId), await given(fresh('other'))];

    const exported = await exportPerson(stories, userId);

    expect(exported['stories']).toMatchObject([{ id: storyId, title: PRIVATE }]);
    const counts = Object.fromEntries(Object.entries(exported).map(([list, rows]) => [list, rows.length]));
    expect(counts).toEqual({ stories: 1, steps: 2, tasks: 1, attempts: 2, auditLogs: 2 });
    expect(await exportPerson(stories, fresh('nobody'))).toEqual({
      stories: [],
      steps: [],
      tasks: [],
      attempts: [],
      auditLogs: [],
    });
  });

  it('is erased from every row: open stories are canceled, and no text is left', async () => {
    const [userId, other] = [fresh('user'), fresh('other')];
    const [open, kept, ended] = [await given(userId), await given(other), await given(userId)];
    await decideGate(stories, { storyId: ended, wave: 1, passed: true });
    const { claimId, ...step } = await claimOne(stories, ended);
    await failStep(stories, { claimId, error: PRIVATE });
    await skipStep(stories, { stepId: step.id });
    await recordVerification(stories, { storyId: ended, checks: [{ name: 'test', passed: true, output: PRIVATE }] });
    await completeStory(stories, { storyId: ended });

    expect(await erasePerson(stories, userId)).toEqual({ stories: 2, cancelled: 1 });

    expect(await getStory(stories, { storyId: open })).toMatchObject({
      title: 'Erased',
      userId: null,
      status: 'Cancelled',
    });
    expect(await getStory(stories, { storyId: ended })).toMatchObject({
      title: 'Erased',
      userId: null,
      status: 'Completed',
    });
    expect((await listStepAttempts(stories, { storyId: open })).items.map(({ error }) => error)).toEqual([null, null]);
    expect(await getStory(stories, { storyId: kept })).toMatchObject({ title: PRIVATE, userId: other });
    await erasePerson(stories, other);
    await db().admin(`DELETE FROM stories WHERE user_id IS NOT NULL`);
    expect(await dump()).not.toContain(PRIVATE);
    expect(await erasePerson(stories, userId)).toEqual({ stories: 0, cancelled: 0 });
    expect(await reconcile(stories)).toEqual([]);
  });

  it('is erased by one of several concurrent calls, and no worker ends a step of an erased story', async () => {
    const userId = fresh('user');
    const storyId = await given(userId);
    await decideGate(stories, { storyId, wave: 1, passed: true });
    const { claimId } = await claimOne(stories, storyId);

    const calls = await Promise.all(Array.from({ length: 4 }, () => erasePerson(stories, userId)));

    expect(calls.reduce((sum, erasure) => sum + erasure.stories, 0)).toBe(1);
    expect(await outcomes([failStep(stories, { claimId, error: PRIVATE })])).toEqual(['STORY.LEASE_LOST']);
  });
});
