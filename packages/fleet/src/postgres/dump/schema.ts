import { once } from 'node:events';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { SuiteError } from '@azora/db-core';
import { splitStatements } from '@azora/db-migrate';
import type { Client } from 'pg';
import { ANSWER, type DumpOutcome, type DumpRequest, isWholeAnswer } from './wire';

/** Also while this file is run from src, by a test: Node loads the worker from dist. */
const PROGRAM = path.resolve(__dirname, '..', '..', '..', 'dist', 'postgres', 'dump', 'schema-worker.js');
/** Starting it anew costs more than most dumps; it holds memory. */
const IDLE_MS = 5_000;

/** The SQL of everything in a database but its rows, owners and rights. */
export interface SchemaSql {
  /** What must be there before the rows come. */
  readonly preData: string;
  /** What is made after them: indexes, constraints, triggers. */
  readonly postData: string;
}

/**
 * The schema of a database, as pg_dump words it. pg_dump runs in this process, as WebAssembly, over the connection that is
 * given, so that it sees what that one's transaction sees.
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
    // A connection that is lost would leave the worker asleep.
    const lost = once(stream, 'close', over).then(() => {
      wake(new Int32Array(answered), ANSWER.lost);
      return { failed: 'The connection was lost.' };
    });
    const ended = once(worker, 'exit', over).then(() => ({ failed: 'Its thread has ended.' }));
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

/** One thread for all dumps of this process: what is compiled for the first is there for the others. */
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
  shared.idle = setTimeout(() => void worker.terminate(), IDLE_MS).unref();
}

/** The driver's own socket, which its types do not show. */
function streamOf(client: Client): Duplex {
  return (client as unknown as { readonly connection: { readonly stream: Duplex } }).connection.stream;
}

/** Takes the socket from the driver, which is idle: each request of the worker goes to the server, each answer back. */
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

/** The end of pg_dump's head of settings, which name parameters that an older server lacks: a restore makes its own. */
const LAST_SETTING = 'SET row_security = off;\n';
/** Kinds of entries in pg_dump's section post-data (pg_dump.c, SECTION_POST_DATA), as their comments name them. */
const POST_DATA =
  /^-- Name: .*; Type: (INDEX|INDEX ATTACH|STATISTICS|CONSTRAINT|FK CONSTRAINT|CHECK CONSTRAINT|TRIGGER|EVENT TRIGGER|RULE|ROW SECURITY|POLICY|MATERIALIZED VIEW DATA); Schema: /m;

/** Entries of post-data come after all others; each begins with a comment that names it. */
function sectionsOf(dump: string): SchemaSql {
  const sql = dump.slice(dump.indexOf(LAST_SETTING) + LAST_SETTING.length).trimStart();
  let end = 0;
  for (const { offset, text } of splitStatements(sql)) {
    const isPostData = POST_DATA.test(sql.slice(end, offset));
    if (isPostData) return { preData: asWritten(sql.slice(0, end)), postData: asWritten(sql.slice(end).trimStart()) };
    end = offset + text.length + ';\n'.length;
  }
  return { preData: asWritten(sql), postData: '' };
}

/** `varchar IN ('a', 'b')`, as PostgreSQL words it. */
const LIST = /\b(ANY|ALL) \(\(ARRAY\[((?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)::text\[\]\)/g;

/** What newer minor versions of the server keep of a column for themselves, and only their own pg_dump leaves out. */
const VERSION = /, pg_attver=\d+|pg_attver=\d+, /g;
const ONLY_VERSION = /^ALTER (FOREIGN )?TABLE (ONLY )?.* SET \(pg_attver=\d+\)$/;

/**
 * PostgreSQL words the list of `varchar IN (…)` with a cast that, read again, goes to each value: the same check, in other
 * words, which a comparison of catalogs finds. Without the cast it becomes what it was.
 */
function asWritten(sql: string): string {
  let written = '';
  let at = 0;
  for (const { offset, text, words } of splitStatements(sql)) {
    if (ONLY_VERSION.test(text)) {
      written += sql.slice(at, offset);
      at = offset + text.length + ';\n'.length;
      continue;
    }
    // What a function says is its author's.
    const isRoutine = words.includes('function') || words.includes('procedure');
    written += sql.slice(at, offset) + (isRoutine ? text : text.replace(LIST, '$1 (ARRAY[$2])').replace(VERSION, ''));
    at = offset + text.length;
  }
  return written + sql.slice(at);
}

function unreadable(message: string): SuiteError {
  return new SuiteError('BACKUP.SCHEMA_UNREADABLE', 'pg_dump cannot read the schema of the database', {
    why: message.replace(/\s+/g, ' ').trim(),
    next: 'Servers up to PostgreSQL 18 are supported; the administrator must be able to read every table',
  });
}
