/** @server any */
import {
  acceptedInput,
  BAD,
  type BadCall,
  type BadValues,
  badElements,
  outcomeOfGood,
  rowsOf,
  useDatabase,
} from '@azora/db-testkit';
import * as store from '../src';
import { type Nexus, openNexus } from '../src';
import { click, givenCourses } from './given';

const TYPES: BadValues = [...BAD.ids, ['upper case', 'Course']];
const OBJECTS: BadValues = [
  ...BAD.objects,
  ['null', null],
  ['NaN', { a: Number.NaN }],
  ['a function', { a: () => 1 }],
  ['a date', { a: new Date(0) }],
];
const TOPICS: BadValues = [
  ['text', 'a'],
  ['blank ones', [' ']],
  ['51', Array.from({ length: 51 }, (_, n) => `t${n}`)],
  ['a NUL byte', ['a\0']],
  ['null', null],
];
const LOCALES: BadValues = [...BAD.ids, ['words', 'english please']];

const ITEM = { itemType: TYPES, itemId: BAD.ids };
const PAGE = { limit: [...BAD.limits, ['201', 201] as const], cursor: BAD.cursors };
const ADA = { userId: 'ada' };
const ONE = { ...ADA, recommendationId: 'x' };

const PYTHON = { itemType: 'course', itemId: 'python' };

/** Each function with valid input, and invalid values of its fields. */
const CALLS: Readonly<Record<string, BadCall<Nexus>>> = {
  saveProfile: [
    store.saveProfile,
    ADA,
    { userId: BAD.ids, interests: TOPICS, preferences: OBJECTS, locale: LOCALES, personalized: BAD.flags },
  ],
  findProfile: [store.findProfile, ADA, { userId: BAD.ids }],
  getProfile: [store.getProfile, ADA, { userId: BAD.ids }],
  listProfiles: [store.listProfiles, {}, PAGE],
  saveItems: [
    store.saveItems,
    { items: [PYTHON] },
    {
      items: [
        ['nothing', []],
        ...badElements(PYTHON, {
          ...ITEM,
          tags: TOPICS,
          locale: LOCALES.filter(([what]) => what !== 'null'),
          isAvailable: BAD.flags,
        }),
        ['an item twice', [PYTHON, PYTHON]],
        ['10,001', Array.from({ length: 10_001 }, (_, n) => ({ ...PYTHON, itemId: `c${n}` }))],
      ],
    },
  ],
  getItem: [store.getItem, PYTHON, ITEM],
  listItems: [
    store.listItems,
    {},
    {
      ...PAGE,
      itemType: TYPES,
      cursor: [...BAD.cursors, ['of another list', Buffer.from('1 abc').toString('base64url')]],
    },
  ],
  listSimilarItems: [store.listSimilarItems, PYTHON, { ...ITEM, itemTypes: [['none', []]], limit: BAD.limits }],
  track: [
    store.track,
    { interactions: [click('ada', 'python')] },
    {
      interactions: badElements(
        { ...click('ada', 'python') },
        {
          ...{ userId: BAD.ids, eventId: BAD.texts, ...ITEM, kind: [['other', 'stare']] },
          rating: [
            ['of a click', 5],
            ['text', '5'],
          ],
          durationMs: [
            ['a negative time', -1],
            ['a fraction', 0.5],
            ['a month', 30 * 86_400_000],
          ],
          occurredAt: [
            ['text', '2026-01-01'],
            ['no time', new Date(Number.NaN)],
            ['the year 10000', new Date('+010000-01-01T00:00:00Z')],
            ['the future', new Date('9999-01-01')],
            ['long ago', new Date('1970-01-01')],
          ],
          context: OBJECTS,
        },
      ),
    },
  ],
  listInteractions: [store.listInteractions, ADA, { userId: BAD.ids, kind: [['other', 'stare']], ...PAGE }],
  recommend: [
    store.recommend,
    ADA,
    {
      userId: BAD.ids,
      limit: BAD.limits,
      expiresIn: [...BAD.limits.filter(([what]) => what !== '10001'), ['a year', 365 * 86_400_000] as const],
      context: [
        ['text', 'x'],
        ['an unknown field', { stranger: 1 }],
        ...BAD.texts.map(([what, page]) => [`page with ${what}`, { page }] as const),
        ['no types', { itemTypes: [] }],
        ...TOPICS.map(([what, tags]) => [`tags with ${what}`, { tags }] as const),
      ],
    },
  ],
  markShown: [
    store.markShown,
    { ...ADA, recommendationIds: ['x'] },
    { userId: BAD.ids, recommendationIds: [['none', []], ...BAD.ids.map(([what, id]) => [what, [id]] as const)] },
  ],
  getRecommendation: [store.getRecommendation, ONE, { userId: BAD.ids, recommendationId: BAD.ids }],
  acceptRecommendation: [store.acceptRecommendation, ONE, { userId: BAD.ids, recommendationId: BAD.ids }],
  dismissRecommendation: [store.dismissRecommendation, ONE, { userId: BAD.ids, recommendationId: BAD.ids }],
  listRecommendations: [store.listRecommendations, ADA, { userId: BAD.ids, status: [['other', 'x']], ...PAGE }],
  refreshProfiles: [store.refreshProfiles, {}, { limit: BAD.limits }],
  expireRecommendations: [store.expireRecommendations, {}, { limit: BAD.limits }],
  pruneHistory: [store.pruneHistory, {}, { limit: BAD.limits }],
  recordAudit: [
    store.recordAudit,
    { action: 'profile.viewed' },
    {
      action: [...BAD.texts, ['a space', 'a b'], ['upper case', 'Viewed']],
      userId: BAD.ids,
      resourceType: BAD.texts,
      resourceId: BAD.texts,
      details: OBJECTS,
      ipAddress: [...BAD.texts, ['no address', '1.2.3']],
      userAgent: BAD.texts,
    },
  ],
  listAudit: [store.listAudit, {}, { userId: BAD.ids, action: [['a space', 'a b']], ...PAGE }],
};

describe('invalid input', () => {
  const db = useDatabase('nexus');
  let nexus: Nexus;
  beforeAll(async () => {
    nexus = openNexus({ url: db().url });
    await givenCourses(nexus, 'ada', ['python']);
  });
  afterAll(() => nexus.close());

  it.each(Object.entries(CALLS))(
    'of %s is rejected with the name of the field, and changes nothing',
    async (_, call) => {
      const before = await rowsOf(db());

      expect(await acceptedInput(nexus, 'NEXUS.INVALID_INPUT', call)).toEqual([]);
      expect(await rowsOf(db())).toEqual(before);
      expect(await outcomeOfGood(nexus, call)).not.toBe('NEXUS.INVALID_INPUT');
    },
  );

  it('of a rating is one without its stars, and of tags those that are too long together', async () => {
    await expect(store.track(nexus, { interactions: [{ ...click('ada', 'x'), kind: 'rate' }] })).rejects.toMatchObject({
      code: 'NEXUS.INVALID_INPUT',
    });
    const tags = Array.from({ length: 50 }, (_, n) => `${n}`.padEnd(100, '語'));
    await expect(store.saveItems(nexus, { items: [{ ...PYTHON, tags }] })).rejects.toMatchObject({
      code: 'NEXUS.INVALID_INPUT',
      meta: { fields: ['items'] },
    });
  });

  it('of the functions about a person is rejected', async () => {
    for (const [, id] of BAD.ids) {
      for (const call of [store.exportPerson(nexus, id as string), store.erasePerson(nexus, id as string)])
        await expect(call).rejects.toMatchObject({ code: 'NEXUS.INVALID_INPUT' });
    }
  });

  it('is tested for every function with input', () => {
    const others = ['openNexus', 'reconcile', 'exportPerson', 'erasePerson'];
    const functions = Object.entries(store).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));

    expect(functions.filter((name) => /^[a-z]/.test(name) && !others.includes(name)).sort()).toEqual(
      Object.keys(CALLS).sort(),
    );
  });
});
