import type { Statement } from '@azora/db-core';
import type { TestDatabase } from '@azora/db-testkit';
import {
  chunkNeighbours,
  type EmbeddingProvider,
  openRag,
  plainHashingProvider,
  putContents,
  type Rag,
  type SearchInput,
  search,
  similarChunks,
} from '../../src';
import { searchStatement } from '../../src/search/statement';
import { planOf } from '../../src/search.store';
import { fresh, givenProvider, givenWorkspace, outcomes } from '../given';

/** A provider whose embeddings are the numbers in the text. */
const compass: EmbeddingProvider = {
  model: 'compass',
  dimension: 3,
  embed: async (texts) => texts.map((text) => (text.match(/-?\d+/g) ?? ['0', '0', '1']).map(Number)),
};

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testSearch(db: () => TestDatabase): void {
  describe('search', () => {
    let rag: Rag;
    let workspaceId = '';
    beforeAll(async () => {
      rag = openRag({ url: db().url });
      workspaceId = (await givenWorkspace(rag)).id;
      const content = (contentId: string, sourcePath: string, contentType: string, texts: readonly string[]) => {
        return { contentId, sourcePath, contentType, chunks: texts.map((text) => ({ text })) };
      };
      const contents = [
        content('east', 'src/east.ts', 'Code', ['east 1 0 0', 'further east 9 1 0', 'far east 5 1 0']),
        content('north', 'src/deep/north.tsx', 'Code', ['north 0 2 0']),
        content('west', 'docs/west.md', 'Markdown', ['west -1 0 0']),
      ];
      await putContents(rag, { workspaceId, provider: compass, contents });
    });
    afterAll(() => rag.close());

    const idsOf = async (input: SearchInput) =>
      (await search(rag, { workspaceId, ...input })).map(({ contentId, chunkIndex }) => `${contentId}${chunkIndex}`);
    const planText = async ({ text, values }: Statement) => {
      const lines = await db().admin(`EXPLAIN ${text}`, values);
      return lines.map((line) => line['QUERY PLAN']).join('\n');
    };

    it('returns the nearest chunks first, with 1 minus the cosine distance as their score', async () => {
      expect(await search(rag, { vector: [2, 1, 0], workspaceId, limit: 2 })).toEqual([
        {
          ...{ id: expect.any(String), contentId: 'east', chunkIndex: 2, content: 'far east 5 1 0' },
          ...{ score: expect.closeTo(11 / Math.sqrt(5 * 26), 6), sourcePath: 'src/east.ts', contentType: 'Code' },
          ...{ title: null, workspacePath: expect.any(String), metadata: null },
        },
        expect.objectContaining({ contentId: 'east', chunkIndex: 1 }),
      ]);
    });

    it.each([
      [{}, ['east0', 'east1', 'east2', 'north0', 'west0']],
      [{ limit: 1 }, ['east0']],
      [{ contentType: 'Markdown' }, ['west0']],
      [{ pathGlob: 'src/*' }, ['east0', 'east1', 'east2']],
      [{ pathGlob: '**/*.{tsx,md}' }, ['north0', 'west0']],
      [{ pathGlob: '*.ts' }, []],
      [{ minScore: 0.99 }, ['east0', 'east1']],
      [{ minScore: 0, contentType: 'Code' }, ['east0', 'east1', 'east2', 'north0']],
      [{ isExact: true, limit: 2 }, ['east0', 'east1']],
    ])('finds with %j', async (input, expected) => {
      expect(await idsOf({ vector: [1, 0, 0], ...input })).toEqual(expected);
    });

    it('finds by meaning and by words at once', async () => {
      // The vector of the text is that of north; the word is in a chunk that is far from it.
      const provider = { ...compass, embed: async () => [[0, 1, 0]] };
      expect(await idsOf({ text: 'west', provider, limit: 2 })).toEqual(['west0', 'north0']);
      expect(await idsOf({ text: 'west', vector: [0, 1, 0], limit: 1 })).toEqual(['west0']);
      expect(await idsOf({ text: '!?', vector: [0, 1, 0], limit: 1 })).toEqual(['north0']);
      expect(await idsOf({ text: "it's \\ '' | & ! west:*", vector: [0, 1, 0], limit: 1 })).toEqual(['west0']);
      const found = await search(rag, { text: 'west', vector: [0, 1, 0], workspaceId, minScore: 0.5 });
      expect(found.map(({ contentId }) => contentId)).toEqual(['north']);
    });

    it('never compares two models, whatever their dimension', async () => {
      const { id } = await givenWorkspace(rag);
      const other = { ...compass, model: 'other' };
      const contents = [{ contentId: fresh('content'), chunks: [{ text: 'east 1 0 0' }] }];
      await putContents(rag, { workspaceId: id, provider: other, contents });

      expect(await search(rag, { vector: [1, 0, 0], model: 'other' })).toHaveLength(1);
      expect(await search(rag, { vector: [1, 0, 0], model: 'compass' })).toHaveLength(5);
      expect(await search(rag, { vector: [1, 0], model: 'compass' })).toEqual([]);
      const codes = await outcomes([
        search(rag, { vector: [1, 0, 0], model: 'compass', workspaceId: id }),
        search(rag, { vector: [1, 0], workspaceId: id }),
        search(rag, { text: 'x', provider: compass, workspaceId: id }),
        search(rag, { vector: [1], workspaceId: '0'.repeat(16) }),
      ]);
      expect(codes).toEqual([...Array(3).fill('RAG.MODEL_MISMATCH'), 'RAG.WORKSPACE_NOT_FOUND']);
      expect(await search(rag, { vector: [1], workspaceId: (await givenWorkspace(rag)).id })).toEqual([]);
    });

    it('finds similar chunks and the neighbours of a chunk', async () => {
      const [{ id: chunkId = '' } = {}] = await search(rag, { vector: [1, 0, 0], workspaceId });

      const similar = await similarChunks(rag, { chunkId, limit: 2 });
      expect(similar.map(({ chunkIndex }) => chunkIndex)).toEqual([1, 2]);
      expect(await similarChunks(rag, { chunkId, contentType: 'Markdown' })).toMatchObject([{ contentId: 'west' }]);
      const indexes = async (before: number, after: number) =>
        (await chunkNeighbours(rag, { chunkId: similar[0]?.id ?? '', before, after })).map((chunk) => chunk.chunkIndex);
      expect([await indexes(1, 1), await indexes(0, 9), await indexes(0, 0)]).toEqual([[0, 1, 2], [1, 2], [1]]);
      const unknown = '00000000-0000-7000-8000-00000000000f';
      expect(
        await outcomes([similarChunks(rag, { chunkId: unknown }), chunkNeighbours(rag, { chunkId: unknown })]),
      ).toEqual(Array(2).fill('RAG.CHUNK_NOT_FOUND'));
    });

    it.each([768, 1536])('reads the HNSW index of dimension %i, after it has made its settings', async (dimension) => {
      const vector = (await plainHashingProvider(dimension).embed(['text']))[0] ?? [];
      const plan = await planOf(rag, { vector, workspaceId, contentType: 'Code', pathGlob: 'src/**', model: 'm' });

      const text = await planText(searchStatement(plan));

      const index = dimension === 1536 ? 'ix_rag_chunks_embedding' : 'rag_chunks_embedding_768_idx';
      expect(text).toContain(`Index Scan using ${index}`);
      expect(text.indexOf('CTE Scan on settings')).toBeLessThan(text.indexOf(`Index Scan using ${index}`));
      expect(await planText(searchStatement(await planOf(rag, { vector, model: 'm', isExact: true })))).not.toContain(
        index,
      );
    });

    it('leaves no setting on its connection', async () => {
      await search(rag, { vector: Array.from({ length: 768 }, (_, n) => n + 1), model: 'm', efSearch: 7 });

      const settings = await Promise.all(
        Array.from({ length: 4 }, () => rag.pool.query("SELECT current_setting('hnsw.ef_search', true) AS ef_search")),
      );
      expect(settings.flatMap(({ rows }) => rows)).not.toContainEqual({ ef_search: '7' });
    });

    it('passes on what the provider throws, and rejects embeddings that it cannot compare', async () => {
      const failing = givenProvider();
      failing.before = () => {
        throw new Error('down');
      };
      await expect(search(rag, { text: 'x', provider: failing })).rejects.toThrow('down');
      const zeros = { ...compass, embed: async () => [[0, 0, 0]] };
      await expect(search(rag, { text: 'x', provider: zeros })).rejects.toMatchObject({ code: 'RAG.PROVIDER_ANSWER' });
    });

    it.each([
      ['vector', { vector: [], model: 'm' }],
      ['vector', { vector: [0, 0], model: 'm' }],
      ['vector', { vector: [Number.NaN], model: 'm' }],
      ['vector', { vector: [1e300], model: 'm' }],
      ['vector', { vector: [1e-60], model: 'm' }],
      ['vector', { vector: Array(16_001).fill(1), model: 'm' }],
      ['vector', { vector: [1], text: 'x', provider: compass }],
      ['text', {}],
      ['provider', { text: 'x' }],
      ['model', { vector: [1] }],
      ['model', { vector: [1, 0, 0], text: 'x', provider: compass, model: 'other' }],
      ['limit', { vector: [1], model: 'm', limit: 0 }],
      ['limit', { vector: [1], model: 'm', limit: 1_001 }],
      ['efSearch', { vector: [1], model: 'm', efSearch: 2_000 }],
      ['minScore', { vector: [1], model: 'm', minScore: Number.NaN }],
      ['workspaceId', { vector: [1], workspaceId: '/path' }],
      ['pathGlob', { vector: [1], model: 'm', pathGlob: 'a{b' }],
      ['contentType', { vector: [1], model: 'm', contentType: '' }],
    ])('rejects an invalid %s: %#', async (field, input) => {
      await expect(search(rag, input)).rejects.toMatchObject({ code: 'RAG.INVALID_INPUT', meta: { fields: [field] } });
    });
  });
}
