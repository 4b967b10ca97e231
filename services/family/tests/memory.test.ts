/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  answerMessage,
  appendMessage,
  assembleContext,
  type Conversation,
  endConversation,
  estimateTokens,
  type Family,
  openFamily,
  recallMemories,
  relateMembers,
  saveSummary,
  suggestMember,
  updateConversation,
} from '../src';
import { fresh, givenMember, givenTalk, idsOf } from './given';
import { plantedDialogue } from './planted-facts';

describe('the memory of the family', () => {
  const db = useDatabase('family');
  let family: Family;
  beforeAll(() => {
    family = openFamily({ url: db().url });
  });
  afterAll(() => family.close());

  const add = (talk: Conversation, content: string) =>
    appendMessage(family, { ...idsOf(talk), content, idempotencyKey: fresh('key') });
  const recalled = async (userId: string, text: string) =>
    (await recallMemories(family, { userId, text })).map(({ message }) => message.content);

  it('finds at least 85 % of planted facts among the first ten, over 120 questions', async () => {
    const talk = await givenTalk(family);
    const { lines, questions } = plantedDialogue(20_261_202);
    // As the administrator, in one statement: thousands of calls would only take time.
    await db().admin(
      `INSERT INTO messages (id, conversation_id, user_id, position, role, member_id, content)
       SELECT $1 || '-' || n, $1, $2, n, CASE WHEN l.by = 'user' THEN 'user' ELSE 'member' END::message_role,
         CASE WHEN l.by = 'user' THEN NULL ELSE $3 END, l.text
       FROM unnest($4::text[], $5::text[]) WITH ORDINALITY AS l (by, text, n)`,
      [talk.id, talk.userId, talk.memberId, lines.map(({ by }) => by), lines.map(({ text }) => text)],
    );
    await db().admin('UPDATE conversations SET message_count = $2 WHERE id = $1', [talk.id, lines.length]);
    let found = 0;
    for (const { text, evidence } of questions) {
      const memories = await recallMemories(family, { userId: talk.userId, text, limit: 10 });
      if (memories.some(({ message }) => message.position === evidence + 1)) found += 1;
    }

    expect(questions).toHaveLength(120);
    expect(found / questions.length).toBeGreaterThanOrEqual(0.85);
  });

  it('reads only the messages that fit, however often a session asks', async () => {
    const talk = await givenTalk(family);
    const insert = `INSERT INTO messages (id, conversation_id, user_id, position, role, content)
      SELECT c.id || '-' || n, c.id, c.user_id, n, 'user', 'The goats ate flower number ' || n
      FROM conversations AS c, generate_series(1, $1) AS n WHERE starts_with(c.user_id, $2)`;
    await db().admin(insert, [3_000, talk.userId]);
    // A plan for any user expects that each has a few messages.
    const others = `INSERT INTO conversations (id, user_id, member_id)
      SELECT 'other-' || n, 'other-' || n, $1 FROM generate_series(1, 300) AS n`;
    await db().admin(others, [talk.memberId]);
    await db().admin(insert, [20, 'other-']);
    await db().admin('ANALYZE messages, memory_words, conversations');
    const client = await family.pool.connect();
    // The counters of a session still hold what its earlier transactions have not reported, so the difference counts.
    const rowsRead = async () => {
      const { rows } = await client.query<{ read: number }>(
        "SELECT (seq_tup_read + idx_tup_fetch)::int AS read FROM pg_stat_xact_user_tables WHERE relname = 'messages'",
      );
      return rows[0]?.read ?? Number.NaN;
    };
    await client.query('BEGIN');
    const before = await rowsRead();
    const found: number[] = [];
    for (let n = 1; n <= 10; n += 1) {
      const { rowCount } = await client.query('SELECT FROM search_memories($1, $2, NULL, NULL, 10)', [
        talk.userId,
        `${n}00`,
      ]);
      found.push(rowCount ?? 0);
    }
    const after = await rowsRead();
    await client.query('ROLLBACK');
    client.release();

    expect(found).toEqual(Array.from({ length: 10 }, () => 1));
    expect(after - before).toBeLessThanOrEqual(30);
  });

  it('finds words with a typing error, and the answer to a question that fits', async () => {
    const talk = await givenTalk(family);
    await add(talk, 'We climbed Kilimanjaro in June.');
    await add(talk, 'The weather is fine.');
    await answerMessage(family, { ...idsOf(talk), position: 2, content: 'Where did you grow up?' });
    await add(talk, 'In Kisumu, by the lake.');
    await add(talk, 'Bread and butter.');

    expect(await recalled(talk.userId, 'Kilimanjro')).toEqual(['We climbed Kilimanjaro in June.']);
    expect(await recalled(talk.userId, 'Where did I grow up?')).toEqual([
      'Where did you grow up?',
      'In Kisumu, by the lake.',
    ]);
    expect(await recalled(talk.userId, 'xyzzy')).toEqual([]);
    expect(await recalled(talk.userId, 'the of and')).toEqual([]);
  });

  it('reaches over all conversations of a user, and never into those of another one', async () => {
    const talk = await givenTalk(family);
    await add(talk, 'My sister is called Wanjiru.');
    await endConversation(family, idsOf(talk));
    const other = await givenTalk(family);
    await add(other, 'My sister is called Achieng.');

    expect(await recalled(talk.userId, 'sister')).toEqual(['My sister is called Wanjiru.']);
    expect(await recalled(other.userId, 'Wanjiru')).toEqual([]);
  });

  it.each([
    ...["' | !:*&<->", 'a\\b', "o'clock", '%_', '{"a":1}', '\u{1f600}', '#u:'].map((text) => [text, text]),
    ['a word of 5,000 letters', 'x'.repeat(5000)],
  ])('takes any text as words: %s', async (_, text) => {
    const talk = await givenTalk(family);
    await add(talk, `Something ${text}`);

    expect(await recalled(talk.userId, `something ${text}`)).toHaveLength(1);
  });

  it('makes a context of the member, its relatives, facts, the summary, memories and what was said last', async () => {
    const [elara, themba] = [
      await givenMember(family, { background: 'Taught the village.', mood: 'calm' }),
      await givenMember(family),
    ];
    await relateMembers(family, { memberId: elara.id, relativeId: themba.id, relation: 'parent' });
    const talk = await givenTalk(family, elara.id);
    await updateConversation(family, { ...idsOf(talk), context: { course: 'python' } });
    await add(talk, 'My cat is called Simba.');
    await add(talk, 'I have a dog too.');
    await saveSummary(family, { ...idsOf(talk), summary: 'The user has pets.', upTo: 2 });
    await add(talk, 'The rain has stopped.');
    const { position } = await add(talk, 'What is my cat called?');
    await add(talk, 'This comes later.');

    const context = await assembleContext(family, { ...idsOf(talk), position });

    expect(context.turns.map(({ role }) => role)).toEqual(['system', 'user', 'user']);
    const [system, ...said] = context.turns.map(({ content }) => content);
    expect(said).toEqual(['The rain has stopped.', 'What is my cat called?']);
    for (const part of [
      'Taught the village.',
      'calm',
      `parent of ${themba.name}`,
      '"course":"python"',
      'has pets',
      'Simba',
    ]) {
      expect(system).toContain(part);
    }
    expect(system).not.toContain('later');
    expect(context.memories.map(({ message }) => message.position)).toEqual([1]);
    expect(context.tokens).toBe(context.turns.reduce((sum, { content }) => sum + estimateTokens(content) + 4, 0));
  });

  it.each([200, 500, 1000, 4000])('never takes more than %i tokens, and always has the message', async (maxTokens) => {
    const talk = await givenTalk(family, (await givenMember(family, { background: 'Long ago. '.repeat(500) })).id);
    await updateConversation(family, { ...idsOf(talk), context: { note: 'many facts '.repeat(500) } });
    for (let n = 0; n < 40; n += 1) await add(talk, `Number ${n}: ${'the lion sleeps tonight, '.repeat(n * 3 + 1)}`);
    await saveSummary(family, { ...idsOf(talk), summary: 'It was long. '.repeat(900), upTo: 20 });
    const { position } = await add(talk, `And the lion? ${'Does it sleep? '.repeat(1000)}`);

    const context = await assembleContext(family, { ...idsOf(talk), position, maxTokens });

    expect(context.tokens).toBeLessThanOrEqual(maxTokens);
    expect(context.tokens).toBe(context.turns.reduce((sum, { content }) => sum + estimateTokens(content) + 4, 0));
    expect(context.turns.at(-1)?.content).toMatch(/^And the lion\? .*…$/s);
    expect(context.turns[0]?.content).toMatch(/^You are member/);
  });

  it('counts tokens with the tokenizer that is passed', async () => {
    const talk = await givenTalk(family);
    const { position } = await add(talk, 'One two three');
    const countTokens = (text: string) => text.split(/\s+/).length;

    const { turns, tokens } = await assembleContext(family, { ...idsOf(talk), position, countTokens });

    expect(tokens).toBe(turns.reduce((sum, { content }) => sum + countTokens(content) + 4, 0));
  });

  it('suggests the active member whose role and background fit a text, or nobody', async () => {
    const kofi = await givenMember(family, { role: 'Finance Guru', background: 'Kept the books of a market hall.' });
    await givenMember(family, { role: 'Finance Clerk', background: 'Sleeps.', isActive: false });

    expect((await suggestMember(family, { text: 'Who can help me with my finances and books?' }))?.id).toBe(kofi.id);
    expect(await suggestMember(family, { text: 'xyzzy' })).toBeNull();
  });

  it('rejects the context of a message that the user did not write', async () => {
    const talk = await givenTalk(family);
    await add(talk, 'Hello');
    await answerMessage(family, { ...idsOf(talk), position: 1, content: 'Hello' });

    await expect(assembleContext(family, { ...idsOf(talk), position: 2 })).rejects.toMatchObject({
      code: 'FAMILY.MESSAGE_NOT_FOUND',
    });
    await expect(
      assembleContext(family, { conversationId: talk.id, userId: 'eve', position: 1 }),
    ).rejects.toMatchObject({ code: 'FAMILY.CONVERSATION_NOT_FOUND' });
  });
});
