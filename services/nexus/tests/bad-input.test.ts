/** @server any */
import { useDatabase } from '@azora/db-testkit';
import * as store from '../src';
import { type Nexus, openNexus } from '../src';
import { click, givenCourses } from './given';

type Fields = Readonly<Record<string, unknown>>;
type Values = readonly (readonly [string, unknown])[];
type Operation = (nexus: Nexus, input: never) => Promise<unknown>;

const TEXTS: Values = [
  ['10 MB of text', 'x'.repeat(10_000_000)],
  ['a NUL byte', 'a\0b'],
  ['half of a surrogate pair', 'a\ud800b'],
  ['an empty string', ''],
  ['blanks', '  '],
  ['a number', 7],
  ['null', null],
  ['an object', { toString: () => 'x' }],
];
const IDS: Values = [...TEXTS, ['SQL', "'; DROP TABLE items; --"], ['a line feed', 'a\n']];
const TYPES: Values = [...IDS, ['upper case', 'Course']];
const LIMITS: Values = [0, -1, 1.5, 10_001, Number.NaN, '5', null].map((value) => [String(value), value] as const);
const CURSORS: Values = [
  ...TEXTS,
  ['a time before PostgreSQL', Buffer.from('-999999999999999999 1').toString('base64url')],
];
const FLAGS: Values = [
  ['text', 'yes'],
  ['null', null],
];
const OBJECTS: Values = [
  ['a list', []],
  ['text', 'x'],
  ['null', null],
  ['a NUL byte', { a: 'b\0' }],
  ['a NUL byte in a name', { 'a\0': 1 }],
  ['NaN', { a: Number.NaN }],
  ['a function', { a: () => 1 }],
  ['a date', { a: new Date(0) }],
  ['20 KB', { a: 'x'.repeat(20_000) }],
];
const TOPICS: Values = [
  ['text', 'a'],
  ['blank ones', [' ']],
  ['51', Array.from({ length: 51 }, (_, n) => `t${n}`)],
  ['a NUL byte', ['a\0']],
  ['null', null],
];
const LOCALES: Values = [...IDS, ['words', 'english please']];

const ITEM = { itemType: TYPES, itemId: IDS };
const PAGE = { limit: [...LIMITS, ['201', 201] as const], cursor: CURSORS };
const ADA = { userId: 'ada' };
const ONE = { ...ADA, recommendationId: 'x' };

/** Invalid elements of a list, which the field of the list is blamed for. */
const elements = (good: Fields, bad: Readonly<Record<string, Values>>): Values => [
  ['nothing', []],
  ['no list', good],
  ['an unknown field', [{ ...good, stranger: 1 }]],
  ...Object.entries(bad).flatMap(([field, values]) =>
    values.map(([what, value]) => [`${field} with ${what}`, [{ ...good, [field]: value }]] as const),
  ),
];
const PYTHON = { itemType: 'course', itemId: 'python' };

/** Each function with valid input, and invalid values of its fields. */
const CALLS: Readonly<Record<string, readonly [Operation, Fields, Readonly<Record<string, Values>>]>> = {
  saveProfile: [
    store.saveProfile,
    ADA,
    { userId: IDS, interests: TOPICS, preferences: OBJECTS, locale: LOCALES, personalized: FLAGS },
  ],
  findProfile: [store.findProfile, ADA, { userId: IDS }],
  getProfile: [store.getProfile, ADA, { userId: IDS }],
  listProfiles: [store.listProfiles, {}, PAGE],
  saveItems: [
    store.saveItems,
    { items: [PYTHON] },
    {
      items: [
        ...elements(PYTHON, {
          ...ITEM,
          tags: TOPICS,
          locale: LOCALES.filter(([what]) => what !== 'null'),
          isAvailable: FLAGS,
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
    { ...PAGE, itemType: TYPES, cursor: [...CURSORS, ['of another list', Buffer.from('1 abc').toString('base64url')]] },
  ],
  listSimilarItems: [store.listSimilarItems, PYTHON, { ...ITEM, itemTypes: [['none', []]], limit: LIMITS }],
  track: [
    store.track,
    { interactions: [click('ada', 'python')] },
    {
      interactions: elements(click('ada', 'python') as unknown as Fields, {
        ...{ userId: IDS, eventId: TEXTS, ...ITEM, kind: [['other', 'stare']] },
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
      }),
    },
  ],
  listInteractions: [store.listInteractions, ADA, { userId: IDS, kind: [['other', 'stare']], ...PAGE }],
  recommend: [
    store.recommend,
    ADA,
    {
      userId: IDS,
      limit: LIMITS,
      expiresIn: [...LIMITS.filter(([what]) => what !== '10001'), ['a year', 365 * 86_400_000] as const],
      context: [
        ['text', 'x'],
        ['an unknown field', { stranger: 1 }],
        ...TEXTS.map(([what, page]) => [`page with ${what}`, { page }] as const),
        ['no types', { itemTypes: [] }],
        ...TOPICS.map(([what, tags]) => [`tags with ${what}`, { tags }] as const),
      ],
    },
  ],
  markShown: [
    store.markShown,
    { ...ADA, recommendationIds: ['x'] },
    { userId: IDS, recommendationIds: [['none', []], ...IDS.map(([what, id]) => [what, [id]] as const)] },
  ],
  getRecommendation: [store.getRecommendation, ONE, { userId: IDS, recommendationId: IDS }],
  acceptRecommendation: [store.acceptRecommendation, ONE, { userId: IDS, recommendationId: IDS }],
  dismissRecommendation: [store.dismissRecommendation, ONE, { userId: IDS, recommendationId: IDS }],
  listRecommendations: [store.listRecommendations, ADA, { userId: IDS, status: [['other', 'x']], ...PAGE }],
  refreshProfiles: [store.refreshProfiles, {}, { limit: LIMITS }],
  expireRecommendations: [store.expireRecommendations, {}, { limit: LIMITS }],
  pruneHistory: [store.pruneHistory, {}, { limit: LIMITS }],
  recordAudit: [
    store.recordAudit,
    { action: 'profile.viewed' },
    {
      action: [...TEXTS, ['a space', 'a b'], ['upper case', 'Viewed']],
      userId: IDS,
      resourceType: TEXTS,
      resourceId: TEXTS,
      details: OBJECTS,
      ipAddress: [...TEXTS, ['no address', '1.2.3']],
      userAgent: TEXTS,
    },
  ],
  listAudit: [store.listAudit, {}, { userId: IDS, action: [['a space', 'a b']], ...PAGE }],
};

describe('invalid input', () => {
  const db = useDatabase('nexus');
  let nexus: Nexus;
  beforeAll(async () => {
    nexus = openNexus({ url: db().url });
    await givenCourses(nexus, 'ada', ['python']);
  });
  afterAll(() => nexus.close());

  const dump = () =>
    db().admin(
      `SELECT ${['user_profiles', 'interactions', 'items', 'profile_items', 'recommendations', 'audit_logs', 'outbox']
        .map((table) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${table} AS t) AS ${table}`)
        .join(', ')}`,
    );

  it.each(Object.keys(CALLS))('of %s is rejected with the name of the field, and changes nothing', async (name) => {
    const [operation, good, bad] = CALLS[name] ?? [];
    const before = await dump();
    const wrong: string[] = [];
    for (const [field, values] of Object.entries({ ...bad, stranger: [['a field', 1]] as Values })) {
      for (const [what, value] of values) {
        const ended = await operation?.(nexus, { ...good, [field]: value } as never).then(
          () => 'accepted',
          (error) => `${error.code} ${error.meta?.fields}`,
        );
        const expected = `NEXUS.INVALID_INPUT ${field === 'stranger' ? 'input' : field}`;
        if (ended !== expected) wrong.push(`${field} with ${what}: ${ended}`);
      }
    }

    expect(wrong).toEqual([]);
    expect(await dump()).toEqual(before);
  });

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
    for (const [, id] of IDS) {
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
