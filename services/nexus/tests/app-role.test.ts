import { useDatabase } from '@azora/db-testkit';
import { type Nexus, openNexus, recommend, reconcile } from '../src';
import { givenCourses, refreshAll } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = ['user_profiles', 'interactions', 'items', 'profile_items', 'item_pairs', 'recommendations', 'outbox'];

/** An interaction as track() passes it on. */
const EVENT = { id: 'n', userId: 'eve', eventId: 'e', kind: 'view', itemType: 'course', itemId: 'python', context: {} };
const tracked = (change: object, profiles = [{ id: 'p', userId: 'eve' }]) =>
  `SELECT track_interactions('${JSON.stringify(profiles)}', '${JSON.stringify([{ ...EVENT, ...change }])}')`;

describe('the app role with its own SQL', () => {
  const db = useDatabase('nexus');
  let nexus: Nexus;
  let ids: Readonly<Record<string, string>> = {};
  beforeAll(async () => {
    nexus = openNexus({ url: db().url });
    for (const userId of ['ada', 'ben']) await givenCourses(nexus, userId, ['python', 'sql']);
    await refreshAll(nexus);
    await givenCourses(nexus, 'eve', ['python']);
    await refreshAll(nexus);
    const [made] = await recommend(nexus, { userId: 'eve' });
    ids = { recommendation: made?.id ?? '' };
  });
  afterEach(async () => {
    expect(await reconcile(nexus)).toEqual([]);
  });
  afterAll(() => nexus.close());

  const dump = async () => {
    const lists = [...TABLES, 'audit_logs'].map(
      (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
    );
    return JSON.stringify(await db().admin(`SELECT ${lists.join(', ')}`));
  };

  it.each(TABLES)('only reads %s', async (table) => {
    const before = await dump();
    for (const sql of [
      `DELETE FROM ${table}`,
      `TRUNCATE ${table} CASCADE`,
      `INSERT INTO ${table} DEFAULT VALUES`,
      `UPDATE ${table} SET ${table === 'item_pairs' ? 'weight = 1' : 'created_at = now()'}`,
    ]) {
      await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });
    }
    expect(await dump()).toBe(before);
  });

  it.each([
    ['SELECT count_profiles(ARRAY(SELECT id FROM user_profiles))', NO_RIGHT],
    [`SELECT lock_profiles('[{"id": "x", "userId": "x"}]', now())`, NO_RIGHT],
    ["SELECT add_items('{course}', '{x}', now())", NO_RIGHT],
    [
      "SELECT relearn_items(ARRAY(SELECT id FROM user_profiles), '{course,course,course}', '{python,python,python}')",
      NO_RIGHT,
    ],
    ["SELECT nextval('items_id_seq')", NO_RIGHT],
    ["CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'", NO_RIGHT],
    ['ALTER TABLE interactions DISABLE TRIGGER ALL', NO_RIGHT],
    ["SET session_replication_role = 'replica'", NO_RIGHT],
    ["SELECT answer_recommendation('ada', '{recommendation}', 'accepted', 'x')", 'AZ001'],
    ["SELECT answer_recommendation(NULL, '{recommendation}', 'accepted', 'x')", 'AZ001'],
    ["SELECT answer_recommendation('eve', '{recommendation}', 'pending', 'x')", 'AZ001'],
    ["SELECT answer_recommendation('eve', '{recommendation}', 'expired', 'x')", 'AZ001'],
    ["SELECT answer_recommendation('eve', '{recommendation}', NULL, 'x')", 'AZ001'],
    ["SELECT answer_recommendation('eve', '{recommendation}', 'accepted', NULL)", '23502'],
    ["SELECT show_recommendations('ada', '{{recommendation}}')", 'AZ001'],
    ["SELECT recommend_items('x', NULL, '{a}', '{}', '1 day')", '23502'],
    ["SELECT recommend_items('x', 'eve', '{a}', '{}', '-1 day')", '23514'],
    [`SELECT save_profile('x', 'eve', '{"locale": "not a language"}', 'a')`, '23514'],
    [`SELECT save_items('[{"itemType": "course", "itemId": "python", "locale": "!"}]')`, '23514'],
    [tracked({ occurredAt: '2999-01-01' }), 'AZ001'],
    [tracked({ occurredAt: 'infinity' }), 'AZ001'],
    [tracked({ occurredAt: '1970-01-01' }), 'AZ001'],
    [tracked({ eventId: null }), 'AZ001'],
    [tracked({ eventId: ' ' }), '23514'],
    [tracked({ userId: 'ben' }), 'AZ001'],
    [tracked({ kind: 'stare' }), '23514'],
    [tracked({ rating: 5 }), '23514'],
    [tracked({ kind: 'rate', rating: 500 }), '23514'],
    [tracked({ context: [] }), '23514'],
  ])('cannot run: %s', async (sql, code) => {
    const before = await dump();

    const filled = sql.replace(/\{(\w+)\}/g, (all, name) => ids[name] ?? all);
    await expect(db().app(filled)).rejects.toMatchObject({ code });

    expect(await dump()).toBe(before);
  });

  it('counts an item once, however often an event has a name that the catalog cannot hold', async () => {
    await db().app(tracked({ itemId: 'a b', eventId: 'strange' }));

    expect(await db().admin("SELECT FROM items WHERE item_id = 'a b'")).toEqual([]);
  });

  it('refreshes at most 1000 profiles in a call, and none that does not wait', async () => {
    await refreshAll(nexus);

    expect(await db().app('SELECT refresh_profiles(NULL) AS done')).toEqual([{ done: 0 }]);
  });

  const STATUSES = ['pending', 'shown', 'accepted', 'dismissed', 'expired'];
  const ALLOWED = [
    ...['pending>shown', 'pending>accepted', 'pending>dismissed', 'pending>expired'],
    ...['shown>accepted', 'shown>dismissed', 'shown>expired'],
  ];

  it('and the administrator move a recommendation along its statuses and no others', async () => {
    const columns = (status: string) => {
      const isAnswered = status === 'accepted' || status === 'dismissed';
      return `shown_at = ${status === 'pending' ? 'NULL' : 'now()'}, answered_at = ${isAnswered ? 'now()' : 'NULL'}`;
    };
    const allowed: string[] = [];
    for (const [from, to] of STATUSES.flatMap((one) => STATUSES.map((other) => [one, other] as const))) {
      if (from === to) continue;
      const id = `${from}-${to}`;
      await db().admin(`INSERT INTO recommendations (id, profile_id, item_type, item_id, score, reason)
        SELECT '${id}', id, 'course', '${id}', 0.5, 'x' FROM user_profiles WHERE user_id = 'ada'`);
      // Every status can be reached from pending.
      if (from !== 'pending') {
        await db().admin(`UPDATE recommendations SET status = '${from}', ${columns(from)} WHERE id = '${id}'`);
      }
      const ended = await db()
        .admin(`UPDATE recommendations SET status = '${to}', ${columns(to)} WHERE id = '${id}'`)
        .then(
          () => 'done',
          (error) => error.message,
        );
      if (ended === 'done') allowed.push(`${from}>${to}`);
      else expect(ended).toBe('illegal_transition');
    }

    expect(allowed.sort()).toEqual([...ALLOWED].sort());
  });
});
