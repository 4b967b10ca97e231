/** @server any */
import { useDatabase } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import {
  acceptRecommendation,
  dismissRecommendation,
  EVENTS,
  erasePerson,
  type Nexus,
  openNexus,
  recommend,
  saveItems,
  saveProfile,
} from '../src';
import { fresh, givenCourses, refreshAll } from './given';

/** Text of a person, which no event repeats. */
const SECRET = 'Lovelace';

describe('the events of nexus', () => {
  const db = useDatabase('nexus');
  let nexus: Nexus;
  beforeAll(() => {
    nexus = openNexus({ url: db().url });
  });
  afterAll(() => nexus.close());

  const published = () => db().admin('SELECT type, key, payload FROM outbox ORDER BY position');

  it('are of every type, fit their schemas, have the key of their type, and repeat no text', async () => {
    await saveItems(nexus, { items: [{ itemType: 'course', itemId: 'python', tags: [SECRET] }] });
    await givenCourses(nexus, 'ben', ['python', 'sql', 'react'], { context: { page: SECRET } });
    await refreshAll(nexus);
    await saveProfile(nexus, {
      userId: 'ada',
      interests: [SECRET],
      preferences: { name: SECRET },
      personalized: false,
    });
    const [first, second] = await recommend(nexus, { userId: 'ada', context: { page: SECRET } });
    await acceptRecommendation(nexus, { userId: 'ada', recommendationId: first?.id ?? '' });
    await dismissRecommendation(nexus, { userId: 'ada', recommendationId: second?.id ?? '' });
    await erasePerson(nexus, 'ada');

    const found = await published();
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const types = new Map(EVENTS.map((event) => [event.type, event as (typeof EVENTS)[number]]));
    const faults = found.filter(({ type, key, payload }) => {
      const event = types.get(String(type));
      return event === undefined || !ajv.validate(event.jsonSchema, payload) || event.key(payload as never) !== key;
    });

    expect(faults).toEqual([]);
    expect([...new Set(found.map(({ type }) => String(type)))].sort()).toEqual(EVENTS.map(({ type }) => type).sort());
    expect(JSON.stringify(found)).not.toMatch(/lovelace/i);
    expect(found.filter(({ key }) => key === 'ada').map(({ type }) => String(type).split('.')[1])).toEqual([
      'profile-created',
      'profile-changed',
      'recommended',
      'recommendation-answered',
      'recommendation-answered',
      'profile-erased',
    ]);
  });

  it('name what changed, and what was recommended anew', async () => {
    const userId = fresh('eve');
    await saveProfile(nexus, { userId, locale: 'pt', interests: ['a'] });
    const made = await recommend(nexus, { userId, limit: 2 });
    await recommend(nexus, { userId, limit: 2 });

    const [, changed, recommended, ...rest] = (await published()).filter(({ key }) => key === userId);

    expect(changed?.['payload']).toMatchObject({ userId, fields: ['interests', 'locale'] });
    const recommendationIds = made.map(({ id }) => id).sort();
    expect(recommended?.['payload']).toEqual({ userId, recommendationIds });
    expect(rest).toEqual([]);
  });

  it('are not published by a call that is repeated or rejected', async () => {
    const userId = fresh('eve');
    await saveProfile(nexus, { userId, interests: ['a'] });
    const [made] = await recommend(nexus, { userId, limit: 1 });
    const asked = { userId, recommendationId: made?.id ?? '' };
    await acceptRecommendation(nexus, asked);
    const before = await published();

    await saveProfile(nexus, { userId, interests: ['A'] });
    await acceptRecommendation(nexus, asked);
    await dismissRecommendation(nexus, asked).catch(() => undefined);
    await refreshAll(nexus);
    await erasePerson(nexus, 'nobody');

    expect(await published()).toEqual(before);
  });
});
