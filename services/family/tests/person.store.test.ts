/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  deterministicResponder,
  erasePerson,
  exportPerson,
  type Family,
  listAffinities,
  openFamily,
  reconcile,
  recordInteraction,
  say,
  startConversation,
  updateConversation,
} from '../src';
import { fresh, givenMember, givenTalk, idsOf } from './given';

describe('a person in family', () => {
  const db = useDatabase('family');
  let family: Family;
  beforeAll(() => {
    family = openFamily({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(family)).toEqual([]);
  });
  afterAll(() => family.close());

  /** A user with a row in every table that has rows about users. */
  async function givenUser(): Promise<string> {
    const talk = await givenTalk(family);
    await updateConversation(family, { ...idsOf(talk), title: 'Pets', context: { pet: 'Simba' } });
    await say(family, deterministicResponder(), { ...idsOf(talk), content: 'My cat is Simba', idempotencyKey: 'a' });
    const metadata = { note: 'Simba' };
    const met = { userId: talk.userId, memberId: talk.memberId, kind: 'story', metadata } as const;
    await recordInteraction(family, { ...met, idempotencyKey: fresh('key') });
    await db().app(`INSERT INTO audit_logs (id, user_id, action) VALUES (gen_random_uuid(), $1, 'family.seen')`, [
      talk.userId,
    ]);
    return talk.userId;
  }

  it('gets an export of every row about them', async () => {
    const userId = await givenUser();
    const found = await exportPerson(family, userId);

    expect(Object.fromEntries(Object.entries(found).map(([list, rows]) => [list, rows.length]))).toEqual({
      ...{
        conversations: 1,
        messages: 2,
        interactions: 2,
        affinities: 1,
        memoryWords: expect.any(Number),
        auditLogs: 1,
      },
    });
    expect(found['messages']?.[0]).toMatchObject({ content: 'My cat is Simba', user_id: userId });
    expect(found['messages']?.[0]).not.toHaveProperty('search');
    expect(Object.values(await exportPerson(family, 'nobody')).flat()).toEqual([]);
  });

  it('is erased from every table but the audit log, once, and others stay', async () => {
    const [userId, other] = [await givenUser(), await givenUser()];
    const before = await exportPerson(family, other);

    expect(await erasePerson(family, userId)).toEqual({ conversations: 1, messages: 2, interactions: 2 });
    expect(await erasePerson(family, userId)).toEqual({ conversations: 0, messages: 0, interactions: 0 });

    expect(await exportPerson(family, other)).toEqual(before);
    const columns = await db().admin(`SELECT table_name, column_name FROM information_schema.columns
      WHERE table_schema = 'public' AND column_name = 'user_id' AND table_name <> 'audit_logs'`);
    expect(columns.map(({ table_name: table }) => table).sort()).toEqual(
      ['affinities', 'conversations', 'family_interactions', 'memory_words', 'messages'].sort(),
    );
    for (const { table_name: table } of columns) {
      expect(await db().admin(`SELECT FROM ${table} WHERE user_id = $1`, [userId])).toEqual([]);
    }
    expect((await exportPerson(family, userId))['auditLogs']).toHaveLength(1);
  });

  it('leaves nothing when messages race with the erasure, or starts anew after it', async () => {
    const memberId = (await givenMember(family)).id;
    for (let round = 0; round < 5; round += 1) {
      const userId = fresh('ada');
      const talk = await startConversation(family, { userId, memberId });
      const said = Array.from({ length: 4 }, (_, n) =>
        say(family, deterministicResponder(), { ...idsOf(talk), content: 'Hello', idempotencyKey: `k${n}` }),
      );
      const [erased, ...settled] = await Promise.allSettled([erasePerson(family, userId), ...said]);

      expect(erased.status).toBe('fulfilled');
      const codes = settled.flatMap((it) => (it.status === 'rejected' ? [it.reason.code] : []));
      expect(codes.filter((code) => code !== 'FAMILY.CONVERSATION_NOT_FOUND')).toEqual([]);
      await erasePerson(family, userId);
      expect(await listAffinities(family, { userId })).toEqual([]);
    }
  });

  it.each(['', 'a b', 'x'.repeat(101)])('rejects the id %j', async (userId) => {
    await expect(exportPerson(family, userId)).rejects.toMatchObject({ code: 'FAMILY.INVALID_INPUT' });
    await expect(erasePerson(family, userId)).rejects.toMatchObject({ code: 'FAMILY.INVALID_INPUT' });
  });
});
