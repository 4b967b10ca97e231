/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { claimReadySteps, getStory, listStories, openStory, reconcile } from '../src';

const NOW = new Date('2026-10-01T00:00:00Z');
const person = (id: string) => ({
  id,
  email: '',
  name: 'Ada',
  role: 'student' as const,
  city: '',
  country: '',
  bio: '',
});
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  password: '',
  services: [],
  repositoryRoot: '',
};

describe('the seed of story', () => {
  const db = useDatabase('story');

  it('has a story in its second wave whose steps a worker can claim, also when it runs twice', async () => {
    for (const now of [NOW, new Date('2026-10-05T00:00:00Z')]) {
      const handle = seed.open({ url: db().target.admin.href });
      await seed.base(handle, { ...CONTEXT, now });
      await handle.close();
    }
    const stories = openStory({ url: db().url });
    const { items } = await listStories(stories);
    const storyId = items[0]?.id ?? '';

    expect(items).toMatchObject([{ status: 'Executing', currentWave: 2, userId: 'm' }]);
    expect(await reconcile(stories)).toEqual([]);
    const claimed = await claimReadySteps(stories, { storyId, agentId: 'agent', limit: 5 });
    expect(claimed.map(({ order, attempts }) => [order, attempts])).toEqual([
      [3, 2],
      [4, 2],
    ]);
    const { steps } = await getStory(stories, { storyId });
    expect(steps[2]?.tasks.map(({ status }) => status)).toEqual(['Completed', 'Pending']);
    await stories.close();
  });

  it('adds blocks of stories that agree with their steps', async () => {
    const client = new Client(db().target.admin.href);
    await client.connect();
    await client.query('BEGIN');
    for (const rows of seed.volume({ firstUser: 0, userCount: 300, now: NOW })) {
      await writeRows(client, capabilitiesOf('PostgreSQL 18'), rows);
    }
    await client.query('COMMIT');
    await client.end();
    const stories = openStory({ url: db().url });

    expect(await reconcile(stories)).toEqual([]);
    expect(
      await db().app(`SELECT count(DISTINCT s.id)::int AS stories, count(*)::int AS attempts
        FROM stories AS s JOIN step_attempts AS a ON a.story_id = s.id WHERE s.title LIKE 'Story %'`),
    ).toEqual([{ stories: 150, attempts: 450 }]);
    await stories.close();
  });
});
