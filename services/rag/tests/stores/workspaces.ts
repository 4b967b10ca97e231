import type { TestDatabase } from '@azora/db-testkit';
import {
  findWorkspace,
  finishIndex,
  getWorkspace,
  listIndexedFiles,
  listWorkspaces,
  openRag,
  putFiles,
  putGraph,
  type Rag,
  registerWorkspace,
  removeWorkspace,
  workspaceFreshness,
  workspaceId,
} from '../../src';
import { fresh, givenProvider, givenStores, givenWorkspace, graphFile, hashOf, outcomes } from '../given';

const COMMIT = 'a'.repeat(40);

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testWorkspaces(db: () => TestDatabase): void {
  describe('workspaces', () => {
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url });
    });
    afterAll(() => rag.close());

    it('are registered once per path, whatever its spelling', async () => {
      const first = await registerWorkspace(rag, { path: 'C:\\Work\\Aura', isGitRepository: true });

      expect(first).toMatchObject({
        id: workspaceId('c:/work/aura'),
        name: 'Aura',
        path: 'C:\\Work\\Aura',
        isGitRepository: true,
      });
      const again = await registerWorkspace(rag, { path: 'c:/work/aura/', name: 'renamed', currentCommitSha: COMMIT });
      expect(again).toMatchObject({
        path: 'C:\\Work\\Aura',
        name: 'renamed',
        currentCommitSha: COMMIT,
        isGitRepository: true,
      });
      expect(await registerWorkspace(rag, { path: 'C:/Work/Aura' })).toEqual(again);
      expect(await findWorkspace(rag, { workspaceId: first.id })).toEqual(again);
    });

    it('are one when eight calls register a path at once, with one event', async () => {
      const path = `/race/${fresh('path')}`;
      const stores = givenStores(db(), 8);

      const rows = await Promise.all(stores.map((store) => registerWorkspace(store, { path })));

      expect(new Set(rows.map(({ id }) => id)).size).toBe(1);
      expect(await db().admin('SELECT type FROM outbox WHERE key = $1', [workspaceId(path)])).toEqual([
        { type: 'rag.workspace-registered.v1' },
      ]);
      await Promise.all(stores.map((store) => store.close()));
    });

    it('are listed newest first, page by page', async () => {
      for (let n = 0; n < 5; n += 1) await givenWorkspace(rag);
      const all = (await listWorkspaces(rag, { limit: 200 })).items.map(({ id }) => id);
      const paged: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof listWorkspaces>> = await listWorkspaces(rag, {
          limit: 2,
          ...(cursor && { cursor }),
        });
        paged.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor;
      } while (cursor !== null);

      expect(paged).toEqual(all);
      expect(all.length).toBeGreaterThanOrEqual(5);
    });

    it('tell how fresh their indexes are', async () => {
      const { id } = await registerWorkspace(rag, { path: `/fresh/${fresh('path')}`, currentCommitSha: COMMIT });
      const files = ['a.ts', 'b.ts'].map((path) => ({ path, contentHash: hashOf(path), chunks: [{ text: path }] }));
      await putFiles(rag, { workspaceId: id, provider: givenProvider(), files });
      await putGraph(rag, { workspaceId: id, files: [graphFile('a.ts', ['f'])] });
      await finishIndex(rag, { workspaceId: id, index: 'rag', commitSha: COMMIT });

      const [chunks, graph] = await workspaceFreshness(rag, { workspaceId: id });

      expect(chunks).toEqual({
        ...{ index: 'rag', indexedAt: expect.any(Date), indexedCommitSha: COMMIT, isCurrent: true, files: 2 },
        newestFileAt: expect.any(Date),
      });
      expect(graph).toMatchObject({ index: 'graph', indexedAt: null, isCurrent: null, files: 1 });
      await registerWorkspace(rag, {
        path: (await getWorkspace(rag, { workspaceId: id })).path,
        currentCommitSha: 'b'.repeat(40),
      });
      expect((await workspaceFreshness(rag, { workspaceId: id }))[0]).toMatchObject({ isCurrent: false });
      const listed = await listIndexedFiles(rag, { workspaceId: id, index: 'rag', limit: 1 });
      expect(listed.items).toHaveLength(1);
      const rest = await listIndexedFiles(rag, { workspaceId: id, index: 'rag', cursor: listed.nextCursor ?? '' });
      expect([...listed.items, ...rest.items].map(({ filePath }) => filePath).sort()).toEqual(['a.ts', 'b.ts']);
    });

    it('are removed with everything that is indexed of them, and of nothing else', async () => {
      const [gone, kept] = [await givenWorkspace(rag), await givenWorkspace(rag)];
      for (const { id: workspaceId } of [gone, kept]) {
        const files = [{ path: 'a.ts', contentHash: hashOf('a'), chunks: [{ text: 'same' }] }];
        await putFiles(rag, { workspaceId, provider: givenProvider(), files });
        await putGraph(rag, { workspaceId, files: [graphFile('a.ts', ['f', 'g'], ['f>g'])] });
      }
      const count = async (path: string) =>
        (
          await db().admin(
            `SELECT (SELECT count(*) FROM rag_chunks WHERE workspace_path = $1)::int AS chunks,
              (SELECT count(*) FROM code_edges JOIN code_nodes AS n ON n.id = source_node_id WHERE repository_path = $1)::int AS edges,
              (SELECT count(*) FROM index_metadata WHERE workspace_path = $1)::int AS files`,
            [path],
          )
        )[0];

      expect(await removeWorkspace(rag, { workspaceId: gone.id })).toBe(true);
      expect(await removeWorkspace(rag, { workspaceId: gone.id })).toBe(false);

      expect(await count(gone.path)).toEqual({ chunks: 0, edges: 0, files: 0 });
      expect(await count(kept.path)).toEqual({ chunks: 1, edges: 1, files: 2 });
      expect(await findWorkspace(rag, { workspaceId: gone.id })).toBeNull();
    });

    it.each([
      ['path', { path: ' ' }],
      ['path', { path: 'a\0' }],
      ['path', { path: 'ü'.repeat(700) }],
      ['name', { path: '/a', name: '' }],
      ['currentCommitSha', { path: '/a', currentCommitSha: 'HEAD' }],
    ])('reject an invalid %s', async (field, input) => {
      const call = async () => registerWorkspace(rag, input);

      await expect(call()).rejects.toMatchObject({ code: 'RAG.INVALID_INPUT', meta: { fields: [field] } });
    });

    it('that do not exist are an error', async () => {
      const unknown = { workspaceId: '0'.repeat(16) };
      const calls = [
        getWorkspace(rag, unknown),
        workspaceFreshness(rag, unknown),
        finishIndex(rag, { ...unknown, index: 'graph' }),
        listIndexedFiles(rag, { ...unknown, index: 'rag' }),
      ];

      expect(await outcomes(calls)).toEqual(Array(4).fill('RAG.WORKSPACE_NOT_FOUND'));
    });
  });
}
