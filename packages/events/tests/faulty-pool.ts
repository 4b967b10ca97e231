import type { Pool, PoolClient } from 'pg';

/** Where a connection breaks: before a statement is sent, or after it took effect and before its answer arrives. */
export type Break = 'before' | 'after';

/** A pool whose connection breaks once. */
export interface FaultyPool {
  readonly pool: Pool;
  /** How many statements were sent. */
  readonly statements: () => readonly string[];
}

/** Wraps a pool. The statement with this number, from 1, or the first one that contains the text, fails. */
export function faultyPool(pool: Pool, at: number | string, place: Break): FaultyPool {
  const statements: string[] = [];
  let isBroken = false;
  const wrap =
    (send: (...args: readonly unknown[]) => Promise<unknown>) =>
    async (...args: readonly unknown[]) => {
      const [statement] = args as readonly (string | { readonly text: string })[];
      const text = typeof statement === 'object' ? statement.text : String(statement);
      statements.push(text);
      const isFaulty = !isBroken && (typeof at === 'number' ? statements.length === at : text.includes(at));
      if (!isFaulty) return send(...args);
      isBroken = true;
      if (place === 'after') await send(...args);
      throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
    };
  const proxy = new Proxy(pool, {
    get: (target, name) => {
      if (name === 'query') return wrap((...args) => target.query(...(args as [string])));
      if (name !== 'connect') return Reflect.get(target, name);
      return async () => {
        const client = await target.connect();
        return new Proxy(client, {
          get: (inner: PoolClient, property) => {
            if (property === 'query') return wrap((...args) => inner.query(...(args as [string])));
            const value: unknown = Reflect.get(inner, property);
            return typeof value === 'function' ? value.bind(inner) : value;
          },
        });
      };
    },
  });
  return { pool: proxy, statements: () => statements };
}
