import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { PoolClient } from 'pg';
import type { DatabaseUrl } from './url';

/** How long the server may take to answer a cancellation before the connection is given up. */
const CANCEL_TIMEOUT_MS = 5_000;

/**
 * Cancels a statement in the server when it takes longer than its limit. The client alone would only stop waiting: the
 * backend would continue and keep its locks, and the pool would open another one.
 */
export function limitStatements(client: PoolClient, url: DatabaseUrl, limitMs: number): void {
  const send = client.query.bind(client) as (...args: unknown[]) => unknown;
  const limit = new StatementLimit(client, url, limitMs);
  Object.assign(client, {
    query: (...args: unknown[]) => {
      const callback = args.at(-1);
      if (typeof callback === 'function') {
        const finish = limit.start();
        return send(...args.slice(0, -1), (...results: unknown[]) => {
          finish();
          callback(...results);
        });
      }
      const result = send(...args);
      // A stream, such as COPY, has a pace of its own; the app role's statement_timeout still applies to it.
      return result instanceof Promise ? result.finally(limit.start()) : result;
    },
  });
}

interface Running {
  readonly until: number;
  isCanceled: boolean;
}

/** Watches the statements of one connection with one timer, which is not set anew for each statement. */
class StatementLimit {
  /** The oldest first. */
  private readonly running = new Set<Running>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly client: PoolClient,
    private readonly url: DatabaseUrl,
    private readonly limitMs: number,
  ) {}

  /** Returns the function to call when the statement has ended. */
  start(): () => void {
    const statement = { until: performance.now() + this.limitMs, isCanceled: false };
    this.running.add(statement);
    if (this.timer === undefined) this.lookIn(this.limitMs);
    return () => {
      this.running.delete(statement);
      // The cancellation may reach the server late, when the connection runs another statement: no other gets it.
      if (statement.isCanceled) void this.session.end();
    };
  }

  private get session(): Session {
    return this.client as unknown as Session;
  }

  /** The socket of a running statement keeps the process alive; the timer of an idle connection must not. */
  private lookIn(delayMs: number): void {
    this.timer = setTimeout(() => this.look(), delayMs).unref();
  }

  private look(): void {
    this.timer = undefined;
    const [oldest] = this.running;
    if (oldest === undefined) return;
    const leftMs = oldest.until - performance.now();
    if (leftMs > 0) {
      this.lookIn(leftMs);
      return;
    }
    oldest.isCanceled = true;
    cancelStatement(this.client, this.url);
    this.timer = setTimeout(() => this.session.connection.stream.destroy(), CANCEL_TIMEOUT_MS).unref();
  }
}

/** Fields of pg's client that its types lack. */
interface Session {
  /** Null behind a pooler that gives no key. */
  readonly processID: number | null;
  readonly secretKey: number | null;
  readonly connection: { readonly stream: Duplex };
  end(): Promise<void>;
}

/** Sends CancelRequest on a connection of its own (PostgreSQL manual, §55.7). An unreachable server needs none. */
function cancelStatement(client: PoolClient, { host, port }: DatabaseUrl): void {
  const { processID, secretKey } = client as unknown as Session;
  if (processID === null || secretKey === null) return;
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(80_877_102, 4);
  request.writeInt32BE(processID, 8);
  request.writeInt32BE(secretKey, 12);
  const socket = host.startsWith('/') ? net.connect(`${host}/.s.PGSQL.${port}`) : net.connect(port, host);
  socket.on('error', () => undefined);
  socket.setTimeout(CANCEL_TIMEOUT_MS, () => socket.destroy());
  socket.end(request);
}
