/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  abandonSession,
  appendChunk,
  appendMessage,
  beginMessage,
  completeSession,
  finishMessage,
  getSession,
  listInsights,
  listMessages,
  listSessions,
  openSapiens,
  pauseSession,
  rateSession,
  recordInsight,
  resumeSession,
  type Sapiens,
  startSession,
} from '../src';
import { fresh, givenSession, givenStores, MINUTE_MS, outcomes } from './given';

describe('sessions', () => {
  const db = useDatabase('sapiens');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let sapiens: Sapiens;
  beforeAll(() => {
    sapiens = openSapiens({ url: db().url });
  });
  afterAll(() => sapiens.close());

  const append = (sessionId: string, content: string, tokens = 0) =>
    appendMessage(sapiens, { sessionId, role: 'student', content, tokens, idempotencyKey: fresh('key') });

  it('count the minutes without pauses, rounded up', async () => {
    const { id: sessionId } = await givenSession(sapiens);
    await clock.move(10 * MINUTE_MS);
    await pauseSession(sapiens, { sessionId });
    await clock.move(60 * MINUTE_MS);
    await resumeSession(sapiens, { sessionId });
    await clock.move(5 * MINUTE_MS + 1);
    const ended = await completeSession(sapiens, { sessionId, summary: 'Loops are clear.' });

    expect(ended).toMatchObject({ status: 'completed', durationMinutes: 16, summary: 'Loops are clear.' });
    expect(ended).not.toHaveProperty('activeSeconds');
    expect(await completeSession(sapiens, { sessionId })).toEqual(ended);
  });

  it('count nothing after a pause that the end follows, and nothing when the clock goes back', async () => {
    const { id: paused } = await givenSession(sapiens);
    await pauseSession(sapiens, { sessionId: paused });
    await clock.move(60 * MINUTE_MS);
    expect(await abandonSession(sapiens, { sessionId: paused })).toMatchObject({ durationMinutes: 0 });

    const { id: sessionId } = await givenSession(sapiens);
    await clock.move(-MINUTE_MS);
    expect(await completeSession(sapiens, { sessionId })).toMatchObject({ durationMinutes: 0 });
  });

  it('are active one at a time: of eight that start at once, one does', async () => {
    const stores = givenStores(db(), 4);
    const studentId = fresh('student');
    const found = await outcomes(
      Array.from({ length: 8 }, (_, n) =>
        startSession(stores[n % 4] ?? sapiens, { studentId, topic: 'Loops', idempotencyKey: fresh('key') }),
      ),
    );
    expect([...found].sort()).toEqual([...Array(7).fill('SAPIENS.SESSION_ACTIVE'), 'done']);

    const { items: rows } = await listSessions(sapiens, { studentId, status: 'active' });
    await pauseSession(sapiens, { sessionId: rows[0]?.id ?? '' });
    await givenSession(sapiens, studentId);
    await expect(resumeSession(sapiens, { sessionId: rows[0]?.id ?? '' })).rejects.toMatchObject({
      code: 'SAPIENS.SESSION_ACTIVE',
    });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('start once per key, and reject the key with other input', async () => {
    const input = { studentId: fresh('student'), topic: 'Loops', idempotencyKey: fresh('key') };
    const stores = givenStores(db(), 4);
    const made = await Promise.all(stores.map((store) => startSession(store, input)));

    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    await expect(startSession(sapiens, { ...input, topic: 'Lists' })).rejects.toMatchObject({
      code: 'SAPIENS.KEY_REUSED',
      kind: 'usage',
    });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('number messages from 1 without gaps when clients append at once, and count messages and tokens', async () => {
    const { id: sessionId } = await givenSession(sapiens);
    const stores = givenStores(db(), 4);
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        appendMessage(stores[n % 4] ?? sapiens, {
          ...{ sessionId, role: 'tutor', content: `Message ${n}`, tokens: 3, confidence: 0.5 },
          idempotencyKey: fresh('key'),
        }),
      ),
    );

    const first = await listMessages(sapiens, { sessionId, limit: 15 });
    const second = await listMessages(sapiens, { sessionId, limit: 15, cursor: first.nextCursor ?? '' });
    expect([...first.items, ...second.items].map(({ position }) => position)).toEqual(
      Array.from({ length: 20 }, (_, n) => 20 - n),
    );
    expect(second.nextCursor).toBeNull();
    expect(await getSession(sapiens, { sessionId })).toMatchObject({ messageCount: 20, tokenCount: 60 });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('append a message once per key, also when the session was paused meanwhile', async () => {
    const { id: sessionId } = await givenSession(sapiens);
    const input = { sessionId, role: 'student', content: 'Why?', tokens: 2, idempotencyKey: fresh('key') } as const;
    const { id } = await appendMessage(sapiens, input);
    await pauseSession(sapiens, { sessionId });

    expect((await appendMessage(sapiens, input)).id).toBe(id);
    await expect(append(sessionId, 'More')).rejects.toMatchObject({ code: 'SAPIENS.SESSION_NOT_ACTIVE' });
    expect(await getSession(sapiens, { sessionId })).toMatchObject({ messageCount: 1, tokenCount: 2 });
  });

  it('stream a message in chunks, each once and in its order', async () => {
    const { id: sessionId } = await givenSession(sapiens);
    const { id: messageId, position } = await beginMessage(sapiens, { sessionId, idempotencyKey: fresh('key') });
    const chunk = (number: number, content: string, tokens = 1) =>
      appendChunk(sapiens, { messageId, number, content, tokens });
    await chunk(1, 'A loop ');
    await append(sessionId, 'Go on!', 2);
    await chunk(2, 'repeats.', 4);
    await chunk(2, 'repeats.', 4);

    await expect(chunk(2, 'ends.')).rejects.toMatchObject({ code: 'SAPIENS.CHUNK_ORDER', meta: { next: 3 } });
    await expect(chunk(4, 'x')).rejects.toMatchObject({ code: 'SAPIENS.CHUNK_ORDER', meta: { next: 3 } });
    const { items: rows } = await listMessages(sapiens, { sessionId });
    expect(rows.map((it) => [it.position, it.status, it.content])).toEqual([
      [position + 1, 'complete', 'Go on!'],
      [position, 'streaming', 'A loop repeats.'],
    ]);
    const ended = await finishMessage(sapiens, { messageId, confidence: 0.9 });
    expect(ended).toMatchObject({ status: 'complete', content: 'A loop repeats.', tokens: 5, confidence: 0.9 });
    expect(await finishMessage(sapiens, { messageId })).toEqual(ended);
    await expect(chunk(3, 'x')).rejects.toMatchObject({ code: 'SAPIENS.MESSAGE_ENDED' });
    expect(await getSession(sapiens, { sessionId })).toMatchObject({ messageCount: 2, tokenCount: 7 });
    expect(await db().admin('SELECT * FROM message_chunks WHERE message_id = $1', [messageId])).toEqual([]);
  });

  it('append a chunk once when clients race for its number', async () => {
    const { id: sessionId } = await givenSession(sapiens);
    const { id: messageId } = await beginMessage(sapiens, { sessionId, idempotencyKey: fresh('key') });
    const stores = givenStores(db(), 4);
    const found = await outcomes(
      stores.map((store, n) => appendChunk(store, { messageId, number: 1, content: `from ${n}` })),
    );

    expect([...found].sort()).toEqual([...Array(3).fill('SAPIENS.CHUNK_ORDER'), 'done']);
    expect((await finishMessage(sapiens, { messageId })).content).toBe(`from ${found.indexOf('done')}`);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('end streaming messages with what was streamed, or cancel them', async () => {
    const { id: sessionId } = await givenSession(sapiens);
    const begin = () => beginMessage(sapiens, { sessionId, idempotencyKey: fresh('key') });
    const [{ id: begun }, { id: empty }, { id: blank }] = [await begin(), await begin(), await begin()];
    await appendChunk(sapiens, { messageId: begun, number: 1, content: 'Half a', tokens: 2 });
    await appendChunk(sapiens, { messageId: blank, number: 1, content: '\n' });
    await completeSession(sapiens, { sessionId });

    const { items: rows } = await listMessages(sapiens, { sessionId });
    expect(rows.map(({ id, status, content }) => [id, status, content])).toEqual([
      [blank, 'cancelled', ''],
      [empty, 'cancelled', ''],
      [begun, 'complete', 'Half a'],
    ]);
    expect(await getSession(sapiens, { sessionId })).toMatchObject({ messageCount: 3, tokenCount: 2 });
  });

  it('are rated after their end', async () => {
    const { id: sessionId } = await givenSession(sapiens);
    await expect(rateSession(sapiens, { sessionId, rating: 5 })).rejects.toMatchObject({
      code: 'SAPIENS.SESSION_NOT_ENDED',
    });
    await completeSession(sapiens, { sessionId });
    expect(await rateSession(sapiens, { sessionId, rating: 4 })).toMatchObject({ rating: 4 });
  });

  it('list by cursor, the last one first, and insights by student and kind', async () => {
    const studentId = fresh('student');
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const { id: sessionId } = await givenSession(sapiens, studentId);
      ids.unshift(sessionId);
      const insight = {
        sessionId,
        kind: 'weakness',
        topic: 'Loops',
        content: 'Forgets the end',
        confidence: 0.7,
      } as const;
      const idempotencyKey = fresh('key');
      const recorded = await recordInsight(sapiens, { ...insight, idempotencyKey });
      expect((await recordInsight(sapiens, { ...insight, idempotencyKey })).id).toBe(recorded.id);
      await completeSession(sapiens, { sessionId });
      await clock.move(1);
    }
    const first = await listSessions(sapiens, { studentId, limit: 2 });
    const second = await listSessions(sapiens, { studentId, limit: 2, cursor: first.nextCursor ?? '' });

    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids);
    expect(second.nextCursor).toBeNull();
    const insights = await listInsights(sapiens, { studentId, kind: 'weakness' });
    expect(insights.items.map(({ sessionId }) => sessionId)).toEqual(ids);
    expect((await listInsights(sapiens, { sessionId: ids[0] ?? '', kind: 'strength' })).items).toEqual([]);
  });

  it.each([
    ['startSession', () => startSession(sapiens, { studentId: 's', topic: ' ', idempotencyKey: 'k' }), 'topic'],
    ['rateSession', () => rateSession(sapiens, { sessionId: 's', rating: 6 }), 'rating'],
    ['appendChunk', () => appendChunk(sapiens, { messageId: 'm', number: 0, content: 'x' }), 'number'],
    ['appendChunk', () => appendChunk(sapiens, { messageId: 'm', number: 1, content: '' }), 'content'],
    [
      'appendMessage',
      async () => {
        const { id: sessionId } = await givenSession(sapiens);
        const message = { sessionId, role: 'student', content: 'x', confidence: 0.5 } as const;
        return appendMessage(sapiens, { ...message, idempotencyKey: fresh('key') });
      },
      'confidence',
    ],
    ['listMessages', () => listMessages(sapiens, { sessionId: 's', cursor: 'x' }), 'cursor'],
  ])('%s names the invalid field', async (_name, call, field) => {
    await expect(call()).rejects.toMatchObject({ code: 'SAPIENS.INVALID_INPUT', meta: { fields: [field] } });
  });

  it.each([
    ['getSession', () => getSession(sapiens, { sessionId: 'none' }), 'SAPIENS.SESSION_NOT_FOUND'],
    ['pauseSession', () => pauseSession(sapiens, { sessionId: 'none' }), 'SAPIENS.SESSION_NOT_FOUND'],
    ['appendMessage', () => append('none', 'x'), 'SAPIENS.SESSION_NOT_FOUND'],
    ['finishMessage', () => finishMessage(sapiens, { messageId: 'none' }), 'SAPIENS.MESSAGE_NOT_FOUND'],
  ])('%s rejects an unknown id', async (_name, call, code) => {
    await expect(call()).rejects.toMatchObject({ code });
  });
});
