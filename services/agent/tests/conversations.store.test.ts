/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Agent,
  addChatMessage,
  addMessage,
  archiveConversation,
  deleteConversation,
  finishExecution,
  getConversation,
  getExecution,
  getMessage,
  listChatMessages,
  listConversations,
  listMessages,
  openAgent,
  reconcile,
  renameConversation,
  restoreConversation,
  startConversation,
} from '../src';
import { eventsOf, fresh, given, givenConversation, givenExecution } from './given';

const CHUNK = {
  query: 'deadlock',
  contentId: '/w/retry.ts',
  chunkIndex: 0,
  chunkContent: 'Runs again',
  score: 0.5,
  sourcePath: '/w/retry.ts',
  contentType: 'Code',
};

describe('conversations', () => {
  const db = useDatabase('agent');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let agent: Agent;
  beforeAll(() => {
    agent = openAgent({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(agent)).toEqual([]);
  });
  afterAll(() => agent.close());

  it('are started once per key, and the same key with other input is an error', async () => {
    const input = { userId: fresh('ada'), title: 'Deadlocks', idempotencyKey: fresh('key') };

    const first = await startConversation(agent, input);
    expect(first).toEqual({
      ...{ id: expect.any(String), title: 'Deadlocks', agentId: null, repositoryPath: null, userId: input.userId },
      ...{ createdAt: clock.now(), updatedAt: clock.now(), archivedAt: null, lastPosition: 0 },
    });
    expect(await startConversation(agent, input)).toEqual(first);
    await expect(startConversation(agent, { ...input, title: 'Locks' })).rejects.toMatchObject({
      code: 'AGENT.KEY_REUSED',
    });
    expect(await eventsOf(db(), first.id)).toEqual(['conversation-started']);
  });

  it('are found by their owner only; those of agents have no owner', async () => {
    const conversation = await givenConversation(agent);
    const own = await givenConversation(agent, null);
    const asked = { conversationId: conversation.id, userId: fresh('eve') };
    const notFound = { code: 'AGENT.CONVERSATION_NOT_FOUND' };

    expect(await getConversation(agent, { conversationId: own.id, userId: null })).toEqual(own);
    for (const userId of [asked.userId, null]) {
      const input = { ...asked, userId };
      await expect(getConversation(agent, input)).rejects.toMatchObject(notFound);
      await expect(renameConversation(agent, { ...input, title: 'Mine' })).rejects.toMatchObject(notFound);
      await expect(archiveConversation(agent, input)).rejects.toMatchObject(notFound);
      await expect(listMessages(agent, input)).rejects.toMatchObject(notFound);
      await expect(given(agent, { id: conversation.id, userId })).rejects.toMatchObject(notFound);
      await expect(givenExecution(agent, input)).rejects.toMatchObject(notFound);
      expect(await deleteConversation(agent, input)).toBe(false);
    }
    expect(await getConversation(agent, { ...asked, userId: conversation.userId })).toEqual(conversation);
  });

  it('are renamed, archived and restored', async () => {
    const { id: conversationId, userId } = await givenConversation(agent);
    const asked = { conversationId, userId };
    await clock.move(1_000);

    expect(await renameConversation(agent, { ...asked, title: null })).toMatchObject({
      title: null,
      updatedAt: clock.now(),
    });
    const archived = await archiveConversation(agent, asked);
    expect(archived.archivedAt).toEqual(clock.now());
    await clock.move(1_000);
    expect(await archiveConversation(agent, asked)).toEqual(archived);
    await expect(given(agent, archived)).rejects.toMatchObject({ code: 'AGENT.CONVERSATION_ARCHIVED' });
    const ids = async (show?: 'archived' | 'all') =>
      (await listConversations(agent, { userId, ...(show && { show }) })).items.map(({ id }) => id);
    expect([await ids(), await ids('archived'), await ids('all')]).toEqual([[], [conversationId], [conversationId]]);
    expect((await restoreConversation(agent, asked)).archivedAt).toBeNull();
    expect(await given(agent, archived)).toMatchObject({ position: 1 });
  });

  it('are listed newest first, page by page, also those of one moment', async () => {
    const userId = fresh('ada');
    const made = [];
    for (let n = 0; n < 5; n += 1) {
      if (n === 3) await clock.move(1);
      made.push(await givenConversation(agent, userId));
    }
    const pages: (readonly string[])[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await listConversations(agent, { userId, limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      pages.push(page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    }

    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(pages.flat().slice(0, 2).sort()).toEqual(
      made
        .slice(3)
        .map(({ id }) => id)
        .sort(),
    );
    expect(pages.flat().toSorted()).toEqual(made.map(({ id }) => id).toSorted());
  });

  it('number their messages, which keep their order and are listed newest first', async () => {
    const conversation = await givenConversation(agent);
    for (let n = 1; n <= 5; n += 1) await given(agent, conversation, { content: `Message ${n}` });
    const asked = { conversationId: conversation.id, userId: conversation.userId, limit: 3 };

    const first = await listMessages(agent, asked);
    const second = await listMessages(agent, { ...asked, cursor: first.nextCursor ?? '' });

    expect([first, second].map(({ items }) => items.map(({ position }) => position))).toEqual([
      [5, 4, 3],
      [2, 1],
    ]);
    expect(first.items[0]).toEqual({
      ...{ id: expect.any(String), conversationId: conversation.id, userId: conversation.userId, position: 5 },
      ...{ role: 'user', content: 'Message 5', model: null, tokensUsed: null, createdAt: clock.now() },
    });
    expect(second.nextCursor).toBeNull();
    expect(
      await getConversation(agent, { conversationId: conversation.id, userId: conversation.userId }),
    ).toMatchObject({
      lastPosition: 5,
    });
  });

  it('keep a message with its retrieved context, or neither', async () => {
    const conversation = await givenConversation(agent);
    const context = [CHUNK, { ...CHUNK, chunkIndex: 1, score: 0.9, retrievedAt: new Date('2026-02-28T00:00:00Z') }];
    const key = fresh('key');
    const input = {
      role: 'assistant',
      content: 'Again',
      model: 'm',
      tokensUsed: 7,
      context,
      idempotencyKey: key,
    } as const;

    const message = await given(agent, conversation, input);
    expect(await given(agent, conversation, input)).toEqual(message);
    const found = await getMessage(agent, { messageId: message.id, userId: conversation.userId });
    expect(found).toMatchObject({ ...message, model: 'm', tokensUsed: 7, position: 1 });
    expect(found.context.map(({ score, chunkIndex }) => [score, chunkIndex])).toEqual([
      [0.9, 1],
      [0.5, 0],
    ]);
    expect(found.context.map(({ retrievedAt }) => retrievedAt)).toEqual([
      new Date('2026-02-28T00:00:00Z'),
      clock.now(),
    ]);
    await expect(getMessage(agent, { messageId: message.id, userId: 'eve' })).rejects.toMatchObject({
      code: 'AGENT.MESSAGE_NOT_FOUND',
    });
    const broken = { key: fresh('key'), input: { ...conversation, ...input, conversationId: conversation.id } };
    const bad = JSON.stringify({ ...broken.input, context: [{ ...CHUNK, score: 2 }] });
    await expect(db().app('SELECT add_message($1, $2)', [broken.key, bad])).rejects.toMatchObject({
      constraint: 'message_rag_contexts_score_check',
    });
    expect(await listMessages(agent, { conversationId: conversation.id, userId: conversation.userId })).toMatchObject({
      items: [{ position: 1 }],
    });
  });

  it('are deleted with their messages and context; executions stay, and a repeat finds nothing', async () => {
    const conversation = await givenConversation(agent);
    const asked = { conversationId: conversation.id, userId: conversation.userId };
    const said = { ...asked, role: 'user', content: 'Why?', context: [CHUNK], idempotencyKey: fresh('key') } as const;
    const { id: messageId } = await addMessage(agent, said);
    const { id: executionId } = await givenExecution(agent, asked);
    await finishExecution(agent, { executionId });

    expect(await deleteConversation(agent, asked)).toBe(true);
    expect(await deleteConversation(agent, asked)).toBe(false);
    await expect(addMessage(agent, said)).rejects.toMatchObject({ code: 'AGENT.MESSAGE_NOT_FOUND' });
    expect(await db().admin('SELECT 1 FROM message_rag_contexts WHERE message_id = $1', [messageId])).toEqual([]);
    expect(await getExecution(agent, { executionId })).toMatchObject({ conversationId: null, status: 'succeeded' });
    expect(await eventsOf(db(), conversation.id)).toEqual([
      'conversation-started',
      'message-added',
      'conversation-deleted',
    ]);
  });

  it('of Aurora have lines by session, newest first, that are added once', async () => {
    const userId = fresh('ada');
    const session = { sessionId: fresh('aurora'), userId };
    const input = { ...session, role: 'user', content: 'Up?', metadata: { channel: 'web' } } as const;
    const key = fresh('key');
    const first = await addChatMessage(agent, { ...input, idempotencyKey: key });
    expect(await addChatMessage(agent, { ...input, idempotencyKey: key })).toEqual(first);
    await addChatMessage(agent, { ...input, role: 'aurora', content: 'Yes.', idempotencyKey: fresh('key') });

    const page = await listChatMessages(agent, { ...session, limit: 1 });
    const rest = await listChatMessages(agent, { ...session, cursor: page.nextCursor ?? '' });

    expect(page.items).toMatchObject([{ role: 'aurora', content: 'Yes.', userId }]);
    expect(rest).toEqual({ items: [first], nextCursor: null });
    expect(first).toMatchObject({ metadata: { channel: 'web' }, createdAt: clock.now() });
    expect((await listChatMessages(agent, { ...session, userId: 'eve' })).items).toEqual([]);
  });

  it.each([
    ['userId', { userId: 'a b' }],
    ['title', { title: ' ' }],
    ['title', { title: 'x'.repeat(501) }],
    ['agentId', { agentId: '<script>' }],
    ['repositoryPath', { repositoryPath: 'a\0b' }],
    ['idempotencyKey', { idempotencyKey: '' }],
    ['input', { owner: 'x' }],
  ])('reject a bad %s and show no value', async (field, change) => {
    const input = { userId: 'ada', idempotencyKey: fresh('key'), ...change };

    await expect(startConversation(agent, input)).rejects.toMatchObject({
      code: 'AGENT.INVALID_INPUT',
      meta: { fields: [field] },
    });
  });

  it.each([
    ['conversationId', { conversationId: 'x' }],
    ['role', { role: 'aurora' }],
    ['content', { content: '' }],
    ['content', { content: 'x'.repeat(100_001) }],
    ['content', { content: '\ud800' }],
    ['tokensUsed', { tokensUsed: -1 }],
    ['context', { context: [{ ...CHUNK, score: Number.NaN }] }],
    ['context', { context: [{ ...CHUNK, score: 1.01 }] }],
    ['context', { context: Array(101).fill(CHUNK) }],
    ['context', { context: [{ ...CHUNK, retrievedAt: new Date(Number.NaN) }] }],
  ])('reject a message with a bad %s', async (field, change) => {
    const conversation = { id: '00000000-0000-7000-8000-000000000001', userId: 'ada' };

    await expect(given(agent, conversation, change as never)).rejects.toMatchObject({
      code: 'AGENT.INVALID_INPUT',
      meta: { fields: [field] },
    });
  });

  it('reject a cursor of another list', async () => {
    const cursor = Buffer.from('1 not-a-uuid').toString('base64url');

    await expect(listConversations(agent, { userId: 'ada', cursor })).rejects.toMatchObject({
      code: 'AGENT.INVALID_INPUT',
    });
  });
});
