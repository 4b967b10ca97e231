import type { SeedContext } from '@azora/db-core';
import { repositoryRoot, type TestDatabase } from '@azora/db-testkit';
import { seed } from '../../seed';
import { readSourceFiles } from '../../seed/source';
import {
  callers,
  findNodes,
  openRag,
  plainHashingProvider,
  type Rag,
  search,
  workspaceFreshness,
  workspaceId,
} from '../../src';

const NOW = new Date('2026-10-01T00:00:00Z');
const person = (id: string) => ({
  ...{ id, email: '', name: 'Ada', role: 'student' as const, city: '', country: 'ZA', bio: '' },
});
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  ...{ password: '', services: [], repositoryRoot: repositoryRoot() },
};

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testSeed(db: () => TestDatabase): void {
  describe('the seed of rag', () => {
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url, slowQueryMs: 60_000 });
    });
    afterAll(() => rag.close());

    it('can be searched, has a code graph and indexes, also when it runs twice', async () => {
      const tables = ['rag_chunks', 'code_nodes', 'code_edges', 'index_metadata', 'corpus_entries', 'workspaces'];
      const count = async () =>
        (
          await db().admin(`SELECT ${tables.map((table) => `(SELECT count(*) FROM ${table})::int AS ${table}`).join()}`)
        )[0];
      const counts: unknown[] = [];
      for (const now of [NOW, new Date('2026-10-05T00:00:00Z')]) {
        const handle = seed.open({ url: db().target.admin.href, slowQueryMs: 60_000 });
        await seed.base(handle, { ...CONTEXT, now });
        await handle.close();
        counts.push(await count());
      }
      const id = workspaceId('/workspaces/azora');

      expect(counts[1]).toEqual(counts[0]);
      const asked = { workspaceId: id, text: 'retry a transaction after a deadlock', provider: plainHashingProvider() };
      const found = await search(rag, { ...asked, limit: 3 });
      expect(found.map(({ sourcePath }) => sourcePath)).toContain('/workspaces/azora/packages/core/src/retry.ts');
      const [node] = await findNodes(rag, { workspaceId: id, name: 'findDatabaseError' });
      expect((await callers(rag, { nodeId: node?.id ?? '' })).nodes.length).toBeGreaterThan(0);
      const files = readSourceFiles(CONTEXT.repositoryRoot).length;
      expect(await workspaceFreshness(rag, { workspaceId: id })).toMatchObject([{ files }, { files }]);
    });
  });
}
