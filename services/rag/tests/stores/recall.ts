import type { TestDatabase } from '@azora/db-testkit';
import { createVectorIndex, measureRecall, openRag, type Rag } from '../../src';
import { FILTERS, fillClusters, recallOf } from '../clusters';

const MODEL = 'clustered';
const [ROWS, CLUSTERS, DIMENSION, QUERIES] = [4_400, 41, 24, 10];
const PLACE = { model: MODEL, clusters: CLUSTERS, dimension: DIMENSION };

/** The long test does the same with 20,000 chunks of 768 dimensions, and after deletions. */
/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testRecall(db: () => TestDatabase): void {
  describe('recall@10 among clustered chunks', () => {
    let rag: Rag;
    let administrator: Rag;
    beforeAll(async () => {
      rag = openRag({ url: db().url, slowQueryMs: 60_000 });
      administrator = openRag({ url: db().target.admin.href, slowQueryMs: 60_000 });
      await fillClusters(db(), { ...PLACE, rows: ROWS });
      await createVectorIndex(administrator, { dimension: DIMENSION });
    });
    afterAll(() => Promise.all([rag.close(), administrator.close()]));

    it.each(FILTERS)('is high and complete with %s', async (_, filter) => {
      const { mean, worst, fewest } = await recallOf(rag, { ...PLACE, filter, queries: QUERIES });

      expect({ mean: mean >= 0.98, worst: worst >= 0.9, fewest }).toEqual({
        ...{ mean: true, worst: true },
        fewest: filter.contentType === 'thousandth' ? 5 : 10,
      });
    });

    it('is measured for the index of each type', async () => {
      const sample = { model: MODEL, dimension: DIMENSION, sample: 10 };
      const { bytes } = await createVectorIndex(administrator, { dimension: DIMENSION });
      const half = await createVectorIndex(administrator, { dimension: DIMENSION, type: 'halfvec' });

      expect(await createVectorIndex(administrator, { dimension: DIMENSION, type: 'halfvec' })).toEqual(half);
      expect(half.bytes).toBeLessThan(bytes);
      const full = await measureRecall(rag, sample);
      expect(full).toMatchObject({ queries: 10, incomplete: 0 });
      expect(full.mean).toBeGreaterThanOrEqual(0.98);
      const halved = await measureRecall(rag, { ...sample, type: 'halfvec' });
      expect(halved.mean).toBeGreaterThanOrEqual(0.98);
    });

    it('is 1 for an empty space', async () => {
      expect(await measureRecall(rag, { model: 'unknown', dimension: 3 })).toEqual({
        ...{ queries: 0, mean: 1, worst: 1, incomplete: 0 },
      });
      await expect(measureRecall(rag, { model: MODEL })).rejects.toMatchObject({ code: 'RAG.INVALID_INPUT' });
    });
  });
}
