/** @server any */
import { useDatabase } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import {
  appendMessage,
  deleteConversation,
  deterministicResponder,
  EVENTS,
  endConversation,
  type Family,
  openFamily,
  recordInteraction,
  say,
} from '../src';
import { givenTalk, idsOf } from './given';

/** Text of a person, which no event repeats. */
const SECRET = 'Ada Lovelace, ada@azora.world';

describe('the events of family', () => {
  const db = useDatabase('family');
  let family: Family;
  beforeAll(() => {
    family = openFamily({ url: db().url });
  });
  afterAll(() => family.close());

  it('are of every type, fit their schemas, have the key of their type, and repeat no text', async () => {
    const talk = await givenTalk(family);
    await say(family, deterministicResponder(), { ...idsOf(talk), content: SECRET, idempotencyKey: 'a' });
    await appendMessage(family, { ...idsOf(talk), role: 'system', content: SECRET, idempotencyKey: 'b' });
    await recordInteraction(family, {
      ...{ userId: talk.userId, memberId: talk.memberId, kind: 'story', text: SECRET, metadata: { note: SECRET } },
      idempotencyKey: 'c',
    });
    await endConversation(family, idsOf(talk));
    await deleteConversation(family, idsOf(talk));

    const published = await db().admin('SELECT type, key, payload FROM outbox ORDER BY position');
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const types = new Map(EVENTS.map((event) => [event.type, event as (typeof EVENTS)[number]]));
    const faults = published.filter(({ type, key: found, payload }) => {
      const event = types.get(String(type));
      return event === undefined || !ajv.validate(event.jsonSchema, payload) || event.key(payload as never) !== found;
    });

    expect(faults).toEqual([]);
    expect([...new Set(published.map(({ type }) => String(type)))].sort()).toEqual(
      EVENTS.map(({ type }) => type).sort(),
    );
    expect(JSON.stringify(published)).not.toContain('Ada');
  });

  it('are not published by a call that is repeated or rejected', async () => {
    const talk = await givenTalk(family);
    const input = { ...idsOf(talk), content: 'Hello', idempotencyKey: 'a' };
    await say(family, deterministicResponder(), input);
    const count = async () => (await db().admin('SELECT count(*)::int AS events FROM outbox'))[0];
    const before = await count();

    await say(family, deterministicResponder(), input);
    await appendMessage(family, { ...input, content: 'Other' }).catch(() => undefined);
    await endConversation(family, { ...idsOf(talk), userId: 'eve' }).catch(() => undefined);

    expect(await count()).toEqual(before);
  });
});
