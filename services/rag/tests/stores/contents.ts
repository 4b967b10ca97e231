import type { TestDatabase } from '@azora/db-testkit';
import {
  compareFiles,
  fileContentId,
  openRag,
  putContents,
  putFiles,
  type Rag,
  removeContents,
  removeFiles,
  search,
} from '../../src';
import { fresh, givenProvider, givenStores, givenWorkspace, hashOf, outcomes } from '../given';

const textsOf = (texts: readonly string[]) => texts.map((text) => ({ text }));

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testContents(db: () => TestDatabase): void {
  describe('the chunks of contents', () => {
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url, slowQueryMs: 60_000 });
    });
    afterAll(() => rag.close());

    /** The chunks of contents in their order, with the transaction that wrote each. */
    const rowsOf = (...contentIds: string[]) =>
      db().admin(
        `SELECT id, content_id, chunk_index, content, title, metadata, xmin::text FROM rag_chunks WHERE content_id = ANY ($1)
         ORDER BY content_id, chunk_index`,
        [contentIds],
      );
    const contentsOf = async (contentId: string) => (await rowsOf(contentId)).map(({ content }) => content);
    const dump = async () => JSON.stringify(await db().admin('SELECT to_jsonb(r) FROM rag_chunks AS r ORDER BY id'));

    it('are written once: an equal content costs no embedding and no write', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const provider = givenProvider();
      const contentId = fresh('content');
      const put = { workspaceId, provider, contents: [{ contentId, chunks: textsOf(['one', 'two', 'two']) }] };

      expect(await putContents(rag, put)).toEqual({ added: 3, updated: 0, deleted: 0, unchanged: 0, embedded: 2 });
      const before = await rowsOf(contentId);
      expect(await putContents(rag, put)).toEqual({ added: 0, updated: 0, deleted: 0, unchanged: 3, embedded: 0 });

      expect(await rowsOf(contentId)).toEqual(before);
      expect(provider.asked).toEqual(['one', 'two']);
    });

    it('cost an embedding only for new texts, when chunks move, go, and come back under another name', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const provider = givenProvider();
      const [contentId, renamed] = [fresh('content'), fresh('content')];
      const put = (id: string, texts: readonly string[]) =>
        putContents(rag, { workspaceId, provider, contents: [{ contentId: id, chunks: textsOf(texts) }] });
      await put(contentId, ['alpha', 'beta', 'gamma']);

      expect(await put(contentId, ['new', 'alpha', 'beta'])).toMatchObject({ embedded: 1, unchanged: 0 });
      expect(await contentsOf(contentId)).toEqual(['new', 'alpha', 'beta']);
      expect(await put(contentId, ['new', 'beta'])).toEqual({
        ...{ added: 1, updated: 0, deleted: 2, unchanged: 1, embedded: 0 },
      });
      expect(await put(renamed, ['new', 'beta'])).toMatchObject({ added: 2, embedded: 0 });
      expect(await put(contentId, [])).toMatchObject({ deleted: 2 });
      expect([await contentsOf(contentId), await contentsOf(renamed)]).toEqual([[], ['new', 'beta']]);
      expect(provider.asked).toEqual(['alpha', 'beta', 'gamma', 'new']);
    });

    it('keep their rows when only titles, types, paths or lines change', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const provider = givenProvider();
      const contentId = fresh('content');
      const put = (start: number, title: string) => {
        const chunks = [{ text: 'body', title, lines: { start, end: start + 2 } }, { text: 'other' }];
        return putContents(rag, { workspaceId, provider, contents: [{ contentId, contentType: 'Code', chunks }] });
      };
      await put(1, 'f');
      const before = await rowsOf(contentId);

      expect(await put(4, 'g')).toEqual({ added: 0, updated: 1, deleted: 0, unchanged: 1, embedded: 0 });

      const after = await rowsOf(contentId);
      expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
      expect(after[0]).toMatchObject({ title: 'g', metadata: { startLine: 4, endLine: 6 } });
      expect(after[1]).toEqual(before[1]);
    });

    it('are embedded again when another call removes the text that they would share', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const [other, contentId] = [fresh('content'), fresh('content')];
      const provider = givenProvider();
      const chunks = textsOf([fresh('shared')]);
      await putContents(rag, { workspaceId, provider, contents: [{ contentId: other, chunks }] });
      // Between the look for known texts and the write.
      provider.before = async () => {
        await removeContents(rag, { workspaceId, contentIds: [other] });
      };

      const own = fresh('own');
      const contents = [{ contentId, chunks: [...chunks, { text: own }] }];
      expect(await putContents(rag, { workspaceId, provider, contents })).toMatchObject({ added: 2, embedded: 2 });

      expect(await contentsOf(contentId)).toEqual([chunks[0]?.text, own]);
    });

    it('are those of one call when eight calls for one content race', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const contentId = fresh('content');
      const stores = givenStores(db(), 8);
      const versions = stores.map((_, n) => Array.from({ length: 5 }, (_, at) => `text ${at % 2 === 0 ? n : at}`));

      const calls = stores.map((store, n) =>
        putContents(store, {
          ...{ workspaceId, provider: givenProvider() },
          contents: [{ contentId, chunks: textsOf(versions[n] ?? []) }],
        }),
      );

      expect(await outcomes(calls)).toEqual(Array(8).fill('done'));
      expect(versions).toContainEqual(await contentsOf(contentId));
      await Promise.all(stores.map((store) => store.close()));
    });

    it('of one model decide the model of a workspace, also when eight models race', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const stores = givenStores(db(), 8);

      const calls = stores.map((store, n) => {
        const contents = [{ contentId: fresh('content'), chunks: textsOf(['text']) }];
        return putContents(store, { workspaceId, provider: givenProvider(8, `model-${n}`), contents });
      });

      const codes = await outcomes(calls);
      expect(codes.filter((code) => code !== 'done')).toEqual(Array(7).fill('RAG.MODEL_MISMATCH'));
      const [row] = await db().admin(
        `SELECT count(DISTINCT r.embedding_model)::int AS models, min(r.embedding_model) = min(w.embedding_model) AS same
         FROM rag_chunks AS r JOIN workspaces AS w ON w.path = r.workspace_path WHERE w.id = $1`,
        [workspaceId],
      );
      expect(row).toEqual({ models: 1, same: true });
      await Promise.all(stores.map((store) => store.close()));
    });

    it('of another workspace keep their id', async () => {
      const [mine, theirs] = [await givenWorkspace(rag), await givenWorkspace(rag)];
      const contents = [{ contentId: fresh('content'), chunks: textsOf(['text']) }];
      await putContents(rag, { workspaceId: theirs.id, provider: givenProvider(), contents });

      await expect(
        putContents(rag, { workspaceId: mine.id, provider: givenProvider(), contents }),
      ).rejects.toMatchObject({ code: 'RAG.CONTENT_ELSEWHERE' });
      expect(await removeContents(rag, { workspaceId: mine.id, contentIds: [contents[0]?.contentId ?? ''] })).toBe(0);
    });

    it('stay when a provider fails later in the call, and the next call does the rest', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const provider = givenProvider();
      provider.before = (texts) => {
        if (texts.some((text) => text.startsWith('late'))) throw new Error('down');
      };
      const [first, second] = [fresh('content'), fresh('content')];
      const contents = [
        { contentId: first, chunks: textsOf(Array.from({ length: 250 }, (_, n) => `early ${n}`)) },
        { contentId: second, chunks: textsOf(Array.from({ length: 20 }, (_, n) => `late ${n}`)) },
      ];

      await expect(putContents(rag, { workspaceId, provider, contents })).rejects.toThrow('down');
      expect([(await rowsOf(first)).length, (await rowsOf(second)).length]).toEqual([250, 0]);
      provider.before = () => undefined;
      expect(await putContents(rag, { workspaceId, provider, contents })).toEqual({
        ...{ added: 20, updated: 0, deleted: 0, unchanged: 250, embedded: 20 },
      });
    });

    it.each([
      ['another number of embeddings', () => [[1, 1, 1, 1, 1, 1, 1, 1]]],
      ['an embedding of another dimension', () => [Array(7).fill(1), Array(8).fill(1)]],
      ['NaN', () => [Array(8).fill(Number.NaN), Array(8).fill(1)]],
      ['an infinite number', () => [Array(8).fill(1), Array(8).fill(Number.POSITIVE_INFINITY)]],
      ['a number beyond single precision', () => [Array(8).fill(1e39), Array(8).fill(1)]],
      ['zeros', () => [Array(8).fill(0), Array(8).fill(1)]],
    ])('are not changed by a provider that answers with %s', async (_, embed) => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const contentId = fresh('content');
      const chunks = textsOf(['kept', 'too']);
      await putContents(rag, { workspaceId, provider: givenProvider(8, 'broken'), contents: [{ contentId, chunks }] });
      const before = await dump();

      const provider = { model: 'broken', dimension: 8, embed: async () => embed() };
      const contents = [{ contentId, chunks: textsOf([fresh('new'), fresh('new')]) }];
      await expect(putContents(rag, { workspaceId, provider, contents })).rejects.toMatchObject({
        code: 'RAG.PROVIDER_ANSWER',
      });

      expect(await dump()).toBe(before);
    });

    it.each([
      ['contents', { chunks: textsOf(['']) }],
      ['contents', { chunks: textsOf([' \n']) }],
      ['contents', { chunks: textsOf(['a\0b']) }],
      ['contents', { chunks: textsOf(['\uD800']) }],
      ['contents', { chunks: [{ text: 'a', title: '\0' }] }],
      ['contents', { chunks: [{ text: 'a', metadata: { a: '\0' } }] }],
      ['contents', { chunks: [{ text: 'a', metadata: { a: Number.NaN } }] }],
      ['contents', { chunks: [{ text: 'a', lines: { start: 2, end: 1 } }] }],
      ['contents', { chunks: textsOf(['a'.repeat(1_000_001)]) }],
      ['contents', { contentId: 'a'.repeat(501), chunks: textsOf(['a']) }],
      ['contents', { sourcePath: 'ü'.repeat(1_000), chunks: textsOf(['a']) }],
    ])('reject invalid %s: %#', async (field, content) => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const before = await dump();
      const contents = [{ contentId: fresh('content'), ...content }];

      const call = async () => putContents(rag, { workspaceId, provider: givenProvider(), contents });

      await expect(call()).rejects.toMatchObject({ code: 'RAG.INVALID_INPUT', meta: { fields: [field] } });
      expect(await dump()).toBe(before);
    });

    it('reject a content twice, an unknown workspace, and what is not a provider', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const content = { contentId: fresh('content'), chunks: textsOf(['a']) };
      const [provider, contents] = [givenProvider(), [content]];

      const calls = [
        async () => putContents(rag, { workspaceId, provider, contents: [content, content] }),
        async () => putContents(rag, { workspaceId: 'f'.repeat(16), provider, contents }),
        async () => putContents(rag, { workspaceId, provider: {} as never, contents }),
      ];

      expect(await outcomes(calls.map((call) => call()))).toEqual([
        'RAG.INVALID_INPUT',
        'RAG.WORKSPACE_NOT_FOUND',
        'RAG.INVALID_INPUT',
      ]);
    });

    it('end at a signal, before the next statement', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const controller = new AbortController();
      controller.abort(new Error('enough'));
      const contents = [{ contentId: fresh('content'), chunks: textsOf(['a']) }];

      await expect(
        putContents(rag, { workspaceId, provider: givenProvider(), contents, signal: controller.signal }),
      ).rejects.toThrow('enough');
    });

    it('of files note the hash of the file, and tell which files are fresh', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const provider = givenProvider();
      const file = (path: string, text: string) => ({
        ...{ path, contentHash: hashOf(text), contentType: 'Code', chunks: textsOf([text]) },
      });
      const state = (path: string, text: string) => ({ path, contentHash: hashOf(text) });
      await putFiles(rag, {
        workspaceId,
        provider,
        files: [file('src/a.ts', 'a'), file('src/b.ts', 'b'), file('c.md', 'c')],
      });

      const files = [state('src/a.ts', 'a'), state('src/b.ts', 'changed'), state('d.ts', 'd')];
      expect(await compareFiles(rag, { workspaceId, index: 'rag', files })).toEqual({
        ...{ added: ['d.ts'], changed: ['src/b.ts'], gone: ['c.md'], fresh: 1 },
      });
      const found = await search(rag, { workspaceId, text: 'a', provider, pathGlob: 'src/*.ts' });
      expect(found.map(({ sourcePath }) => sourcePath).sort()).toEqual(['src/a.ts', 'src/b.ts']);
      expect(await removeFiles(rag, { workspaceId, paths: ['src/a.ts', 'nowhere.ts'] })).toBe(1);
      expect(await compareFiles(rag, { workspaceId, index: 'rag', files: [] })).toMatchObject({
        gone: ['c.md', 'src/b.ts'],
      });
      expect(await contentsOf(fileContentId(workspaceId, 'src/a.ts'))).toEqual([]);
    });

    it.each(['/abs.ts', 'a\\b.ts', '../a.ts', 'a/./b', 'a//b', 'a/'])('of files reject the path %s', async (path) => {
      const files = [{ path, contentHash: hashOf(''), chunks: [] }];
      const call = async () => putFiles(rag, { workspaceId: 'f'.repeat(16), provider: givenProvider(), files });

      await expect(call()).rejects.toMatchObject({ code: 'RAG.INVALID_INPUT' });
    });

    it('of a file with a very long path have an id that fits', () => {
      const path = `${'folder/'.repeat(100)}a.ts`;

      expect(fileContentId('0'.repeat(16), path)).toHaveLength(16 + 1 + 64);
      expect(fileContentId('0'.repeat(16), path)).not.toBe(fileContentId('0'.repeat(16), `x/${path}`));
    });
  });
}
