import { useDatabase } from '@azora/db-testkit';
import { openRag, Prisma, type Rag, searchChunks } from '../src';
import { exactSearch, indexSearch, parseSearch, type SearchChunksInput } from '../src/search.store';

const CHUNKS = 1_000;
const DIMENSIONS = 768;
const CHUNKS_PER_STATEMENT = 250;

/** Numbers between -0.5 and 0.5 from a linear congruential generator, the same on every run. */
function* randomNumbers(): Generator<number, never> {
  for (let state = 1; ; state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) yield state / 2 ** 32 - 0.5;
}

const numbers = randomNumbers();

function randomVector(dimensions = DIMENSIONS): number[] {
  return Array.from({ length: dimensions }, () => Number(numbers.next().value.toFixed(5)));
}

describe('searchChunks', () => {
  const db = useDatabase('rag');
  let rag: Rag;

  beforeAll(async () => {
    rag = openRag({ url: db().url });
    const chunks = Array.from({ length: CHUNKS }, (_, index) => ({
      content_id: `/w/${index}.ts`,
      embedding: JSON.stringify(randomVector()),
      embedding_model: index % 50 === 0 ? 'rare-model' : 'common-model',
      workspace_path: index % 100 === 0 ? '/rare' : '/common',
      content_type: index % 3 === 0 ? 'Markdown' : 'Code',
    }));
    for (let first = 0; first < CHUNKS; first += CHUNKS_PER_STATEMENT) {
      await db().admin(
        `INSERT INTO rag_chunks (content_id, chunk_index, content, embedding, embedding_dimension, embedding_model,
                                 source_path, workspace_path, content_type)
         SELECT content_id, 0, 'text', embedding, ${DIMENSIONS}, embedding_model, content_id, workspace_path, content_type
         FROM jsonb_to_recordset($1) AS chunk(
           content_id text, embedding vector, embedding_model text, workspace_path text, content_type text
         )`,
        [JSON.stringify(chunks.slice(first, first + CHUNKS_PER_STATEMENT))],
      );
    }
    await db().admin(
      `INSERT INTO rag_chunks (content_id, chunk_index, content, embedding, embedding_dimension, content_type)
       VALUES ('east', 0, 'east', '[1,0,0]', 3, 'Code'), ('north', 3, 'north', '[0,2,0]', 3, NULL),
              ('west', 0, 'west', '[-1,0,0]', 3, 'Code')`,
    );
    await db().admin('ANALYZE rag_chunks');
  });

  afterAll(() => rag.close());

  async function planOf(statement: Prisma.Sql): Promise<string> {
    const lines = await rag.prisma.$queryRaw<Record<string, string>[]>(Prisma.sql`EXPLAIN ${statement}`);
    return lines.map((line) => line['QUERY PLAN']).join('\n');
  }

  /** The share of the exact nearest chunks that a search finds. */
  async function recallOf(filters: Omit<SearchChunksInput, 'embedding' | 'limit'>): Promise<number> {
    let found = 0;
    const searches = 20;
    for (let search = 0; search < searches; search += 1) {
      const input = { embedding: randomVector(), limit: 10, ...filters };
      const nearest = await rag.prisma.$queryRaw<{ id: string }[]>(exactSearch(parseSearch(input)));
      const ids = new Set(nearest.map(({ id }) => id));
      found += (await searchChunks(rag, input)).filter(({ id }) => ids.has(id)).length;
    }
    return found / (searches * 10);
  }

  it('returns the nearest chunks first, with 1 minus the cosine distance as their score', async () => {
    expect(await searchChunks(rag, { embedding: [2, 1, 0], limit: 2 })).toEqual([
      {
        id: expect.any(String),
        contentId: 'east',
        chunkIndex: 0,
        content: 'east',
        score: expect.closeTo(2 / Math.sqrt(5), 6),
        sourcePath: null,
        contentType: 'Code',
      },
      expect.objectContaining({ contentId: 'north', chunkIndex: 3, contentType: null }),
    ]);
  });

  it.each([768, 1536])('reads the HNSW index of dimension %i', async (dimensions) => {
    const index = dimensions === 1536 ? 'ix_rag_chunks_embedding' : 'rag_chunks_embedding_768_idx';

    const plan = await planOf(indexSearch(parseSearch({ embedding: randomVector(dimensions), limit: 10 })));

    expect(plan).toContain(`Index Scan using ${index}`);
    // The settings take effect before the index is opened.
    expect(plan.indexOf('CTE Scan on settings')).toBeLessThan(plan.indexOf(`Index Scan using ${index}`));
  });

  it('compares every chunk when the dimension has no index', async () => {
    const plan = await planOf(exactSearch(parseSearch({ embedding: [1, 0, 0], limit: 10 })));

    expect(plan).not.toContain('hnsw');
    expect(plan).not.toContain('_embedding');
  });

  it.each([
    [{}],
    [{ contentType: 'Code' }],
    [{ workspacePath: '/common' }],
    [{ workspacePath: '/rare' }],
    [{ embeddingModel: 'rare-model', contentType: 'Code' }],
  ])('finds at least 95 % of the nearest chunks with filter %j', async (filters) => {
    expect(await recallOf(filters)).toBeGreaterThanOrEqual(0.95);
  });

  it.each([
    [{ workspacePath: '/rare' }, 10],
    [{ embeddingModel: 'rare-model' }, 20],
    [{ embeddingModel: 'rare-model', contentType: 'Markdown' }, 7],
    [{ workspacePath: '/nowhere' }, 0],
  ])('returns all chunks that pass filter %j when the limit allows it', async (filters, count) => {
    // With so few candidates, most would fail the filter without iterative scans.
    const found = await searchChunks(rag, { embedding: randomVector(), limit: 20, efSearch: 1, ...filters });

    expect(found).toHaveLength(count);
  });

  it('returns as many distinct chunks as requested, in the order of their scores', async () => {
    const found = await searchChunks(rag, { embedding: randomVector(), limit: 150 });

    expect(new Set(found.map(({ id }) => id)).size).toBe(150);
    expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((a, b) => b - a));
  });

  it('leaves no setting on its connection', async () => {
    await searchChunks(rag, { embedding: randomVector(), limit: 1, efSearch: 7 });

    const settings = await Promise.all(
      Array.from({ length: 4 }, () => rag.pool.query("SELECT current_setting('hnsw.ef_search', true) AS ef_search")),
    );
    expect(settings.flatMap(({ rows }) => rows)).not.toContainEqual({ ef_search: '7' });
  });

  it.each([
    ['embedding', { embedding: [], limit: 1 }],
    ['embedding', { embedding: [0, 0], limit: 1 }],
    ['embedding', { embedding: [Number.NaN], limit: 1 }],
    ['embedding', { embedding: [1e300], limit: 1 }],
    ['limit', { embedding: [1], limit: 0 }],
    ['limit', { embedding: [1], limit: 1.5 }],
    ['efSearch', { embedding: [1], limit: 1, efSearch: 2_000 }],
    ['workspacePath', { embedding: [1], limit: 1, workspacePath: '' }],
  ])('rejects an invalid %s', async (field, input) => {
    await expect(searchChunks(rag, input)).rejects.toMatchObject({
      code: 'RAG.INVALID_INPUT',
      meta: { fields: [field] },
    });
  });
});
