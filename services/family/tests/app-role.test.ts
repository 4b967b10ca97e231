import { useDatabase } from '@azora/db-testkit';
import { deterministicResponder, type Family, openFamily, reconcile, relateMembers, say } from '../src';
import { givenMember, givenTalk, idsOf } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = [
  ...['family_members', 'family_relationships', 'conversations', 'messages', 'family_interactions'],
  ...['affinities', 'memory_words'],
];

describe('the app role with its own SQL', () => {
  const db = useDatabase('family');
  let family: Family;
  let ids: Readonly<Record<string, string>> = {};
  beforeAll(async () => {
    family = openFamily({ url: db().url });
    const talk = await givenTalk(family);
    const other = await givenMember(family);
    await relateMembers(family, { memberId: talk.memberId, relativeId: other.id, relation: 'parent' });
    await say(family, deterministicResponder(), { ...idsOf(talk), content: 'My cat Simba', idempotencyKey: 'a' });
    ids = { talk: talk.id, user: talk.userId, member: talk.memberId, other: other.id, long: 'x'.repeat(20_001) };
  });
  afterEach(async () => {
    expect(await reconcile(family)).toEqual([]);
  });
  afterAll(() => family.close());

  const dump = async () => {
    const lists = TABLES.map(
      (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
    );
    return JSON.stringify(await db().admin(`SELECT ${lists.join(', ')}, (SELECT count(*) FROM outbox) AS events`));
  };
  const filled = (sql: string) => sql.replace(/\{(\w+)\}/g, (_, name) => ids[name] ?? '');

  it.each(TABLES)('only reads %s', async (table) => {
    const before = await dump();
    for (const sql of [`DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`, `INSERT INTO ${table} DEFAULT VALUES`]) {
      await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });
    }
    await expect(db().app(`UPDATE ${table} SET created_at = now()`)).rejects.toMatchObject({ code: NO_RIGHT });
    expect(await dump()).toBe(before);
  });

  const said = (input: string) =>
    `SELECT append_message('k', 'm', '{"conversationId": "{talk}", "userId": "{user}", ${input}}')`;
  it.each([
    ['SELECT add_message(c, m) FROM conversations AS c, messages AS m', NO_RIGHT],
    ['SELECT add_interaction(i) FROM family_interactions AS i', NO_RIGHT],
    ["SELECT emit('message-added', 'k', '{}', now())", NO_RIGHT],
    ["CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'", NO_RIGHT],
    ['ALTER TABLE messages DISABLE TRIGGER ALL', NO_RIGHT],
    ["SET session_replication_role = 'replica'", NO_RIGHT],
    [said('"role": "member", "content": "x", "sentiment": 0'), 'AZ001'],
    [said('"role": "admin", "content": "x", "sentiment": 0'), '22P02'],
    [said('"content": "x", "sentiment": 0'), '23502'],
    [said('"role": "user", "content": " ", "sentiment": 0'), '23514'],
    [said('"role": "user", "content": "x", "sentiment": 7'), '23514'],
    [said('"role": "user", "content": "x", "sentiment": "NaN"'), '23514'],
    [said('"role": "user", "content": "{long}", "sentiment": 0'), 'AZ001'],
    [said('"role": "user", "content": "x", "sentiment": 0').replace("'k'", 'NULL'), 'AZ001'],
    [said('"role": "user", "content": "x", "sentiment": 0').replace("'k'", "' '"), '23514'],
    [`SELECT append_message('k', 'm', '{"conversationId": "{talk}", "role": "user", "content": "x"}')`, 'AZ001'],
    [
      `SELECT answer_message('m', '{"conversationId": "{talk}", "userId": "{user}", "position": 2, "content": "x"}')`,
      'AZ001',
    ],
    [`SELECT answer_message('m', '{"conversationId": "{talk}", "userId": "{user}", "content": "x"}')`, 'AZ001'],
    [
      `SELECT record_interaction('k', 'i', '{"userId": "u", "memberId": "{member}", "kind": "story", "sentiment": 9}')`,
      '23514',
    ],
    [`SELECT record_interaction('k', 'i', '{"memberId": "{member}", "kind": "story"}')`, '23502'],
    ["SELECT relate_members('{other}', '{member}', 'parent')", 'AZ001'],
    ["SELECT relate_members('{member}', '{other}', 'sibling')", 'AZ001'],
    ["SELECT relate_members('{member}', '{member}', 'friend')", '23514'],
    ["SELECT relate_members('{member}', '{other}', 'enemy')", '22P02'],
    ["SELECT end_conversation('{talk}', 'eve')", 'AZ001'],
    ["SELECT end_conversation('{talk}', NULL)", 'AZ001'],
    ["SELECT delete_conversation('{talk}', NULL)", 'AZ001'],
    ["SELECT save_summary('{talk}', '{user}', 'x', 99)", 'AZ001'],
    ["SELECT start_conversation('c', '', '{member}', NULL)", '23514'],
    ["SELECT start_conversation('c', NULL, '{member}', NULL)", '23502'],
    [
      `SELECT save_member('m', '{"slug": "x y", "name": "x", "role": "x", "background": "x", "traits": ["x"], "mood": "sad", "temperature": 1, "isActive": true}')`,
      '23514',
    ],
  ])('cannot run: %s', async (sql, code) => {
    const before = await dump();

    await expect(db().app(filled(sql))).rejects.toMatchObject({ code });

    expect(await dump()).toBe(before);
  });

  it('gets no summary that covers less, and no second answer', async () => {
    const before = await dump();
    await db().app(filled("SELECT save_summary('{talk}', '{user}', 'x', 0)"));
    await db().app(filled("SELECT save_summary('{talk}', '{user}', 'x', -1)"));
    await db().app(
      filled(
        `SELECT answer_message('m', '{"conversationId": "{talk}", "userId": "{user}", "position": 1, "content": "x"}')`,
      ),
    );

    expect(await dump()).toBe(before);
  });
});
