import { Client, Pool, type PoolClient } from 'pg';
import { isRecord } from './errors';
import { retryConnect } from './retry';
import { limitStatements } from './statement-limit';
import { POOL_ENDED } from './store-errors';
import type { DatabaseUrl } from './url';

export interface PoolOptions {
  /** The most connections that are open at the same time. */
  readonly max?: number;
  readonly connectTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  /** The limit of a statement, and of a transaction as a whole. The app role's own limits apply as well. */
  readonly statementTimeoutMs?: number;
}

export const POOL_DEFAULTS: Required<PoolOptions> = {
  max: 10,
  connectTimeoutMs: 5_000,
  idleTimeoutMs: 10_000,
  statementTimeoutMs: 30_000,
};

type Connected = (error: Error | undefined, client?: PoolClient, release?: (error?: Error | boolean) => void) => void;

/**
 * Opens a pool that connects on first use, retries while the server starts, and outlives restarts of the server. `end`
 * rejects the calls that wait for a connection.
 */
export function openPool(
  url: DatabaseUrl,
  { max, connectTimeoutMs, idleTimeoutMs, statementTimeoutMs }: Required<PoolOptions>,
): Pool {
  const pool = new Pool({
    Client: PooledClient,
    connectionString: url.href,
    max,
    connectionTimeoutMillis: connectTimeoutMs,
    idleTimeoutMillis: idleTimeoutMs,
    // The limit is not sent as a start-up parameter, which PgBouncer rejects, and not by SET, which would leak to other
    // clients of a pooled session. The limit of pg would cost a timer for each statement.
    allowExitOnIdle: true,
  });
  // Without a listener, a server that restarts while a connection is idle would end the process. The pool drops the
  // connection itself.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => {
    // A connection that is cut while it is handed out has no listener for a moment. The query that follows reports it.
    client.on('error', () => undefined);
    limitStatements(client, url, statementTimeoutMs);
  });
  const connectOnce = pool.connect.bind(pool);
  const endPool = pool.end.bind(pool);
  const waiting = new Set<(error: Error) => void>();
  const connect = () =>
    new Promise<PoolClient>((resolve, reject) => {
      waiting.add(reject);
      retryConnect(() => connectOnce()).then(
        // The pool gives no connection to a call that it has rejected.
        (client) => (waiting.delete(reject) ? resolve(client) : client.release()),
        (error: unknown) => {
          waiting.delete(reject);
          reject(connectError(error));
        },
      );
    });
  // The pool's own `query` uses the callback form.
  return Object.assign(pool, {
    end: () => {
      // pg would leave them waiting until their time is over.
      for (const reject of waiting) reject(new Error(POOL_ENDED));
      waiting.clear();
      return endPool();
    },
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

type Answer = ((error: Error) => void) | ((error: null, client: Client) => void);

/**
 * pg leaves the socket open when connecting fails on its own side, as it does without a password. The backend would wait for the
 * rest of the authentication for a minute, and every CREATE DATABASE and DROP DATABASE of the server would wait for the backend.
 */
class PooledClient extends Client {
  override connect(): Promise<Client>;
  override connect(answer: Answer): void;
  override connect(answer?: Answer): Promise<Client> | undefined {
    if (answer === undefined) return super.connect();
    super.connect((error: Error | null) => {
      if (error !== null && error !== undefined) void this.end();
      (answer as (error: Error | null, client: Client) => void)(error, this);
    });
    return undefined;
  }
}

/**
 * The error of a connection that could not be opened. It has no code: Prisma's driver passes on what it does not know, and
 * would drop that nothing was sent from the errors that it knows.
 */
function connectError(error: unknown): Error {
  const message = isRecord(error) ? String(error['message']) : String(error);
  return Object.assign(new Error(message, { cause: error }), { isConnecting: true });
}
