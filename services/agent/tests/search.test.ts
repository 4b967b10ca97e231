import { useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import { type Agent, deleteConversation, openAgent, searchMessages } from '../src';
import { given, givenConversation } from './given';

const WORDS = ['maize', 'charts', 'harvesting', 'ledger', "o'clock", 'deadlock'];
const USERS = 4;

/** 2,000 messages in 40 conversations of four users, several at each moment. */
const FILL = `
  INSERT INTO conversations (id, user_id, created_at)
  SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'user-' || n % ${USERS}, '2026-01-01'
  FROM generate_series(0, 39) AS n;
  INSERT INTO messages (conversation_id, role, content, created_at)
  SELECT ('00000000-0000-7000-8000-' || lpad((n % 40)::text, 12, '0'))::uuid, 'user',
    words.list[1 + n % 6] || ' ' || words.list[1 + n / 6 % 6] || ' work', '2026-01-01'::timestamptz + n / 5 * interval '1 second'
  FROM generate_series(1, 2000) AS n, (SELECT ARRAY['${WORDS.map((word) => word.replace("'", "''")).join("','")}'] AS list) AS words`;

/** The same by reading every message. */
const ORACLE = `SELECT m.id FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
  WHERE c.user_id = $1 AND to_tsvector('english', m.content) @@ websearch_to_tsquery('english', $2)
    AND ($3::uuid IS NULL OR c.id = $3)
  ORDER BY m.created_at DESC, m.id DESC`;

describe('the search of messages', () => {
  const db = useDatabase('agent');
  let agent: Agent;
  beforeAll(async () => {
    agent = openAgent({ url: db().url });
    await db().admin(FILL);
  });
  afterAll(() => agent.close());

  it('finds, newest first and by pages, what reading every message of the user finds', async () => {
    const query = fc.record({
      user: fc.nat(USERS),
      text: fc.constantFrom(
        'maize',
        'harvest chart',
        '-maize',
        '"ledger work"',
        'maize or ledger',
        "o'clock",
        'nothing',
      ),
      conversation: fc.option(fc.nat(39), { nil: undefined }),
      limit: fc.integer({ min: 1, max: 120 }),
    });
    await fc.assert(
      fc.asyncProperty(query, async ({ user, text, conversation, limit }) => {
        const userId = `user-${user}`;
        const conversationId =
          conversation === undefined ? undefined : `00000000-0000-7000-8000-${String(conversation).padStart(12, '0')}`;
        const asked = { userId, text, limit, ...(conversationId === undefined ? {} : { conversationId }) };
        const expected = await db().admin(ORACLE, [userId, text, conversationId ?? null]);
        const first = await searchMessages(agent, asked);
        const found = [...first.items];
        for (let { nextCursor } = first, pages = 1; nextCursor !== null && pages < 3; pages += 1) {
          const page = await searchMessages(agent, { ...asked, cursor: nextCursor });
          found.push(...page.items);
          nextCursor = page.nextCursor;
        }

        expect(found.map(({ id }) => id)).toEqual(expected.slice(0, limit * 3).map(({ id }) => id));
      }),
      { numRuns: 40, seed: 20_261_205 },
    );
  });

  it('reads the index, not the messages of everybody', async () => {
    const plan = await db().admin(
      `EXPLAIN SELECT * FROM messages WHERE search @@ (websearch_to_tsquery('english', 'maize') && query_term(user_term('user-1')))`,
    );

    expect(JSON.stringify(plan)).toContain('messages_search_idx');
  });

  it('finds nothing of others, nothing by stop words, and nothing that was deleted', async () => {
    const [ada, eve] = [await givenConversation(agent), await givenConversation(agent)];
    const message = await given(agent, ada, { content: 'A zebra, #u:secret' });
    await given(agent, eve, { content: 'The other zebras' });
    const find = async (text: string) =>
      (await searchMessages(agent, { userId: ada.userId ?? '', text })).items.map(({ id }) => id);

    expect(await find('zebras')).toEqual([message.id]);
    expect(await find('the')).toEqual([]);
    expect(await find('" : & | !')).toEqual([]);
    expect(await find("zebra or '#u:")).toEqual([message.id]);
    await deleteConversation(agent, { conversationId: ada.id, userId: ada.userId });
    expect(await find('zebra')).toEqual([]);
  });
});
