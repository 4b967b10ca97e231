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
  ['family_interactions', 'idempotency_key', `idempotency_key = ' ', body_hash = repeat('0', 64)`],
  ['family_interactions', 'idempotency_key', `idempotency_key = 'key'`],
  ['family_interactions', 'body_hash', `body_hash = repeat('x', 64)`],
  ['conversations', 'message_count', 'message_count = -1'],
  ['conversations', 'valence', 'valence = 1.1'],
  ['conversations', 'summary', `summary = ' ', summarized_to = 1`],
  ['conversations', 'summarized_to', 'summarized_to = 1'],
  ['conversations', 'summarized_to', `summary = 'x', summarized_to = 2`],
  ['messages', 'answers', 'answers = 1'],
  ['messages', 'idempotency_key', `idempotency_key = '', body_hash = repeat('0', 64)`],
  ['messages', 'body_hash', `body_hash = 'x'`],
  ['memory_words', 'word', `word = ''`],
  ['memory_words', 'message_count', 'message_count = 0'],
  ['affinities', 'warmth', 'warmth = 2'],
  ['affinities', 'weight', `weight = 'Infinity'`],
  ['affinities', 'weight', `weight = 'NaN'`],
  ['affinities', 'interactions', 'interactions = 0'],
] as const;

describe('the family schema', () => {
  const db = useDatabase('family');

  beforeAll(async () => {
    await db().admin(`INSERT INTO family_members (id, slug, name, role, background, traits)
      SELECT lower(name), lower(name), name, 'Teacher', 'Taught.', '{wise}'
        FROM unnest('{Elara,Sankofa,Zola,Kofi}'::text[]) AS name`);
    await db().admin(`INSERT INTO family_relationships (member_id, relative_id, kind)
      VALUES ('sankofa', 'elara', 'parent'), ('kofi', 'zola', 'friend'), ('kofi', 'elara', 'coordinator')`);
    await db().admin(
      `INSERT INTO conversations (id, user_id, member_id, message_count) VALUES ('talk', 'ada', 'elara', 1)`,
    );
    await db().admin(`INSERT INTO messages (id, conversation_id, user_id, position, role, content)
      VALUES ('message', 'talk', 'ada', 1, 'user', 'Hello')`);
    await db().admin(`INSERT INTO family_interactions (id, user_id, member_id, conversation_id, kind)
      VALUES ('greeting', 'ada', 'elara', 'talk', 'greeting')`);
  });

  it.each(INVALID)('rejects rows of %s with an invalid %s: %s', async (table, rule, change) => {
    // The triggers that keep rows as they are would refuse the change first.
    await schemaRefuses(
      db().admin(`ALTER TABLE ${table} DISABLE TRIGGER USER; UPDATE ${table} SET ${change}`),
      `${table}_${rule}_check`,
    );
  });

  it('rejects an unknown mood', async () => {
    await expect(db().admin(`UPDATE conversations SET mood = 'grumpy'`)).rejects.toMatchObject({ code: '22P02' });
  });

  it('rejects a second member whose name differs in case only', async () => {
    const insert = `INSERT INTO family_members (id, slug, name, role, background, traits)
      VALUES ('x', 'other', 'ELARA', 'Teacher', 'Taught.', '{wise}')`;

    await schemaRefuses(db().admin(insert), 'family_members_name_key');
  });

  it.each([
    ['coordinator', 'elara', 'kofi'],
    ['friend', 'zola', 'kofi'],
  ])('stores a %s relationship in one direction only', async (kind, member, relative) => {
    const insert = 'INSERT INTO family_relationships (member_id, relative_id, kind) VALUES ($1, $2, $3)';

    await schemaRefuses(db().admin(insert, [member, relative, kind]), 'family_relationships_pair_key');
  });

  it('opens one conversation per user and member when four requests race', async () => {
    const open = `INSERT INTO conversations (id, user_id, member_id) VALUES ($1, 'ben', 'zola')`;
    const refused = await refusalsOf(['a', 'b', 'c', 'd'].map((id) => db().admin(open, [id])));

    expect(refused).toEqual(Array(3).fill('conversations_open_key'));
  });

  it('accepts a new conversation after the last one has ended', async () => {
    await db().admin(`INSERT INTO conversations (id, user_id, member_id, ended_at)
      VALUES ('first', 'cy', 'zola', now()), ('second', 'cy', 'zola', NULL)`);

    expect(await db().admin(`SELECT id FROM conversations WHERE user_id = 'cy'`)).toHaveLength(2);
  });

  it('rejects a second message at the same position of a conversation', async () => {
    const insert = `INSERT INTO messages (id, conversation_id, user_id, position, role, content)
      VALUES ('twin', 'talk', 'ada', 1, 'user', 'Hello')`;

    await schemaRefuses(db().admin(insert), 'messages_conversation_id_position_key');
  });

  it('rejects the deletion of a member with conversations', async () => {
    await db().admin(`INSERT INTO family_members (id, slug, name, role, background, traits)
      VALUES ('nia', 'nia', 'Nia', 'Teacher', 'Taught.', '{wise}')`);
    await db().admin(`INSERT INTO conversations (id, user_id, member_id) VALUES ('nia', 'eve', 'nia')`);

    await schemaRefuses(db().admin(`DELETE FROM family_members WHERE id = 'nia'`), 'conversations_member_id_fkey');
  });

  it('deletes the messages of a conversation with it, and keeps its interactions', async () => {
    await db().admin(`INSERT INTO conversations (id, user_id, member_id) VALUES ('gone', 'dan', 'kofi')`);
    await db().admin(
      `INSERT INTO messages (id, conversation_id, user_id, position, role, content)
        VALUES ('gone', 'gone', 'dan', 1, 'user', 'x')`,
    );
    await db().admin(`INSERT INTO family_interactions (id, user_id, member_id, conversation_id, kind)
      VALUES ('kept', 'dan', 'kofi', 'gone', 'advice')`);

    await db().admin(`DELETE FROM conversations WHERE id = 'gone'`);

    expect(await db().admin(`SELECT id FROM messages WHERE id = 'gone'`)).toEqual([]);
    expect(await db().admin(`SELECT conversation_id FROM family_interactions WHERE id = 'kept'`)).toEqual([
      { conversation_id: null },
    ]);
  });

  it('rejects a message of another user than the one of its conversation', async () => {
    const insert = `INSERT INTO messages (id, conversation_id, user_id, position, role, content)
      VALUES ('stranger', 'talk', 'eve', 2, 'user', 'Hello')`;

    await schemaRefuses(db().admin(insert), 'messages_conversation_id_fkey');
  });

  it.each([
    ['a message', `UPDATE messages SET content = 'No'`, 'message_fixed'],
    ['the position of a message', 'UPDATE messages SET position = 7', 'message_fixed'],
    ['an interaction', 'UPDATE family_interactions SET sentiment = 1', 'interaction_fixed'],
    ['the time of an interaction', `UPDATE family_interactions SET created_at = '2020-01-01'`, 'interaction_fixed'],
  ])('never changes %s, not even for the administrator', async (_, sql, message) => {
    await expect(db().admin(sql)).rejects.toMatchObject({ message });
  });

  it.each([
    `UPDATE conversations SET ended_at = NULL WHERE id = 'over'`,
    `UPDATE conversations SET ended_at = now() + interval '1 day' WHERE id = 'over'`,
    `UPDATE conversations SET message_count = 1 WHERE id = 'over'`,
  ])('keeps an ended conversation as it is: %s', async (sql) => {
    await db().admin(`INSERT INTO conversations (id, user_id, member_id, ended_at) VALUES ('over', 'fay', 'zola', now())
      ON CONFLICT DO NOTHING`);

    await expect(db().admin(sql)).rejects.toMatchObject({ message: 'conversation_ended' });
  });

  itTestsEveryCheck(
    db,
    INVALID.map(([table, rule]) => `${table}_${rule}_check`),
  );

  itKeepsAnAuditLog(db);
});
