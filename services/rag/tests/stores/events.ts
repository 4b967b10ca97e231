import type { TestDatabase } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import {
  EVENTS,
  finishIndex,
  openRag,
  putContents,
  type Rag,
  reembedWorkspace,
  registerWorkspace,
  removeWorkspace,
} from '../../src';
import { fresh, givenProvider, givenWorkspace } from '../given';

/** Text of a person, which no event repeats. */
const SECRET = 'Ada Lovelace, ada@azora.world';

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testEvents(db: () => TestDatabase): void {
  describe('the events of rag', () => {
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url });
    });
    afterAll(() => rag.close());

    it('are of every type, fit their schemas, have the key of their type, and repeat no text', async () => {
      const { id: workspaceId } = await registerWorkspace(rag, { path: `/home/${SECRET}`, name: SECRET });
      const contents = [{ contentId: SECRET, chunks: [{ text: SECRET, title: SECRET }] }];
      await putContents(rag, { workspaceId, provider: givenProvider(8, `by ${SECRET}`), contents });
      await finishIndex(rag, { workspaceId, index: 'rag', commitSha: 'a'.repeat(40) });
      await finishIndex(rag, { workspaceId, index: 'graph' });
      await reembedWorkspace(rag, { workspaceId, provider: givenProvider(16, `new ${SECRET}`) });
      await removeWorkspace(rag, { workspaceId });

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
      const { id: workspaceId, path } = await givenWorkspace(rag);
      const provider = givenProvider();
      await putContents(rag, {
        workspaceId,
        provider,
        contents: [{ contentId: fresh('content'), chunks: [{ text: 'a' }] }],
      });
      const count = async () => (await db().admin('SELECT count(*)::int AS events FROM outbox'))[0];
      const before = await count();

      await registerWorkspace(rag, { path, name: 'again' });
      await reembedWorkspace(rag, { workspaceId, provider });
      await removeWorkspace(rag, { workspaceId: '0'.repeat(16) });
      await finishIndex(rag, { workspaceId: '0'.repeat(16), index: 'rag' }).catch(() => undefined);

      expect(await count()).toEqual(before);
    });
  });
}
