import { useDatabase } from '@azora/db-testkit';
import { openRag, type Rag } from '../src';
import { FILTERS, fillClusters, recallOf } from './clusters';

const MODEL = 'clustered';
const [ROWS, CLUSTERS, DIMENSION, QUERIES] = [20_000, 101, 768, 60];
const PLACE = { model: MODEL, clusters: CLUSTERS, dimension: DIMENSION };

describe('recall@10 among 20,000 clustered chunks of 768 dimensions', () => {
  const db = useDatabase('rag');
  let rag: Rag;
  beforeAll(async () => {
    rag = openRag({ url: db().url, slowQueryMs: 60_000 });
    await fillClusters(db(), { ...PLACE, rows: ROWS });
  });
  afterAll(() => rag.close());

  const expectRecall = async (filter: (typeof FILTERS)[number][1], most: number) => {
    const { mean, worst, fewest } = await recallOf(rag, { ...PLACE, filter, queries: QUERIES });
    expect({ mean, worst, fewest }).toEqual({ mean: expect.any(Number), worst: expect.any(Number), fewest: most });
    expect(mean).toBeGreaterThanOrEqual(0.98);
    expect(worst).toBeGreaterThanOrEqual(0.9);
  };

  it.each(FILTERS)('is high and complete with %s', async (_, filter) => {
    await expectRecall(filter, 10);
  });

  it('stays after every fifth chunk was deleted and the table was vacuumed', async () => {
    await db().admin(`DELETE FROM rag_chunks WHERE substr(content_id, ${MODEL.length + 1})::int % 5 = 4`);
    await db().admin('VACUUM rag_chunks');

    for (const [, filter] of FILTERS) await expectRecall(filter, 10);
  });
});
