/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  appendMessage,
  type Conversation,
  deleteConversation,
  deterministicResponder,
  endConversation,
  type Family,
  getConversation,
  listConversations,
  listInteractions,
  openFamily,
  recallMemories,
  reconcile,
  saveSummary,
  say,
  startConversation,
  summarizeConversation,
  updateConversation,
} from '../src';
import { eventsFor, fresh, givenMember, givenStores, givenTalk, idsOf, outcomes } from './given';

describe('conversations', () => {
  const db = useDatabase('family');
  let family: Family;
  beforeAll(() => {
    family = openFamily({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(family)).toEqual([]);
  });
  afterAll(() => family.close());

  const add = (talk: Conversation, content: string) =>
    appendMessage(family, { ...idsOf(talk), content, idempotencyKey: fresh('key') });

  it('start in the mood of the member; the open one of the two is continued, and a new one follows the end', async () => {
    const member = await givenMember(family, { mood: 'calm' });
    const userId = fresh('ada');
    const first = await startConversation(family, { userId, memberId: member.id, title: 'After the quiz' });

    expect(first).toMatchObject({ mood: 'calm', title: 'After the quiz', messageCount: 0, endedAt: null });
    expect(await startConversation(family, { userId, memberId: member.id, title: 'Other' })).toEqual(first);
    await endConversation(family, idsOf(first));
    const second = await startConversation(family, { userId, memberId: member.id });
    expect(second.id).not.toBe(first.id);
    expect((await listConversations(family, { userId, memberId: member.id })).items.map(({ id }) => id)).toEqual([
      second.id,
      first.id,
    ]);
    expect(await eventsFor(db(), first.id)).toEqual(['conversation-started', 'conversation-ended']);
  });

  it('are one per user and member when 12 requests of 4 clients race', async () => {
    const stores = givenStores(db(), 4);
    const input = { userId: fresh('ada'), memberId: (await givenMember(family)).id };
    const started = await Promise.all(
      Array.from({ length: 12 }, (_, n) => startConversation(stores[n % 4] ?? family, input)),
    );

    expect(new Set(started.map(({ id }) => id)).size).toBe(1);
    expect(await eventsFor(db(), started[0]?.id ?? '')).toEqual(['conversation-started']);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('go from open to ended and nowhere else', async () => {
    const talk = await givenTalk(family);
    await add(talk, 'Hello');
    const ended = await endConversation(family, idsOf(talk));

    expect(await endConversation(family, idsOf(talk))).toEqual(ended);
    expect(await outcomes([updateConversation(family, { ...idsOf(talk), title: 'x' }), add(talk, 'x')])).toEqual(
      Array(2).fill('FAMILY.CONVERSATION_ENDED'),
    );
    expect(await getConversation(family, idsOf(talk))).toEqual(ended);
  });

  it('end between two messages when both race: no message follows the end', async () => {
    const stores = givenStores(db(), 5);
    for (let round = 0; round < 4; round += 1) {
      const talk = await givenTalk(family);
      const adds = stores.map((store, n) =>
        n === 2
          ? endConversation(store, idsOf(talk))
          : appendMessage(store, { ...idsOf(talk), content: 'Hello', idempotencyKey: `k${n}` }),
      );
      const added = (await outcomes(adds)).filter((it, n) => n !== 2 && it === 'done').length;

      const events = await eventsFor(db(), talk.id);
      expect(events).toEqual(['conversation-started', ...Array(added).fill('message-added'), 'conversation-ended']);
      expect((await getConversation(family, idsOf(talk))).messageCount).toBe(added);
    }
    await Promise.all(stores.map((store) => store.close()));
  });

  it('have a title and facts that can be replaced and removed', async () => {
    const talk = await givenTalk(family);
    await updateConversation(family, { ...idsOf(talk), title: 'Loops', context: { course: 'python' } });
    const changed = await updateConversation(family, { ...idsOf(talk), title: null });

    expect(changed).toMatchObject({ title: null, context: { course: 'python' } });
  });

  it('are deleted with their messages and the memory of them; interactions stay', async () => {
    const talk = await givenTalk(family);
    await say(family, deterministicResponder(), { ...idsOf(talk), content: 'My cat is Simba', idempotencyKey: 'a' });
    await deleteConversation(family, idsOf(talk));

    expect(await recallMemories(family, { userId: talk.userId, text: 'the cat Simba' })).toEqual([]);
    expect(await db().admin('SELECT word FROM memory_words WHERE user_id = $1', [talk.userId])).toEqual([]);
    expect((await listInteractions(family, { userId: talk.userId })).items).toMatchObject([{ conversationId: null }]);
    await expect(deleteConversation(family, idsOf(talk))).rejects.toMatchObject({
      code: 'FAMILY.CONVERSATION_NOT_FOUND',
    });
    expect((await eventsFor(db(), talk.id)).at(-1)).toBe('conversation-deleted');
  });

  it('keep the summary that covers the most messages, in any order of the calls', async () => {
    const talk = await givenTalk(family);
    for (const content of ['One', 'Two', 'Three']) await add(talk, content);
    const save = (upTo: number) => saveSummary(family, { ...idsOf(talk), summary: `To ${upTo}`, upTo });
    await Promise.all([save(2), save(3), save(1)]);

    expect(await save(2)).toMatchObject({ summary: 'To 3', summarizedTo: 3 });
    await expect(save(4)).rejects.toMatchObject({ code: 'FAMILY.INVALID_INPUT', meta: { fields: ['upTo'] } });
  });

  it('are summarized by the responder in steps, except for the last messages', async () => {
    const talk = await givenTalk(family);
    for (let n = 1; n <= 6; n += 1) await add(talk, `Fact ${n}. And more.`);
    const first = await summarizeConversation(family, deterministicResponder(), { ...idsOf(talk), keep: 4 });
    const second = await summarizeConversation(family, deterministicResponder(), { ...idsOf(talk), keep: 2 });

    expect([first.summary, first.summarizedTo]).toEqual(['Fact 1.\nFact 2.', 2]);
    expect([second.summary, second.summarizedTo]).toEqual(['Fact 1.\nFact 2.\nFact 3.\nFact 4.', 4]);
    expect(await summarizeConversation(family, deterministicResponder(), idsOf(talk))).toEqual(second);
  });

  it('do not start with an inactive or unknown member', async () => {
    const { id } = await givenMember(family, { isActive: false });
    const calls = [id, 'nobody'].map((memberId) => startConversation(family, { userId: 'ada', memberId }));

    expect(await outcomes(calls)).toEqual(['FAMILY.MEMBER_INACTIVE', 'FAMILY.MEMBER_NOT_FOUND']);
  });
});
