import { once } from 'node:events';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { SuiteError } from '@azora/db-core';
import { settledWording, splitStatements } from '@azora/db-migrate';
import type { Client } from 'pg';
import { ANSWER, type DumpOutcome, type DumpRequest, isWholeAnswer } from './schema-protocol';

/** In dist even when a test runs this file from src, because Node loads the worker itself. */
const PROGRAM = path.resolve(__dirname, '..', '..', '..', 'dist', 'postgres', 'dump', 'schema-worker.js');
/** Starting the worker costs more than most dumps, but an idle one holds memory. */
const IDLE_TIMEOUT_MS = 5_000;

/** The SQL of a database without its rows, owners and privileges. */
export interface SchemaSql {
  /** The statements before the rows are loaded. */
  readonly preData: string;
  /** The statements after that: indexes, constraints, triggers. */
  readonly postData: string;
}

/**
 * The schema of a database as pg_dump writes it. pg_dump runs in this process as WebAssembly and over the given
 * connection, so that it sees the state of that connection's transaction.
 * @throws {SuiteError} `BACKUP.SCHEMA_UNREADABLE`
 */
export async function dumpSchema(client: Client): Promise<SchemaSql> {
  const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
  const { port1: port, port2 } = new MessageChannel();
  const answered = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const stream = streamOf(client);
  const over = new AbortController();
  const { outcome, giveBack } = lendStream(stream, port, new Int32Array(answered));
  const request: DumpRequest = { port: port2, answered, serverVersion: rows[0]?.version ?? '' };
  const worker = takeWorker();
  try {
    worker.postMessage(request, [port2]);
    // Without this, a lost connection would leave the worker asleep forever.
    const lost = once(stream, 'close', over).then(() => {
      wake(new Int32Array(answered), ANSWER.lost);
      return { failed: 'The connection was lost.' };
    });
    const ended = once(worker, 'exit', over).then(() => ({ failed: 'The worker thread ended.' }));
    const end = await Promise.race([outcome, lost, ended]);
    if ('failed' in end) throw unreadable(end.failed);
    return sectionsOf(end.sql);
  } finally {
    over.abort();
    giveBack();
    port.close();
    leaveWorker(worker);
  }
}

let shared: { readonly worker: Worker; users: number; idle: NodeJS.Timeout | undefined } | undefined;

/** All dumps of this process share one thread, so that the module is compiled once. */
function takeWorker(): Worker {
  if (shared === undefined) {
    const worker = new Worker(PROGRAM);
    worker.unref();
    worker.once('exit', () => {
      if (shared?.worker === worker) shared = undefined;
    });
    shared = { worker, users: 0, idle: undefined };
  }
  clearTimeout(shared.idle);
  shared.users += 1;
  return shared.worker;
}

function leaveWorker(worker: Worker): void {
  if (shared?.worker !== worker) return;
  shared.users -= 1;
  if (shared.users > 0) return;
  shared.idle = setTimeout(() => {
    // A dump that begins while the thread ends must not take it.
    shared = undefined;
    void worker.terminate();
  }, IDLE_TIMEOUT_MS).unref();
}

/** The driver's socket, which its types do not show. */
function streamOf(client: Client): Duplex {
  return (client as unknown as { readonly connection: { readonly stream: Duplex } }).connection.stream;
}

/** Takes the socket from the idle driver, and passes the worker's requests and the server's answers on. */
function lendStream(
  stream: Duplex,
  port: MessagePort,
  answered: Int32Array,
): { readonly outcome: Promise<DumpOutcome>; readonly giveBack: () => void } {
  const listeners = stream.listeners('data') as ((chunk: Buffer) => void)[];
  stream.removeAllListeners('data');
  let answer: Buffer[] = [];
  const onData = (chunk: Buffer): void => {
    answer.push(chunk);
    const whole = answer.length === 1 ? chunk : Buffer.concat(answer);
    answer = [whole];
    if (!isWholeAnswer(whole)) return;
    answer = [];
    port.postMessage(whole);
    wake(answered, ANSWER.posted);
  };
  stream.on('data', onData);
  const outcome = new Promise<DumpOutcome>((resolve) => {
    port.on('message', (message: Uint8Array | DumpOutcome) => {
      if (message instanceof Uint8Array) stream.write(message);
      else resolve(message);
    });
  });
  const giveBack = (): void => {
    stream.removeListener('data', onData);
    for (const listener of listeners) stream.on('data', listener);
  };
  return { outcome, giveBack };
}

function wake(answered: Int32Array, what: number): void {
  Atomics.store(answered, 0, what);
  Atomics.notify(answered, 0);
}

/** The last of pg_dump's settings. All of them are left out: a restore sets its own, which older servers know too. */
const LAST_SETTING = 'SET row_security = off;\n';
/** The comments that name entries of pg_dump's section post-data (pg_dump.c, SECTION_POST_DATA). */
const POST_DATA =
  /^-- Name: .*; Type: (INDEX|INDEX ATTACH|STATISTICS|CONSTRAINT|FK CONSTRAINT|CHECK CONSTRAINT|TRIGGER|EVENT TRIGGER|RULE|ROW SECURITY|POLICY|MATERIALIZED VIEW DATA|PUBLICATION|PUBLICATION TABLE|PUBLICATION TABLES IN SCHEMA); Schema: /m;
/** How their statements begin: the name in a comment may itself look like the end of a comment. */
const POST_STATEMENT =
  /^(CREATE (UNIQUE )?INDEX|CREATE (CONSTRAINT |EVENT )?TRIGGER|CREATE (STATISTICS|RULE|OR REPLACE VIEW|POLICY|PUBLICATION)|ALTER (INDEX|TABLE|FOREIGN TABLE|DOMAIN|PUBLICATION)|REFRESH) /;

/** Entries of post-data come last; each begins with a comment that names it. */
function sectionsOf(dump: string): SchemaSql {
  const sql = dump.slice(dump.indexOf(LAST_SETTING) + LAST_SETTING.length).trimStart();
  let end = 0;
  for (const { offset, text } of splitStatements(sql)) {
    const isPostData = POST_STATEMENT.test(text) && POST_DATA.test(sql.slice(end, offset));
    if (isPostData) return { preData: normalize(sql.slice(0, end)), postData: normalize(sql.slice(end).trimStart()) };
    end = offset + text.length + ';\n'.length;
  }
  return { preData: normalize(sql), postData: '' };
}

/** The form in which PostgreSQL prints `varchar IN ('a', 'b')`. */
const LIST = /\b(ANY|ALL) \(\(ARRAY\[((?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)::text\[\]\)/g;

/** An internal column option of newer minor versions of the server, which only their own pg_dump leaves out. */
const VERSION = /, pg_attver=\d+|pg_attver=\d+, /g;
const ONLY_VERSION = /^ALTER (FOREIGN )?TABLE (ONLY )?.* SET \(pg_attver=\d+\)$/s;

/**
 * PostgreSQL prints the list of `varchar IN (…)` with one cast of the whole list. When it reads that back, it casts each
 * value instead: the same check with another text, which a comparison of catalogs reports as drift. Without the cast the
 * restored check has the original text.
 */
function normalize(sql: string): string {
  let written = '';
  let at = 0;
  for (const { offset, text, words } of splitStatements(sql)) {
    if (ONLY_VERSION.test(text)) {
      written += sql.slice(at, offset);
      at = offset + text.length + ';\n'.length;
      continue;
    }
    written +=
      sql.slice(at, offset) + (isRoutine(words) ? text : text.replace(LIST, '$1 (ARRAY[$2])').replace(VERSION, ''));
    at = offset + text.length;
  }
  return written + sql.slice(at);
}

/**
 * The wording of a dump after it was restored and dumped again: PostgreSQL reads some conditions that it printed into another form with
 * the same meaning, such as those of BETWEEN.
 */
export function settledSchema(sql: string): string {
  return splitStatements(sql)
    .map(({ text, words }) => (isRoutine(words) ? text : settledWording(text)))
    .join(';\n');
}

/** The body of a function stays as its author wrote it. */
function isRoutine(words: readonly string[]): boolean {
  return words.includes('function') || words.includes('procedure');
}

function unreadable(message: string): SuiteError {
  return new SuiteError('BACKUP.SCHEMA_UNREADABLE', 'pg_dump cannot read the schema of the database', {
    why: message.replace(/\s+/g, ' ').trim(),
    next: 'Check that the server is PostgreSQL 18 or older, and that the administrator can read every table',
  });
}
