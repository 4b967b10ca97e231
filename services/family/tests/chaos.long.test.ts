/** @server none */
import { type ChaosCall, type ChaosServer, callUnderKills, openChaosServer, testEffort } from '@azora/db-testkit';
import {
  answerMessage,
  appendMessage,
  deleteConversation,
  endConversation,
  erasePerson,
  type Family,
  openFamily,
  reconcile,
  recordInteraction,
  startConversation,
} from '../src';
import { fresh, givenMember } from './given';

const CLIENTS = 8;
const KILLS = 2 * testEffort();
const CALLS = 300;
const USERS = 5;
const TEXTS = ['I love my garden', 'It is awful today', 'The train leaves at nine'];

describe('the family on a server that is killed', () => {
  let server: ChaosServer;
  let family: Family;
  const memberIds: string[] = [];
  beforeAll(async () => {
    server = await openChaosServer('family');
    family = openFamily({ url: server.url, pool: { max: CLIENTS }, slowQueryMs: 3_600_000 });
    for (let n = 0; n < 2; n += 1) memberIds.push((await givenMember(family)).id);
  });
  afterAll(async () => {
    await family.close();
    await server.close();
  });

  /** The ids that the clients know. The database must hold them, and no others. */
  const known = { messages: new Set<string>(), interactions: new Set<string>() };
  let made = 0;

  /** Clients share users. The conversations of some users are deleted, so that what they said is not counted. */
  function next(): ChaosCall {
    made += 1;
    const kept = `ada-${made % USERS}`;
    const gone = `gone-${made % USERS}`;
    const memberId = memberIds[made % 2] ?? '';
    const start = (userId: string) => startConversation(family, { userId, memberId });
    const idempotencyKey = fresh('key');
    const content = TEXTS[made % TEXTS.length] ?? '';
    switch (made % 10) {
      case 0:
        return ['end', async () => endConversation(family, { userId: kept, conversationId: (await start(kept)).id })];
      case 1:
        return [
          'delete',
          async () => deleteConversation(family, { userId: gone, conversationId: (await start(gone)).id }),
        ];
      case 2:
        return ['erase', () => erasePerson(family, gone)];
      case 3:
        return [
          'interact',
          async () => {
            const met = { userId: kept, memberId, kind: 'advice', text: content, idempotencyKey } as const;
            known.interactions.add((await recordInteraction(family, met)).id);
          },
        ];
      case 4:
      case 5:
        return [
          'talk of the deleted',
          async () => {
            const talk = { conversationId: (await start(gone)).id, userId: gone };
            const { position } = await appendMessage(family, { ...talk, content, idempotencyKey });
            await answerMessage(family, { ...talk, position, content: 'I see.' });
          },
        ];
      default:
        return ['talk', talkIn(kept, start, { content, idempotencyKey })];
    }
  }

  /** Says something, and answers it. A repeated call uses the same conversation. */
  function talkIn(
    userId: string,
    start: (userId: string) => Promise<{ readonly id: string }>,
    said: { readonly content: string; readonly idempotencyKey: string },
  ): () => Promise<void> {
    let conversationId: string | undefined;
    return async () => {
      conversationId ??= (await start(userId)).id;
      const { id, position } = await appendMessage(family, { conversationId, userId, ...said });
      known.messages.add(id);
      const answer = await answerMessage(family, { conversationId, userId, position, content: 'I see.' });
      known.messages.add(answer.id);
    };
  }

  async function check(): Promise<void> {
    expect(await reconcile(family)).toEqual([]);
    const [found] = await server.admin(`SELECT
      (SELECT jsonb_agg(id ORDER BY id COLLATE "C") FROM messages WHERE user_id LIKE 'ada-%') AS messages,
      (SELECT jsonb_agg(id ORDER BY id COLLATE "C") FROM family_interactions WHERE kind = 'advice') AS interactions,
      (SELECT count(*)::int FROM outbox WHERE type = 'family.message-added.v1' AND payload ->> 'userId' LIKE 'ada-%') AS events`);
    expect(found).toEqual({
      messages: [...known.messages].sort(),
      interactions: [...known.interactions].sort(),
      events: known.messages.size,
    });
    expect(await severalOpen()).toEqual([]);
  }

  const severalOpen = () =>
    server.admin(`SELECT user_id, member_id FROM conversations WHERE ended_at IS NULL GROUP BY user_id, member_id
      HAVING count(*) > 1`);

  it('keeps what it confirmed and does each repeated call once', async () => {
    const run = { clients: CLIENTS, kills: KILLS, calls: CALLS, next, check };
    const refusals = /^FAMILY\.CONVERSATION_(ENDED|NOT_FOUND)$/;
    const { done, lost } = await callUnderKills(server, { ...run, refusals });

    expect(Object.keys(done).sort()).toEqual(['delete', 'end', 'erase', 'interact', 'talk', 'talk of the deleted']);
    expect(lost).toBeGreaterThan(0);
  });
});
