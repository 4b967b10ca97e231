import { Client, type ClientConfig, type QueryResultRow } from 'pg';
import { Bell } from './bell';
import { Outage, waitFor } from './pace';

/** Wakes those who wait when PostgreSQL notifies a channel. Without a connection that can listen, they wait for their whole time. */
export interface WakeUp {
  /** Whether notifications arrive. */
  readonly isListening: () => boolean;
  /** How many notifications have arrived. The caller reads it before it looks for work. */
  readonly rings: () => number;
  /** Waits until there are more notifications than `rings`, until the time is over, or for the signal. */
  wait(rings: number, milliseconds: number, signal: AbortSignal): Promise<void>;
  /**
   * Runs a query on the session that listens: its answer also shows that notifications still arrive. Undefined without such a
   * session, or if it does not answer; it is opened again then.
   */
  ask<Row extends QueryResultRow>(sql: string, values: readonly unknown[]): Promise<readonly Row[] | undefined>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A session that takes longer for a short query is lost. */
const ANSWER_TIMEOUT_MS = 10_000;
/** The longest time that a timer of Node can take. */
const FOREVER_MS = 2 ** 31 - 1;

/** Fields of pg's client that its types lack. */
interface Session {
  /** The id that the server gave when the session began. */
  readonly processID: number | null;
}

/**
 * Listens to a channel on a connection of its own, which is opened again after a loss. Behind a pooler nobody listens: a pooler
 * that gives the session to another client after each transaction would leave the LISTEN with that client. The id of the session
 * shows a pooler, because a pooler invents the one that it gives to its clients.
 */
export function openWakeUp(config: ClientConfig, channel: string): WakeUp {
  const closing = new AbortController();
  /** The session that listens, and what ends it. */
  let listener: { readonly client: Client; readonly end: () => void } | undefined;
  const bell = new Bell();
  const ring = () => bell.ring();
  const listening = listen();

  /** Opens the connection again whenever it was lost. Ends when a pooler was found, or by `close`. */
  async function listen(): Promise<void> {
    const outage = new Outage(() => undefined);
    while (!closing.signal.aborted) {
      try {
        if (!(await listenOnce())) return;
        outage.end();
        await waitFor(0, closing.signal);
      } catch (error) {
        // The users of the same database report that it cannot be reached.
        await outage.wait(error, closing.signal);
      }
    }
  }

  /** Listens until the connection ends. Returns false if it goes through a pooler. */
  async function listenOnce(): Promise<boolean> {
    const limits = { connectionTimeoutMillis: CONNECT_TIMEOUT_MS, query_timeout: ANSWER_TIMEOUT_MS };
    const client = new Client({ ...config, ...limits, keepAlive: true });
    const over = new AbortController();
    const end = () => over.abort();
    client.on('end', end);
    client.on('error', end);
    client.on('notification', ring);
    closing.signal.addEventListener('abort', end, { once: true });
    try {
      await client.connect();
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      if (rows[0]?.pid !== (client as unknown as Session).processID) return false;
      await client.query(`LISTEN ${channel}`);
      listener = { client, end };
      // What happened before cannot be heard any more.
      ring();
      await waitFor(FOREVER_MS, over.signal);
      return true;
    } finally {
      // Those who wait for a notification look themselves, until the connection is back.
      if (listener !== undefined) ring();
      listener = undefined;
      closing.signal.removeEventListener('abort', end);
      await client.end().catch(() => undefined);
    }
  }

  return {
    isListening: () => listener !== undefined,
    rings: () => bell.rings,
    wait: (heard, milliseconds, signal) => bell.wait(heard, milliseconds, signal),
    ask: async <Row extends QueryResultRow>(sql: string, values: readonly unknown[]) => {
      const asked = listener;
      try {
        return (await asked?.client.query<Row>(sql, [...values]))?.rows;
      } catch {
        asked?.end();
        return undefined;
      }
    },
    close: async () => {
      closing.abort();
      await listening;
    },
  };
}
