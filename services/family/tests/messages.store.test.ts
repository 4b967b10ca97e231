/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  analyzeSentiment,
  answerMessage,
  appendMessage,
  endConversation,
  type Family,
  getConversation,
  listAffinities,
  listInteractions,
  listMessages,
  openFamily,
  reconcile,
  relateMembers,
  saveMember,
} from '../src';
import { eventsFor, fresh, givenMember, givenTalk, idsOf, outcomes } from './given';

describe('messages', () => {
  const db = useDatabase('family');
  useTestClock(db, '2026-12-02T12:00:00Z');
  let family: Family;
  beforeAll(() => {
    family = openFamily({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(family)).toEqual([]);
  });
  afterAll(() => family.close());

  it('are numbered from 1, with the sentiment of the user, and are published without their text', async () => {
    const talk = await givenTalk(family);
    const first = await appendMessage(family, { ...idsOf(talk), content: 'I love this!', idempotencyKey: 'a' });
    const answer = await answerMessage(family, { ...idsOf(talk), position: 1, content: 'Tell me more.' });
    const second = await appendMessage(family, { ...idsOf(talk), content: 'It is awful.', idempotencyKey: 'b' });

    expect([first, answer, second].map(({ position, role, answers }) => [position, role, answers])).toEqual([
      [1, 'user', null],
      [2, 'member', 1],
      [3, 'user', null],
    ]);
    expect([first.sentiment, second.sentiment]).toEqual([0.6696, -0.4588]);
    expect(first).not.toHaveProperty('search');
    expect(await eventsFor(db(), talk.id)).toEqual(['conversation-started', ...Array(3).fill('message-added')]);
    expect(JSON.stringify(await db().admin('SELECT payload FROM outbox'))).not.toContain('love');
  });

  it('move the mood of the conversation: half of it is the latest message', async () => {
    const talk = await givenTalk(family, (await givenMember(family, { mood: 'proud' })).id);
    const said = [
      ['It is a table.', 'proud'],
      ['I love it, it is the best!', 'happy'],
      ['I love it, it is the best!', 'excited'],
      ['It is a table.', 'happy'],
      ['It is horrible, I hate it!', 'thoughtful'],
      ['It is horrible, I hate it!!', 'concerned'],
      ['It is a table.', 'thoughtful'],
      ['It is a table.', 'proud'],
    ] as const;
    let valence = 0;
    const found: unknown[] = [];
    for (const [content] of said) {
      await appendMessage(family, { ...idsOf(talk), content, idempotencyKey: fresh('key') });
      const now = await getConversation(family, idsOf(talk));
      valence = (valence + analyzeSentiment(content).compound) / 2;
      expect(now.valence).toBeCloseTo(valence, 12);
      found.push(now.mood);
    }

    expect(found).toEqual(said.map(([, mood]) => mood));
  });

  it('are added once per key; the same key with another text is an error', async () => {
    const talk = await givenTalk(family);
    const input = { ...idsOf(talk), content: 'Hello', idempotencyKey: 'once' };
    const first = await appendMessage(family, input);

    expect(await appendMessage(family, input)).toEqual(first);
    await expect(appendMessage(family, { ...input, content: 'Bye' })).rejects.toMatchObject({
      code: 'FAMILY.KEY_REUSED',
    });
    expect((await listMessages(family, idsOf(talk))).items).toEqual([first]);
  });

  it('are returned to a repeated call after the conversation has ended, and no new ones are added', async () => {
    const talk = await givenTalk(family);
    const input = { ...idsOf(talk), content: 'Hello', idempotencyKey: 'once' };
    const first = await appendMessage(family, input);
    const answer = await answerMessage(family, { ...idsOf(talk), position: 1, content: 'Hello' });
    await endConversation(family, idsOf(talk));

    expect(await appendMessage(family, input)).toEqual(first);
    expect(await answerMessage(family, { ...idsOf(talk), position: 1, content: 'Again' })).toEqual(answer);
    const added = [
      appendMessage(family, { ...input, idempotencyKey: 'new' }),
      answerMessage(family, { ...idsOf(talk), position: 2, content: 'x' }),
    ];
    expect(await outcomes(added)).toEqual(Array(2).fill('FAMILY.CONVERSATION_ENDED'));
  });

  it('have one answer: a second one gets the first', async () => {
    const talk = await givenTalk(family);
    await appendMessage(family, { ...idsOf(talk), content: 'Hello', idempotencyKey: 'a' });
    const first = await answerMessage(family, { ...idsOf(talk), position: 1, content: 'One' });

    expect(await answerMessage(family, { ...idsOf(talk), position: 1, content: 'Two' })).toEqual(first);
    const wrong = [2, 3].map((position) => answerMessage(family, { ...idsOf(talk), position, content: 'x' }));
    expect(await outcomes(wrong)).toEqual(Array(2).fill('FAMILY.MESSAGE_NOT_FOUND'));
  });

  it('are answered by another member too, whose coordinator has then routed the question', async () => {
    const [naledi, nexus] = [await givenMember(family), await givenMember(family)];
    await relateMembers(family, { memberId: nexus.id, relativeId: naledi.id, relation: 'coordinator' });
    const talk = await givenTalk(family);
    await appendMessage(family, { ...idsOf(talk), content: 'I love my work', idempotencyKey: 'a' });
    const answer = await answerMessage(family, {
      ...{ ...idsOf(talk), position: 1, memberId: naledi.id, content: 'Show it.', kind: 'advice', mood: 'proud' },
    });

    expect(answer).toMatchObject({ memberId: naledi.id, mood: 'proud' });
    const { items } = await listInteractions(family, { userId: talk.userId });
    expect(
      items.map(({ memberId, kind, sentiment, conversationId }) => [memberId, kind, sentiment, conversationId]),
    ).toEqual(
      expect.arrayContaining([
        [naledi.id, 'advice', 0.6369, talk.id],
        [nexus.id, 'routing', null, talk.id],
      ]),
    );
    expect(await listAffinities(family, { userId: talk.userId })).toEqual([
      expect.objectContaining({ memberId: naledi.id, score: 0.6369 / 4, interactions: 1 }),
      expect.objectContaining({ memberId: nexus.id, score: 0, interactions: 1 }),
    ]);
  });

  it('belong to their user: another one cannot read, add or answer', async () => {
    const talk = await givenTalk(family);
    await appendMessage(family, { ...idsOf(talk), content: 'Hello', idempotencyKey: 'a' });
    const other = { conversationId: talk.id, userId: 'eve' };

    expect((await listMessages(family, other)).items).toEqual([]);
    const calls = [
      appendMessage(family, { ...other, content: 'Hello', idempotencyKey: 'a' }),
      answerMessage(family, { ...other, position: 1, content: 'Hello' }),
      getConversation(family, other),
      endConversation(family, other),
    ];
    expect(await outcomes(calls)).toEqual(Array(4).fill('FAMILY.CONVERSATION_NOT_FOUND'));
  });

  it('are not answered by an inactive or unknown member', async () => {
    const talk = await givenTalk(family);
    const { id, slug, name } = await givenMember(family);
    await saveMember(family, { slug, name, role: 'x', background: 'x', traits: ['x'], isActive: false });
    await appendMessage(family, { ...idsOf(talk), content: 'Hello', idempotencyKey: 'a' });
    const answers = [id, 'nobody'].map((memberId) =>
      answerMessage(family, { ...idsOf(talk), position: 1, memberId, content: 'x' }),
    );

    expect(await outcomes(answers)).toEqual(['FAMILY.MEMBER_INACTIVE', 'FAMILY.MEMBER_NOT_FOUND']);
  });

  it('are listed in pages, the last one first, without gaps while others are added', async () => {
    const talk = await givenTalk(family);
    const add = () => appendMessage(family, { ...idsOf(talk), content: 'Hello', idempotencyKey: fresh('key') });
    for (let n = 0; n < 5; n += 1) await add();
    const first = await listMessages(family, { ...idsOf(talk), limit: 2 });
    await add();
    const second = await listMessages(family, { ...idsOf(talk), limit: 2, cursor: first.nextCursor ?? '' });
    const third = await listMessages(family, { ...idsOf(talk), limit: 2, cursor: second.nextCursor ?? '' });

    expect([first, second, third].map(({ items }) => items.map(({ position }) => position))).toEqual([
      [5, 4],
      [3, 2],
      [1],
    ]);
    expect(third.nextCursor).toBeNull();
  });

  it.each([
    [{ content: ' ' }, 'content'],
    [{ content: 'x'.repeat(20_001) }, 'content'],
    [{ content: 'a\0b' }, 'content'],
    [{ content: '\ud800' }, 'content'],
    [{ idempotencyKey: '' }, 'idempotencyKey'],
    [{ role: 'member' as 'user' }, 'role'],
    [{ conversationId: 'a b' }, 'conversationId'],
  ])('reject %j and name the field', async (change, field) => {
    const talk = await givenTalk(family);

    await expect(
      appendMessage(family, { ...idsOf(talk), content: 'Hello', idempotencyKey: 'a', ...change }),
    ).rejects.toMatchObject({ code: 'FAMILY.INVALID_INPUT', meta: { fields: [field] } });
  });
});
