import { endSessionInside, type TestDatabase, testEffort } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  getWorkspace,
  openRag,
  plainHashingProvider,
  putContents,
  type Rag,
  reembedWorkspace,
  registerWorkspace,
  removeContents,
} from '../../src';
import { vectorText } from '../../src/embeddings/provider';
import { fresh, isCompanion } from '../given';

const RUNS = 12 * testEffort();
const SEED = 20_261_130;
const TEXTS = ['alpha', 'beta', 'gamma', 'delta'];
const DIMENSIONS = [8, 8, 12];
const providers = DIMENSIONS.map((dimension, n) => ({ ...plainHashingProvider(dimension), model: `model-${n}` }));
const providerOf = (n: number) => providers[n] ?? plainHashingProvider(8);
const failing = (n: number) => ({
  ...providerOf(n),
  embed: async () => {
    throw new Error('down');
  },
});

interface Model {
  /** The texts of each content. */
  readonly contents: string[][];
  model: number | undefined;
  next: number | undefined;
}
interface Real {
  readonly workspaceId: string;
  readonly path: string;
  readonly contentIds: readonly string[];
}
type Step = fc.AsyncCommand<Model, Real>;

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testModel(db: () => TestDatabase): void {
  describe('contents and an in-memory model', () => {
    const counts: Record<string, number> = {};
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url, slowQueryMs: 60_000 });
    });
    afterAll(() => rag.close());

    const put = ({ workspaceId, contentIds }: Real, content: number, texts: readonly string[], model: number) => {
      const contents = [{ contentId: contentIds[content] ?? '', chunks: texts.map((text) => ({ text })) }];
      return putContents(rag, { workspaceId, provider: providerOf(model), contents });
    };

    /** The tables are those of the model: no chunk more, none less, and each with the embedding of its model. */
    async function check({ contents, model, next }: Model, { workspaceId, path, contentIds }: Real): Promise<void> {
      const rows = await db().admin(
        `SELECT content_id, chunk_index, content, embedding_model AS model, embedding::text AS embedding FROM rag_chunks
         WHERE workspace_path = $1 ORDER BY content_id, chunk_index`,
        [path],
      );
      const expected = contents.flatMap((texts, n) => texts.map((text, at) => `${contentIds[n]} ${at} ${text}`)).sort();
      const placesOf = (of: number | undefined) =>
        rows
          .filter((row) => of !== undefined && row['model'] === providerOf(of).model)
          .map((row) => `${row['content_id']} ${row['chunk_index']} ${row['content']}`)
          .sort();
      expect(placesOf(model)).toEqual(expected);
      expect(placesOf(next).filter((place) => !expected.includes(place))).toEqual([]);
      expect(rows).toHaveLength(placesOf(model).length + placesOf(next).length);
      for (const row of rows) {
        const provider = providers.find((it) => it.model === row['model']) ?? providerOf(0);
        const [vector = []] = await provider.embed([String(row['content'])]);
        const numbers: readonly number[] = JSON.parse(String(row['embedding']));
        expect(numbers.filter((number, at) => Math.abs(number - (vector[at] ?? 0)) > 1e-5)).toEqual([]);
        expect(numbers).toHaveLength(vector.length);
      }
      expect(await getWorkspace(rag, { workspaceId })).toMatchObject({
        embeddingModel: model === undefined ? null : providerOf(model).model,
        embeddingDimension: model === undefined ? null : providerOf(model).dimension,
        nextEmbeddingModel: next === undefined ? null : providerOf(next).model,
      });
    }

    function step(name: string, run: (model: Model, real: Real) => Promise<void>, can = (_: Model) => true): Step {
      return {
        check: can,
        run: async (model, real) => {
          counts[name] = (counts[name] ?? 0) + 1;
          await run(model, real);
          await check(model, real);
        },
        toString: () => name,
      };
    }

    const putting = (content: number, texts: readonly string[]) =>
      step('put', async (model, real) => {
        await put(real, content, texts, model.model ?? 0);
        model.model ??= 0;
        model.contents[content] = [...texts];
      });
    const mismatched = (content: number, other: number) =>
      step(
        'mismatch',
        async ({ model }, real) => {
          const used = other === model ? (other + 1) % providers.length : other;
          await expect(put(real, content, TEXTS, used)).rejects.toMatchObject({ code: 'RAG.MODEL_MISMATCH' });
        },
        ({ model }) => model !== undefined,
      );
    const removing = (content: number) =>
      step('remove', async (model, { workspaceId, contentIds }) => {
        const removed = await removeContents(rag, { workspaceId, contentIds: [contentIds[content] ?? ''] });
        expect(removed).toBeGreaterThanOrEqual(model.contents[content]?.length ?? 0);
        model.contents[content] = [];
      });
    const reembedding = (to: number) =>
      step('reembed', async (model, { workspaceId }) => {
        await reembedWorkspace(rag, { workspaceId, provider: providerOf(to) });
        Object.assign(model, { model: to, next: undefined });
      });
    /** Ends after some of the chunks were embedded, as a killed process does. */
    const interrupting = (to: number, share: number) =>
      step(
        'interrupt',
        async (model, { workspaceId }) => {
          const interrupted = reembedWorkspace(rag, { workspaceId, provider: failing(to) });
          const hasChunks = model.contents.flat().length > 0;
          if (to === model.model) {
            await interrupted;
            model.next = undefined;
            return;
          }
          const error = await interrupted.then(
            () => undefined,
            (it) => it.message,
          );
          // An interrupted one before may have embedded all chunks already.
          if (error === undefined) {
            Object.assign(model, { model: to, next: undefined });
            return;
          }
          expect([error, hasChunks]).toEqual(['down', true]);
          model.next = to;
          const pending = await rag.query<{ id: string; content: string }>({
            text: 'SELECT id, content FROM unembedded_chunks($1, $2)',
            values: [workspaceId, share],
          });
          const vectors = await providerOf(to).embed(pending.map(({ content }) => content));
          await rag.query({
            text: 'SELECT add_embeddings($1, $2, $3, $4)',
            values: [workspaceId, providerOf(to).model, pending.map(({ id }) => id), vectors.map(vectorText)],
          });
        },
        ({ model }) => model !== undefined,
      );
    const crashing = (content: number, texts: readonly string[]) =>
      step(
        'crash',
        async ({ model }, real) => {
          const lock = 'LOCK TABLE rag_chunks IN EXCLUSIVE MODE';
          const error = await endSessionInside(db(), lock, () => put(real, content, texts, model ?? 0));
          expect(error).toMatchObject({ code: expect.stringMatching(/^DATABASE\./) });
        },
        // A companion has one session for all, which cannot wait for itself.
        ({ model }) => model !== undefined && !isCompanion(db()),
      );

    const content = fc.integer({ min: 0, max: 2 });
    const texts = fc.array(fc.constantFrom(...TEXTS), { maxLength: 4 });
    const which = fc.integer({ min: 0, max: providers.length - 1 });
    const steps = [
      fc.tuple(content, texts).map(([at, given]) => putting(at, given)),
      fc.tuple(content, texts).map(([at, given]) => putting(at, given)),
      fc.tuple(content, which).map(([at, other]) => mismatched(at, other)),
      content.map(removing),
      which.map(reembedding),
      fc.tuple(which, fc.integer({ min: 0, max: 4 })).map(([to, share]) => interrupting(to, share)),
      fc.tuple(content, texts).map(([at, given]) => crashing(at, given)),
    ];

    it('agree after every step of random sequences, with interrupted re-embeddings and killed sessions', async () => {
      await fc.assert(
        fc.asyncProperty(fc.commands(steps, { size: '+1', maxCommands: 25 }), async (commands) => {
          const { id: workspaceId, path } = await registerWorkspace(rag, { path: `/model/${fresh('workspace')}` });
          const contentIds = [0, 1, 2].map(() => fresh('model-content'));
          await fc.asyncModelRun(
            () => ({
              model: { contents: [[], [], []], model: undefined, next: undefined } as Model,
              real: { workspaceId, path, contentIds },
            }),
            commands,
          );
        }),
        { numRuns: RUNS, seed: SEED },
      );

      const met = ['put', 'mismatch', 'remove', 'reembed', 'interrupt', ...(isCompanion(db()) ? [] : ['crash'])];
      expect(met.filter((name) => (counts[name] ?? 0) === 0)).toEqual([]);
    });
  });
}
