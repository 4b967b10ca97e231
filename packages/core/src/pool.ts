import { Pool, type PoolClient } from 'pg';
import { retryConnect } from './retry';
import type { DatabaseUrl } from './url';

export interface PoolOptions {
  /** Connections at most. */
  readonly max?: number;
  readonly connectTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  /** Of a statement, and of a transaction as a whole. */
  readonly statementTimeoutMs?: number;
}

export const POOL_DEFAULTS: Required<PoolOptions> = {
  max: 10,
  connectTimeoutMs: 5_000,
  idleTimeoutMs: 10_000,
  statementTimeoutMs: 30_000,
};

type Connected = (error: Error | undefined, client?: PoolClient, release?: (error?: Error | boolean) => void) => void;

/** A pool that connects on first use, tries again while the server starts, and outlives its restarts. */
export function openPool(
  url: DatabaseUrl,
  { max, connectTimeoutMs, idleTimeoutMs, statementTimeoutMs }: Required<PoolOptions>,
): Pool {
  const pool = new Pool({
    connectionString: url.href,
    max,
    connectionTimeoutMillis: connectTimeoutMs,
    idleTimeoutMillis: idleTimeoutMs,
    // Enforced by the client, not sent as a start-up parameter: PgBouncer refuses unknown ones.
    query_timeout: statementTimeoutMs,
    allowExitOnIdle: true,
  });
  // Without a listener a server that restarts while a connection idles would end the process; the pool drops it itself.
  pool.on('error', () => undefined);
  // A connection that is cut while it is handed out has no listener for a moment, and an error that nobody listens for ends
  // the process; the query that follows tells of the loss.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const connectOnce = pool.connect.bind(pool);
  const connect = () => retryConnect(() => connectOnce());
  // The pool's own `query` uses the form with a callback.
  return Object.assign(pool, {
    connect: (callback?: Connected) => {
      if (callback === undefined) return connect();
      connect().then(
        (client) => callback(undefined, client, client.release.bind(client)),
        (error: Error) => callback(error),
      );
      return undefined;
    },
  });
}
