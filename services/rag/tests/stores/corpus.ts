import type { TestDatabase } from '@azora/db-testkit';
import { bestCorpusEntries, listCorpus, openRag, type Rag, saveCorpusEntry, searchCorpus } from '../../src';
import { fresh, givenStores } from '../given';

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testCorpus(db: () => TestDatabase): void {
  describe('the corpus', () => {
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url });
    });
    afterAll(() => rag.close());

    const entry = (functionName: string, more: Partial<Parameters<typeof saveCorpusEntry>[1]> = {}) => ({
      ...{ functionName, signature: `def ${functionName}(a, b)`, specId: 'spec-1' },
      ...more,
    });

    it('keeps the better of two entries of one specification and signature', async () => {
      const name = fresh('add');
      const first = await saveCorpusEntry(rag, entry(name, { score: 0.5, passed: 1, total: 2, snippet: 'return a' }));

      expect(first).toMatchObject({ funcName: name, funcSignature: `def ${name}(a, b)`, specId: 'spec-1', score: 0.5 });
      expect(first).not.toHaveProperty('entryKey');
      const better = await saveCorpusEntry(
        rag,
        entry(name, { score: 1, passed: 2, total: 2, snippet: 'return a + b' }),
      );
      expect(better).toMatchObject({ id: first.id, score: 1, snippet: 'return a + b' });
      expect(await saveCorpusEntry(rag, entry(name, { score: 0.9, snippet: 'worse' }))).toEqual(better);
      expect(await saveCorpusEntry(rag, entry(name, { snippet: 'unscored' }))).toEqual(better);
      expect((await saveCorpusEntry(rag, entry(name, { specId: 'spec-2', score: 0.1 }))).id).not.toBe(first.id);
    });

    it('keeps the best entry when ten calls race, whatever their order', async () => {
      const name = fresh('race');
      const stores = givenStores(db(), 10);

      await Promise.all(
        stores.map((store, n) =>
          saveCorpusEntry(store, entry(name, { score: ((n * 7) % 10) / 10, snippet: `return ${n}` })),
        ),
      );

      const { items } = await listCorpus(rag, { functionName: name });
      expect(items).toMatchObject([{ score: 0.9, snippet: 'return 7' }]);
      await Promise.all(stores.map((store) => store.close()));
    });

    it('tells the best entry per function', async () => {
      const [one, other] = [fresh('best'), fresh('best')];
      for (const [specId, score, passed] of [
        ['a', 0.5, 9],
        ['b', 0.8, 1],
        ['c', 0.8, 2],
      ] as const) {
        await saveCorpusEntry(rag, entry(one, { specId, score, passed, total: 9 }));
      }
      await saveCorpusEntry(rag, entry(other));

      expect(await bestCorpusEntries(rag, { functionName: one })).toMatchObject([{ specId: 'c', score: 0.8 }]);
      const best = await bestCorpusEntries(rag, { limit: 200 });
      expect(best.filter(({ funcName }) => [one, other].includes(funcName))).toHaveLength(2);
      expect(best.map(({ funcName }) => funcName)).toEqual([...new Set(best.map(({ funcName }) => funcName))]);
    });

    it('is searched by words of the code, and by names with typing errors', async () => {
      await saveCorpusEntry(rag, entry('reverse_string', { snippet: 'return text[::-1] # mirrored' }));
      await saveCorpusEntry(rag, entry('is_prime', { snippet: 'return all(n % k for k in divisors)', score: 1 }));
      const find = async (text: string) => (await searchCorpus(rag, { text })).map(({ funcName }) => funcName);

      expect(await find('divisors')).toEqual(['is_prime']);
      expect((await find('revrese_string'))[0]).toBe('reverse_string');
      expect(await find('"; DROP TABLE corpus_entries; --')).toEqual([]);
      expect(await searchCorpus(rag, { text: 'is_prime', limit: 1 })).toHaveLength(1);
    });

    it('is listed newest first, page by page', async () => {
      const name = fresh('paged');
      for (let n = 0; n < 3; n += 1) await saveCorpusEntry(rag, entry(name, { specId: `s${n}` }));

      const first = await listCorpus(rag, { functionName: name, limit: 2 });
      const second = await listCorpus(rag, { functionName: name, limit: 2, cursor: first.nextCursor ?? '' });

      expect([...first.items, ...second.items].map(({ specId }) => specId)).toEqual(['s2', 's1', 's0']);
      expect(second.nextCursor).toBeNull();
    });

    it.each([
      ['functionName', { functionName: ' ' }],
      ['signature', { signature: 'a\0' }],
      ['score', { score: 1.1 }],
      ['score', { score: Number.NaN }],
      ['input', { passed: 2, total: 1 }],
      ['complexity', { complexity: -1 }],
      ['snippet', { snippet: '\uDC00' }],
    ])('rejects an invalid %s', async (field, change) => {
      const call = async () => saveCorpusEntry(rag, entry(fresh('bad'), change));

      await expect(call()).rejects.toMatchObject({ code: 'RAG.INVALID_INPUT', meta: { fields: [field] } });
    });
  });
}
