import { hash } from 'node:crypto';
import type { TestDatabase } from '@azora/db-testkit';
import {
  type EmbeddingProvider,
  type GraphFileInput,
  openRag,
  plainHashingProvider,
  type Rag,
  registerWorkspace,
  type Workspace,
} from '../src';

let made = 0;

/** A name that no other row of the test file has. */
export function fresh(what: string): string {
  made += 1;
  return `${what}-${made}`;
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Rag[] {
  return Array.from({ length: count }, () =>
    openRag({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 }, slowQueryMs: 60_000 }),
  );
}

export function givenWorkspace(rag: Rag): Promise<Workspace> {
  return registerWorkspace(rag, { path: `/work/${fresh('workspace')}` });
}

export interface CountingProvider extends EmbeddingProvider {
  /** The texts that it was asked for. */
  readonly asked: string[];
  /** Called before each answer; what it throws is the provider's error. */
  before: (texts: readonly string[]) => void | Promise<void>;
}

/** A provider that records what it is asked for. */
export function givenProvider(dimension = 8, model = `count-${dimension}`): CountingProvider {
  const inner = plainHashingProvider(dimension);
  const provider: CountingProvider = {
    model,
    dimension,
    asked: [],
    before: () => undefined,
    async embed(texts, signal) {
      await provider.before(texts);
      provider.asked.push(...texts);
      return inner.embed(texts, signal);
    },
  };
  return provider;
}

export const hashOf = (text: string) => hash('sha256', text);

/** A file of a code graph: nodes named by their keys, and calls written as `caller>called`. */
export function graphFile(path: string, keys: readonly string[], calls: readonly string[] = []): GraphFileInput {
  return {
    path,
    contentHash: hashOf(`${path} ${keys.join()} ${calls.join()}`),
    nodes: keys.map((key) => ({ key, name: key, qualifiedName: `${path}#${key}`, type: 'Function' as const })),
    edges: calls.map((call) => {
      const [from = '', to = ''] = call.split('>');
      return { from, to, type: 'Calls' as const };
    }),
  };
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

/** Whether the server is a companion, which runs all clients in one session of a superuser. */
export function isCompanion(db: TestDatabase): boolean {
  return db.target.server === 'companion';
}
