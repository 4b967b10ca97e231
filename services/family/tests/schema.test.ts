import { itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

/** A table, the rule that a change of its rows violates, and the change. */
const INVALID = [
  ['family_members', 'slug', `slug = 'Mama Elara'`],
  ['family_members', 'name', `name = ' '`],
  ['family_members', 'role', `role = ''`],
  ['family_members', 'background', `background = ''`],
  ['family_members', 'traits', `traits = '{}'`],
  ['family_members', 'traits', `traits = '{wise,""}'`],
  ['family_members', 'traits', `traits = '{wise,NULL}'`],
  ['family_members', 'temperature', `temperature = 2.1`],
  ['family_members', 'temperature', `temperature = -0.1`],
  ['family_relationships', 'relative_id', `relative_id = member_id`],
  ['conversations', 'user_id', `user_id = ''`],
  ['conversations', 'title', `title = ' '`],
  ['conversations', 'context', `context = '[]'`],
  ['conversations', 'ended_at', `ended_at = started_at - interval '1 second'`],
  ['messages', 'position', `position = 0`],
  ['messages', 'content', `content = ''`],
  ['messages', 'member_id', `role = 'member'`],
  ['messages', 'member_id', `member_id = 'elara'`],
  ['messages', 'sentiment', `sentiment = 1.1`],
  ['messages', 'sentiment', `sentiment = -1.1`],
  ['family_interactions', 'user_id', `user_id = ''`],
  ['family_interactions', 'sentiment', `sentiment = 'NaN'`],
  ['family_interactions', 'metadata', `metadata = '1'`],
] as const;

describe('the family schema', () => {
  const db = useDatabase('family');

  beforeAll(async () => {
    await db().app(`INSERT INTO family_members (id, slug, name, role, background, traits)
      SELECT lower(name), lower(name), name, 'Teacher', 'Taught.', '{wise}'
        FROM unnest('{Elara,Sankofa,Zola,Kofi}'::text[]) AS name`);
    await db().app(`INSERT INTO family_relationships (member_id, relative_id, kind)
      VALUES ('sankofa', 'elara', 'parent'), ('kofi', 'zola', 'friend')`);
    await db().app(`INSERT INTO conversations (id, user_id, member_id) VALUES ('talk', 'ada', 'elara')`);
    await db().app(`INSERT INTO messages (id, conversation_id, position, role, content)
      VALUES ('message', 'talk', 1, 'user', 'Hello')`);
    await db().app(`INSERT INTO family_interactions (id, user_id, member_id, conversation_id, kind)
      VALUES ('greeting', 'ada', 'elara', 'talk', 'greeting')`);
  });

  it.each(INVALID)('rejects rows of %s with an invalid %s: %s', async (table, rule, change) => {
    await schemaRefuses(db().admin(`UPDATE ${table} SET ${change}`), `${table}_${rule}_check`);
  });

  it('rejects an unknown mood', async () => {
    await expect(db().app(`UPDATE conversations SET mood = 'grumpy'`)).rejects.toMatchObject({ code: '22P02' });
  });

  it('rejects a second member whose name differs in case only', async () => {
    const insert = `INSERT INTO family_members (id, slug, name, role, background, traits)
      VALUES ('x', 'other', 'ELARA', 'Teacher', 'Taught.', '{wise}')`;

    await schemaRefuses(db().app(insert), 'family_members_name_key');
  });

  it.each([
    ['parent', 'elara', 'sankofa'],
    ['friend', 'zola', 'kofi'],
  ])('stores a %s relationship in one direction only', async (kind, member, relative) => {
    const insert = 'INSERT INTO family_relationships (member_id, relative_id, kind) VALUES ($1, $2, $3)';

    await schemaRefuses(db().app(insert, [member, relative, kind]), 'family_relationships_pair_key');
  });

  it('opens one conversation per user and member when four requests race', async () => {
    const open = `INSERT INTO conversations (id, user_id, member_id) VALUES ($1, 'ben', 'zola')`;
    const refused = await refusalsOf(['a', 'b', 'c', 'd'].map((id) => db().app(open, [id])));

    expect(refused).toEqual(Array(3).fill('conversations_open_key'));
  });

  it('accepts a new conversation after the last one has ended', async () => {
    await db().app(`INSERT INTO conversations (id, user_id, member_id, ended_at)
      VALUES ('first', 'cy', 'zola', now()), ('second', 'cy', 'zola', NULL)`);

    expect(await db().app(`SELECT id FROM conversations WHERE user_id = 'cy'`)).toHaveLength(2);
  });

  it('rejects a second message at the same position of a conversation', async () => {
    const insert = `INSERT INTO messages (id, conversation_id, position, role, content)
      VALUES ('twin', 'talk', 1, 'user', 'Hello')`;

    await schemaRefuses(db().app(insert), 'messages_conversation_id_position_key');
  });

  it.each(['UPDATE family_interactions SET sentiment = 1', 'DELETE FROM family_interactions'])(
    'gives the app role no privilege to rewrite the history: %s',
    async (sql) => {
      await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
    },
  );

  it('rejects the deletion of a member with conversations', async () => {
    await db().app(`INSERT INTO family_members (id, slug, name, role, background, traits)
      VALUES ('nia', 'nia', 'Nia', 'Teacher', 'Taught.', '{wise}')`);
    await db().app(`INSERT INTO conversations (id, user_id, member_id) VALUES ('nia', 'eve', 'nia')`);

    await schemaRefuses(db().app(`DELETE FROM family_members WHERE id = 'nia'`), 'conversations_member_id_fkey');
  });

  it('deletes the messages of a conversation with it, and keeps its interactions', async () => {
    await db().app(`INSERT INTO conversations (id, user_id, member_id) VALUES ('gone', 'dan', 'kofi')`);
    await db().app(
      `INSERT INTO messages (id, conversation_id, position, role, content) VALUES ('gone', 'gone', 1, 'user', 'x')`,
    );
    await db().app(`INSERT INTO family_interactions (id, user_id, member_id, conversation_id, kind)
      VALUES ('kept', 'dan', 'kofi', 'gone', 'advice')`);

    await db().app(`DELETE FROM conversations WHERE id = 'gone'`);

    expect(await db().app(`SELECT id FROM messages WHERE id = 'gone'`)).toEqual([]);
    expect(await db().app(`SELECT conversation_id FROM family_interactions WHERE id = 'kept'`)).toEqual([
      { conversation_id: null },
    ]);
  });

  itTestsEveryCheck(
    db,
    INVALID.map(([table, rule]) => `${table}_${rule}_check`),
  );

  itKeepsAnAuditLog(db);
});
