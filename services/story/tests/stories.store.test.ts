import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  appendChat,
  beginAnalysis,
  beginPlanning,
  type CreateStoryInput,
  cancelStory,
  claimReadySteps,
  createStory,
  decideGate,
  failPlanning,
  getStory,
  listStories,
  listTasks,
  openStory,
  recordAnalysis,
  recordPlan,
  recordVerification,
  type Stories,
  startStory,
  updateStory,
} from '../src';
import { fresh, givenPlanned, givenStarted, outcomes, planOf, runWave } from './given';

const NOBODY = '00000000-0000-7000-8000-00000000000f';

describe('stories', () => {
  const db = useDatabase('story');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let stories: Stories;
  beforeAll(() => {
    stories = openStory({ url: db().url });
  });
  afterAll(() => stories.close());

  const create = (fields: Partial<CreateStoryInput> = {}) =>
    createStory(stories, { title: 'A story', idempotencyKey: fresh('key'), ...fields });

  describe('createStory', () => {
    it('keeps every field, and gives the others their defaults', async () => {
      const given = {
        title: 'Make transfers safe to repeat',
        description: 'Book once',
        repositoryPath: '/workspaces/azora',
        worktreePath: '/workspaces/azora-42',
        gitBranch: 'feature/42',
        issueUrl: 'https://github.com/azora/azora/issues/42',
        automationMode: 'Autonomous',
        dispatchTarget: 'InternalAgents',
        source: 'Guardian',
        sourceGuardianId: 'ci-guardian',
        userId: 'user-ada',
        priority: 'High',
        suggestedCapability: 'coding',
        gateMode: 'PauseAlways',
        maxParallelism: 2,
      } as const;
      const issue = { provider: 'GitHub', number: 42, owner: 'azora', repo: 'azora' } as const;

      const story = await create({ ...given, issue, pattern: { name: 'generate-tests', language: 'typescript' } });

      expect(story).toMatchObject({
        ...given,
        issueProvider: 'GitHub',
        issueNumber: 42,
        issueOwner: 'azora',
        issueRepo: 'azora',
        patternName: 'generate-tests',
        patternLanguage: 'typescript',
        status: 'Created',
        currentWave: 0,
        createdAt: clock.now(),
        updatedAt: clock.now(),
      });
      expect(await create()).toMatchObject({
        status: 'Created',
        automationMode: 'Assisted',
        dispatchTarget: 'CopilotCli',
        source: 'User',
        priority: 'Medium',
        gateMode: 'AutoProceed',
        maxParallelism: 4,
        userId: null,
        issueProvider: null,
      });
    });

    it('creates one story per key, and rejects another story under it', async () => {
      const idempotencyKey = fresh('key');
      const story = await create({ idempotencyKey });

      expect(await create({ idempotencyKey })).toEqual(story);
      await expect(create({ idempotencyKey, title: 'Another' })).rejects.toMatchObject({ code: 'STORY.KEY_REUSED' });
      await expect(
        appendChat(stories, { storyId: story.id, role: 'user', content: 'x', idempotencyKey }),
      ).rejects.toMatchObject({ code: 'STORY.KEY_REUSED' });
    });
  });

  describe('updateStory', () => {
    it('changes the given fields, clears those that are null, and keeps the others', async () => {
      const issue = { provider: 'AzureDevOps', number: 7, owner: 'azora', repo: 'core' } as const;
      const { id: storyId, ...before } = await create({ description: 'Old', pattern: { name: 'refactor' }, issue });
      await clock.move(1_000);

      const changed = await updateStory(stories, {
        storyId,
        title: 'New',
        description: null,
        issue: null,
        pattern: { name: 'port', language: 'go' },
        pullRequestUrl: 'https://github.com/azora/azora/pull/1',
      });

      expect(changed).toEqual({
        ...before,
        id: storyId,
        title: 'New',
        description: null,
        issueProvider: null,
        issueNumber: null,
        issueOwner: null,
        issueRepo: null,
        patternName: 'port',
        patternLanguage: 'go',
        pullRequestUrl: 'https://github.com/azora/azora/pull/1',
        updatedAt: clock.now(),
      });
      await clock.move(1_000);
      expect(await updateStory(stories, { storyId, title: 'New' })).toEqual(changed);
    });

    it('changes no story that has ended', async () => {
      const { id: storyId } = await create();
      await cancelStory(stories, { storyId });

      await expect(updateStory(stories, { storyId, title: 'New' })).rejects.toMatchObject({
        code: 'STORY.STORY_ENDED',
      });
      await expect(updateStory(stories, { storyId: NOBODY, title: 'New' })).rejects.toMatchObject({
        code: 'STORY.STORY_NOT_FOUND',
      });
    });
  });

  describe('the analysis and the plan', () => {
    it('lead from a created story to a planned one with steps and tasks', async () => {
      const { id: storyId } = await create();
      const steps = [
        { name: 'Choose the key', capability: 'design', wave: 1, description: 'One key', tasks: ['Read', 'Decide'] },
        { name: 'Write it', capability: 'coding', wave: 2 },
      ];
      const context = {
        summary: 'One function books',
        files: ['src/transfers.ts'],
        ragResults: [{ contentId: 'a', chunkIndex: 0, score: 0.9 }],
        codeNodes: [{ fullyQualifiedName: 'transfer', nodeType: 'Function' }],
      };

      expect(await beginAnalysis(stories, { storyId })).toMatchObject({ status: 'Analyzing' });
      const analyzed = await recordAnalysis(stories, { storyId, ...context });
      expect(analyzed).toMatchObject({ status: 'Analyzed', analyzedContext: context });
      expect(await recordAnalysis(stories, { storyId, ...context })).toEqual(analyzed);
      expect(await beginPlanning(stories, { storyId })).toMatchObject({ status: 'Planning' });
      const planned = await recordPlan(stories, { storyId, summary: 'Two waves', steps });
      expect(planned).toMatchObject({
        status: 'Planned',
        executionPlan: { summary: 'Two waves', steps },
        currentWave: 0,
      });
      expect(await recordPlan(stories, { storyId, summary: 'Two waves', steps })).toEqual(planned);

      const details = await getStory(stories, { storyId });
      expect(details.steps).toMatchObject([
        {
          order: 1,
          name: 'Choose the key',
          capability: 'design',
          description: 'One key',
          wave: 1,
          status: 'Pending',
          attempts: 0,
        },
        { order: 2, name: 'Write it', capability: 'coding', description: null, wave: 2, tasks: [] },
      ]);
      const [first] = details.steps;
      expect(first?.createdAt).toEqual(clock.now());
      expect(first?.tasks.map(({ order, description }) => [order, description])).toEqual([
        [1, 'Read'],
        [2, 'Decide'],
      ]);
      expect(await listTasks(stories, { stepId: first?.id ?? '' })).toEqual(first?.tasks);
    });

    it('replace an earlier plan until the story starts', async () => {
      const storyId = await givenPlanned(stories, { steps: planOf(1, 1, 1) });

      await beginPlanning(stories, { storyId });
      await recordPlan(stories, { storyId, steps: planOf(2) });

      expect((await getStory(stories, { storyId })).steps).toMatchObject([{ order: 1, wave: 2 }]);
      expect(await startStory(stories, { storyId })).toMatchObject({ status: 'Executing', currentWave: 2 });
      expect(await startStory(stories, { storyId })).toMatchObject({ status: 'Executing' });
      await expect(beginPlanning(stories, { storyId })).rejects.toMatchObject({
        code: 'STORY.ILLEGAL_TRANSITION',
        message: 'The story cannot go from Executing to Planning',
      });
      await expect(recordPlan(stories, { storyId, steps: planOf(1) })).rejects.toMatchObject({
        code: 'STORY.ILLEGAL_TRANSITION',
      });
    });

    it('can fail and begin again, but do not hide that the execution has failed', async () => {
      const { id: storyId } = await create();
      await beginAnalysis(stories, { storyId });

      expect(await failPlanning(stories, { storyId })).toMatchObject({ status: 'Failed', currentWave: 0 });
      expect(await failPlanning(stories, { storyId })).toMatchObject({ status: 'Failed' });
      expect(await beginPlanning(stories, { storyId })).toMatchObject({ status: 'Planning' });
      const started = await givenStarted(stories);
      await expect(failPlanning(stories, { storyId: started })).rejects.toMatchObject({
        code: 'STORY.ILLEGAL_TRANSITION',
      });
    });
  });

  describe('appendChat', () => {
    it('adds messages in order, once per key, dated by the database', async () => {
      const { id: storyId } = await create();
      const first = { storyId, role: 'user', content: 'Plan this', idempotencyKey: fresh('chat') } as const;
      await appendChat(stories, first);
      await clock.move(1_000);
      await appendChat(stories, { storyId, role: 'assistant', content: 'Done', idempotencyKey: fresh('chat') });

      const { chatHistory } = await appendChat(stories, first);

      expect(chatHistory).toEqual([
        { role: 'user', content: 'Plan this', at: '2026-03-01T12:00:00+00:00' },
        { role: 'assistant', content: 'Done', at: '2026-03-01T12:00:01+00:00' },
      ]);
    });

    it('rejects a message when the conversation has 1,000, or would be larger than 1 MB', async () => {
      const [{ id: full }, { id: large }] = await Promise.all([create(), create()]);
      await db().admin(
        `UPDATE stories SET chat_history = (SELECT jsonb_agg('{"role": "user"}'::jsonb) FROM generate_series(1, 1000)) WHERE id = $1`,
        [full],
      );
      await db().admin(`UPDATE stories SET chat_history = jsonb_build_array(repeat('x', 990000)) WHERE id = $1`, [
        large,
      ]);

      const add = (storyId: string, content: string) =>
        appendChat(stories, { storyId, role: 'user', content, idempotencyKey: fresh('chat') });
      await expect(add(full, 'x')).rejects.toMatchObject({ code: 'STORY.CHAT_FULL' });
      await expect(add(large, 'x'.repeat(20_000))).rejects.toMatchObject({ code: 'STORY.CHAT_FULL' });
      // Quotes take two bytes in JSON.
      await expect(add(large, '"'.repeat(5_000))).rejects.toMatchObject({ code: 'STORY.CHAT_FULL' });
      await add(large, 'x');
    });
  });

  it('are listed by every filter, page by page, newest first', async () => {
    await db().admin('DELETE FROM stories');
    const fields = {
      userId: 'user-list',
      repositoryPath: '/list',
      priority: 'Critical',
      issueUrl: 'https://issues/1',
    } as const;
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      await clock.move(1);
      ids.unshift((await create({ ...fields, source: 'System' })).id);
    }
    await create();

    const filters = { ...fields, source: 'System', statuses: ['Created', 'Planned'] } as const;
    const first = await listStories(stories, { ...filters, limit: 2 });
    const second = await listStories(stories, { ...filters, limit: 2, cursor: first.nextCursor ?? '' });
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids);
    expect(second.nextCursor).toBeNull();
    expect((await listStories(stories)).items).toHaveLength(4);
    for (const other of [
      { userId: 'x' },
      { priority: 'Low' },
      { statuses: ['Failed'] },
      { source: 'Guardian' },
    ] as const) {
      expect((await listStories(stories, { ...filters, ...other })).items).toEqual([]);
    }
  });

  const story = { title: 'x', idempotencyKey: 'bad' };
  const at = { storyId: NOBODY };
  const step = { name: 'x', capability: 'x', wave: 1 };
  const check = { name: 'x', passed: true };
  it.each<readonly [name: string, field: string, call: () => Promise<unknown>]>([
    ['a blank title', 'title', () => createStory(stories, { ...story, title: ' ' })],
    ['a NUL', 'title', () => createStory(stories, { ...story, title: 'a\0b' })],
    ['an unpaired surrogate', 'description', () => createStory(stories, { ...story, description: '\ud800' })],
    [
      'a guardian without the source',
      'sourceGuardianId',
      () => createStory(stories, { ...story, sourceGuardianId: 'x' }),
    ],
    ['no parallelism', 'maxParallelism', () => createStory(stories, { ...story, maxParallelism: 0 })],
    ['a fraction', 'maxParallelism', () => createStory(stories, { ...story, maxParallelism: 1.5 })],
    [
      'an issue without its owner',
      'issue',
      () => createStory(stories, { ...story, issue: { provider: 'GitHub', number: 1 } as never }),
    ],
    ['an unknown field', 'input', () => createStory(stories, { ...story, status: 'Completed' } as never)],
    ['an id that is no UUID', 'storyId', () => getStory(stories, { storyId: 'x' })],
    ['a wave 0', 'steps', () => recordPlan(stories, { ...at, steps: [{ ...step, wave: 0 }] })],
    ['no step', 'steps', () => recordPlan(stories, { ...at, steps: [] })],
    ['501 steps', 'steps', () => recordPlan(stories, { ...at, steps: Array(501).fill(step) })],
    [
      'an unknown field of a step',
      'steps',
      () => recordPlan(stories, { ...at, steps: [{ ...step, status: 'Completed' } as never] }),
    ],
    [
      'NaN',
      'ragResults',
      () => recordAnalysis(stories, { ...at, ragResults: [{ contentId: 'x', chunkIndex: 0, score: Number.NaN }] }),
    ],
    ['a file that is a number', 'files', () => recordAnalysis(stories, { ...at, files: [7 as never] })],
    [
      'an unknown role',
      'role',
      () => appendChat(stories, { ...at, role: 'tool' as never, content: 'x', idempotencyKey: 'bad' }),
    ],
    ['no check', 'checks', () => recordVerification(stories, { ...at, checks: [] })],
    [
      'a check without an outcome',
      'checks',
      () => decideGate(stories, { ...at, wave: 1, passed: true, checks: [{ name: 'x' } as never] }),
    ],
    [
      'feedback that is too long',
      'feedback',
      () => decideGate(stories, { ...at, wave: 1, passed: true, feedback: 'x'.repeat(20_001), checks: [check] }),
    ],
    ['a lease of two days', 'leaseMs', () => claimReadySteps(stories, { agentId: 'x', leaseMs: 172_800_000 })],
    ['an agent with spaces', 'agentId', () => claimReadySteps(stories, { agentId: 'a b' })],
    ['a forged cursor', 'cursor', () => listStories(stories, { cursor: Buffer.from('1 x').toString('base64url') })],
    ['a page of 201', 'limit', () => listStories(stories, { limit: 201 })],
  ])('reject %s by one error with a next step', async (_name, field, call) => {
    await expect(call()).rejects.toMatchObject({
      code: 'STORY.INVALID_INPUT',
      kind: 'usage',
      meta: { fields: [field] },
      next: 'Correct these fields and call again',
    });
    expect(await outcomes([call()])).toEqual(['STORY.INVALID_INPUT']);
  });

  it('that are read while steps run show one moment', async () => {
    const storyId = await givenStarted(stories, { steps: planOf(1, 2) });
    await runWave(stories, storyId);

    const { status, currentWave, steps } = await getStory(stories, { storyId });
    expect([status, currentWave, steps.map((it) => it.status)]).toEqual(['Executing', 2, ['Completed', 'Pending']]);
    await expect(getStory(stories, { storyId: NOBODY })).rejects.toMatchObject({ code: 'STORY.STORY_NOT_FOUND' });
  });
});
