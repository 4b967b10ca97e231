import { repositoryRoot, type TestDatabase } from '@azora/db-testkit';
import { findDeclarations, readSourceFiles } from '../../seed/source';
import {
  learnHashingModel,
  openHashingModel,
  openRag,
  plainHashingProvider,
  putContents,
  type Rag,
  search,
} from '../../src';
import { wordsOf } from '../../src/embeddings/hashing';
import { fresh, givenWorkspace } from '../given';

const cosine = (one: readonly number[], other: readonly number[]) =>
  one.reduce((sum, number, at) => sum + number * (other[at] ?? 0), 0) / (Math.hypot(...one) * Math.hypot(...other));

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testModels(db: () => TestDatabase): void {
  describe('the built-in embedder', () => {
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url, slowQueryMs: 60_000 });
    });
    afterAll(() => rag.close());

    it('is the same everywhere: the embedding of a text never changes', async () => {
      const [vector = []] = await plainHashingProvider(8).embed(['transfer money between wallets']);

      expect(vector).toEqual(PLAIN);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 4);
    });

    it('embeds texts of any kind, also without words', async () => {
      const texts = ['', ' ', '!?', '\u{1F600}', 'a'.repeat(100_000), 'über Größe', '変数'];
      const vectors = await plainHashingProvider().embed(texts);

      expect(vectors.filter((vector) => vector.length !== 768 || vector.some((it) => !Number.isFinite(it)))).toEqual(
        [],
      );
      expect(vectors.filter((vector) => vector.every((it) => it === 0))).toEqual([]);
      expect(new Set(vectors.map(String)).size).toBeGreaterThanOrEqual(texts.length - 1);
    });

    it.each([
      ['indexSearchHTTPRequest', ['index', 'search', 'http', 'request']],
      ['snake_case_names2', ['snak', 'case', 'name', '2']],
      ['parsed parsing parses classes queries', ['pars', 'pars', 'pars', 'class', 'query']],
    ])('reads the words of %s', (text, words) => {
      expect(wordsOf(text)).toEqual(words);
    });

    it('learns which words are rare, whatever the order of the texts, and keeps it', async () => {
      const texts = Array.from({ length: 40 }, (_, n) => `the common words of every text ${n === 7 ? 'marigold' : ''}`);
      const learned = await learnHashingModel(rag, { texts });

      expect((await learnHashingModel(rag, { texts: texts.toReversed() })).model).toBe(learned.model);
      expect(learned.model).toMatch(/^azora-hash-768-[0-9a-f]{16}$/);
      expect((await learnHashingModel(rag, { texts: texts.slice(1) })).model).not.toBe(learned.model);
      const opened = await openHashingModel(rag, learned.model);
      const asked = ['the common marigold', 'common words', 'marigold'];
      expect(await opened.embed(asked)).toEqual(await learned.embed(asked));
      const [both = [], common = [], rare = []] = await learned.embed(asked);
      expect(cosine(both, rare)).toBeGreaterThan(cosine(both, common));
      await expect(openHashingModel(rag, 'unknown')).rejects.toMatchObject({ code: 'RAG.MODEL_NOT_FOUND' });
    });

    it.each([[7], [16_001], [8.5]])('has no dimension %d', (dimension) => {
      expect(() => plainHashingProvider(dimension)).toThrow(expect.objectContaining({ code: 'RAG.INVALID_INPUT' }));
    });

    it('finds functions by their comments at least as well with words as full-text search alone', async () => {
      const declarations = readSourceFiles(repositoryRoot()).flatMap(findDeclarations);
      const pairs = declarations.flatMap(({ documentation, body, name, file }) =>
        documentation === null ? [] : [{ contentId: `${file.path}#${name}`, question: documentation, text: body }],
      );
      const provider = await learnHashingModel(rag, { texts: pairs.map(({ text }) => text) });
      const { id: workspaceId, path } = await givenWorkspace(rag);
      const contents = pairs.map(({ contentId, text }) => ({ contentId: fresh(contentId), chunks: [{ text }] }));
      await putContents(rag, { workspaceId, provider, contents });
      const ranks = { hybrid: 0, words: 0 };
      for (const [n, { question }] of pairs.entries()) {
        const hybrid = await search(rag, { workspaceId, text: question, provider });
        const words = await db().admin(WORDS, [question.match(/\w+/g)?.join(' or ') ?? '', path]);
        const place = (ids: readonly unknown[]) =>
          1 / (ids.indexOf(contents[n]?.contentId) + 1 || Number.POSITIVE_INFINITY);
        ranks.hybrid += place(hybrid.map(({ contentId }) => contentId));
        ranks.words += place(words.map(({ content_id: id }) => id));
      }

      expect(pairs.length).toBeGreaterThan(50);
      const [hybrid, words] = [ranks.hybrid / pairs.length, ranks.words / pairs.length];
      expect(words).toBeGreaterThan(0.1);
      expect(hybrid).toBeGreaterThanOrEqual(words);
    });
  });
}

const WORDS = `SELECT content_id FROM rag_chunks, websearch_to_tsquery('simple', $1) AS query
  WHERE search_vector @@ query AND workspace_path = $2 ORDER BY ts_rank_cd(search_vector, query, 1) DESC, id LIMIT 10`;
const PLAIN = [0.624851, -0.223161, -0.223161, 0.223161, -0.223161, 0.223161, 0.446322, -0.40169];
