import type { TestDatabase } from '@azora/db-testkit';
import { getWorkspace, openRag, putContents, type Rag, reembedWorkspace, removeContents, search } from '../../src';
import { fresh, givenProvider, givenStores, givenWorkspace, outcomes } from '../given';

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testReembedding(db: () => TestDatabase): void {
  describe('reembedWorkspace', () => {
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url, slowQueryMs: 60_000 });
    });
    afterAll(() => rag.close());

    /** A workspace with chunks of the model `old` in one content. */
    async function givenContent(count: number) {
      const { id: workspaceId, path } = await givenWorkspace(rag);
      const contentId = fresh('content');
      const chunks = Array.from({ length: count }, (_, n) => ({ text: `${contentId} text ${n}` }));
      await putContents(rag, { workspaceId, provider: givenProvider(8, 'old'), contents: [{ contentId, chunks }] });
      return { workspaceId, path, contentId, chunks };
    }
    const spaces = async (path: string) =>
      Object.fromEntries(
        (
          await db().admin(
            'SELECT embedding_model AS model, count(*)::int AS chunks FROM rag_chunks WHERE workspace_path = $1 GROUP BY 1',
            [path],
          )
        ).map(({ model, chunks }) => [String(model), chunks]),
      );
    /** Fails when it is asked for the second time. */
    function givenInterrupted(dimension = 12) {
      const provider = givenProvider(dimension, 'new');
      let calls = 0;
      provider.before = () => {
        calls += 1;
        if (calls === 2) throw new Error('interrupted');
      };
      return provider;
    }

    it('answers with the old model until all chunks have the new one, and continues where it was interrupted', async () => {
      const { workspaceId, path, chunks } = await givenContent(200);
      const asked = { workspaceId, text: chunks[7]?.text ?? '', limit: 1 };
      const provider = givenInterrupted();

      await expect(reembedWorkspace(rag, { workspaceId, provider })).rejects.toThrow('interrupted');

      expect(await spaces(path)).toEqual({ old: 200, new: 128 });
      expect(await getWorkspace(rag, { workspaceId })).toMatchObject({
        ...{ embeddingModel: 'old', embeddingDimension: 8, nextEmbeddingModel: 'new', nextEmbeddingDimension: 12 },
      });
      expect(await search(rag, { ...asked, provider: givenProvider(8, 'old') })).toMatchObject([
        { chunkIndex: 7, score: 1 },
      ]);
      await expect(search(rag, { ...asked, provider })).rejects.toMatchObject({ code: 'RAG.MODEL_MISMATCH' });

      const progress: number[] = [];
      expect(await reembedWorkspace(rag, { workspaceId, provider, onProgress: (done) => progress.push(done) })).toBe(
        72,
      );

      expect(progress).toEqual([72]);
      // Each chunk once, and the text of the search.
      expect(provider.asked).toHaveLength(201);
      expect(await spaces(path)).toEqual({ new: 200 });
      expect(await search(rag, { ...asked, provider })).toMatchObject([{ chunkIndex: 7, score: 1 }]);
      await expect(search(rag, { ...asked, provider: givenProvider(8, 'old') })).rejects.toMatchObject({
        code: 'RAG.MODEL_MISMATCH',
        meta: { model: 'new', dimension: 12 },
      });
      expect(await reembedWorkspace(rag, { workspaceId, provider })).toBe(0);
    });

    it('embeds what was written meanwhile, and forgets what was removed', async () => {
      const { workspaceId, path, contentId, chunks } = await givenContent(150);
      const provider = givenProvider(8, 'new');
      const added = fresh('content');
      let calls = 0;
      provider.before = async () => {
        calls += 1;
        if (calls !== 2) return;
        const old = givenProvider(8, 'old');
        const changed = chunks.map((chunk, n) => (n === 3 ? { text: 'changed' } : chunk)).slice(0, 140);
        const contents = [
          { contentId, chunks: changed },
          { contentId: added, chunks: [{ text: 'added' }] },
        ];
        await putContents(rag, { workspaceId, provider: old, contents });
      };

      await reembedWorkspace(rag, { workspaceId, provider });

      expect(await spaces(path)).toEqual({ new: 141 });
      const texts = await db().admin(
        'SELECT content FROM rag_chunks WHERE workspace_path = $1 AND chunk_index IN (0, 3)',
        [path],
      );
      expect(texts.map(({ content }) => content).sort()).toEqual(['added', chunks[0]?.text, 'changed'].sort());
      await removeContents(rag, { workspaceId, contentIds: [contentId, added] });
      expect(await spaces(path)).toEqual({});
    });

    it('to a third model drops what an interrupted one has written, and ends the interrupted one', async () => {
      const { workspaceId, path } = await givenContent(130);
      await reembedWorkspace(rag, { workspaceId, provider: givenInterrupted() }).catch(() => undefined);
      const second = givenProvider(8, 'second');
      second.before = async () => {
        second.before = () => undefined;
        await reembedWorkspace(rag, { workspaceId, provider: givenProvider(8, 'third') });
      };

      const replaced = await reembedWorkspace(rag, { workspaceId, provider: second }).catch((error) => error.code);

      expect(replaced).toBe('RAG.REEMBEDDING_ENDED');
      expect(await spaces(path)).toEqual({ third: 130 });
    });

    it('back to the model that answers gives up the other one', async () => {
      const { workspaceId, path } = await givenContent(130);
      await reembedWorkspace(rag, { workspaceId, provider: givenInterrupted() }).catch(() => undefined);

      expect(await reembedWorkspace(rag, { workspaceId, provider: givenProvider(8, 'old') })).toBe(0);

      expect(await spaces(path)).toEqual({ old: 130 });
      expect(await getWorkspace(rag, { workspaceId })).toMatchObject({
        embeddingModel: 'old',
        nextEmbeddingModel: null,
      });
    });

    it('leaves one space when four calls to four models race with writers', async () => {
      const { workspaceId, path } = await givenContent(60);
      const stores = givenStores(db(), 4);
      const models = stores.map((_, n) => `race-${n}`);

      const calls = stores.flatMap((store, n) => [
        reembedWorkspace(store, { workspaceId, provider: givenProvider(8, models[n]) }),
        putContents(store, {
          ...{ workspaceId, provider: givenProvider(8, 'old') },
          contents: [{ contentId: fresh('content'), chunks: [{ text: `race ${n}` }] }],
        }),
      ]);
      const codes = await outcomes(calls);

      expect(codes.filter((code) => !['done', 'RAG.REEMBEDDING_ENDED', 'RAG.MODEL_MISMATCH'].includes(code))).toEqual(
        [],
      );
      const { embeddingModel, nextEmbeddingModel } = await getWorkspace(rag, { workspaceId });
      // The last one to begin has finished, or nobody was replaced.
      expect([nextEmbeddingModel, models.includes(embeddingModel ?? '')]).toEqual([null, true]);
      expect(Object.keys(await spaces(path))).toEqual([embeddingModel]);
      await Promise.all(stores.map((store) => store.close()));
    });

    it('refuses another dimension of the same model, an unknown workspace and an aborted signal', async () => {
      const { workspaceId } = await givenContent(1);
      const codes = await outcomes([
        reembedWorkspace(rag, { workspaceId, provider: givenProvider(16, 'old') }),
        reembedWorkspace(rag, { workspaceId: '0'.repeat(16), provider: givenProvider() }),
      ]);

      expect(codes).toEqual(['RAG.MODEL_DIMENSION', 'RAG.WORKSPACE_NOT_FOUND']);
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(reembedWorkspace(rag, { workspaceId, provider: givenProvider(8, 'x'), signal })).rejects.toThrow(
        'enough',
      );
    });
  });
}
