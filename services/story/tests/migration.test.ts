import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { claimReadySteps, completeStep, getStory, openStory, reconcile } from '../src';

const FOLDER = path.join(repositoryRoot(), 'services/story/prisma/migrations');
const ADDED = ['orchestration', 'planning', 'execution', 'person'];
const [RUNNING, FINISHED, FAILED, VERIFIED] = [1, 2, 3, 4].map((n) => `00000000-0000-7000-8000-00000000000${n}`);

describe('the migrations of the store', () => {
  const db = useDatabase('story');
  const run = async (ending: string, file: 'migration.sql' | 'down.sql') => {
    const name = readdirSync(FOLDER).find((it) => it.endsWith(`_${ending}`)) ?? '';
    await db().admin(`BEGIN; ${readFileSync(path.join(FOLDER, name, file), 'utf8')}; COMMIT`);
  };

  it('take over the stories of an earlier version: running steps can be claimed, and statuses follow from the steps', async () => {
    for (const ending of ADDED.toReversed()) await run(ending, 'down.sql');
    await db().admin(`
      INSERT INTO stories (id, title, status, current_wave, completed_at, verification_passed, verification_result) VALUES
        ('${RUNNING}', 'x', 'ReadyToComplete', 1, NULL, NULL, NULL), ('${FINISHED}', 'x', 'Executing', 1, NULL, NULL, NULL),
        ('${FAILED}', 'x', 'Failed', 1, now(), NULL, NULL), ('${VERIFIED}', 'x', 'Created', 0, NULL, true, '{"passed": false}');
      INSERT INTO story_steps (story_id, "order", name, capability, wave, status, attempts, assigned_agent_id, started_at, completed_at) VALUES
        ('${RUNNING}', 1, 'x', 'x', 1, 'Completed', 3, 'agent', now(), now()), ('${RUNNING}', 2, 'x', 'x', 1, 'Running', 0, NULL, NULL, NULL),
        ('${FINISHED}', 1, 'x', 'x', 1, 'Completed', 1, 'agent', now(), now()),
        ('${FAILED}', 1, 'x', 'x', 1, 'Failed', 1, 'agent', now(), now())`);

    for (const ending of ADDED) await run(ending, 'migration.sql');

    // The role has its rights from the last run of the toolkit; the administrator reads and claims here.
    const stories = openStory({ url: db().target.admin.href });
    const statusOf = async (storyId = '') => (await getStory(stories, { storyId })).status;
    expect(await Promise.all([RUNNING, FINISHED, FAILED].map(statusOf))).toEqual([
      'Executing',
      'ReadyToComplete',
      'Failed',
    ]);
    expect(await getStory(stories, { storyId: VERIFIED ?? '' })).toMatchObject({ verificationPassed: false });
    expect(await reconcile(stories)).toEqual([]);
    const [step] = await claimReadySteps(stories, { agentId: 'agent' });
    expect(step).toMatchObject({ storyId: RUNNING, order: 2, attempts: 2, lapses: 1 });
    await completeStep(stories, { claimId: step?.claimId ?? '' });
    expect(await statusOf(RUNNING)).toBe('ReadyToComplete');
    await stories.close();
  });
});
