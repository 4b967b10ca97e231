import { once } from 'node:events';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { SuiteError } from '@azora/db-core';
import type { Client } from 'pg';
import { splitStatements } from '../migrations/statements';
import { type DumpOutcome, type DumpRequest, isWholeAnswer, type Section } from './wire';

/** Also while this file is run from src, by a test: Node loads the worker from dist. */
const PROGRAM = path.resolve(__dirname, '..', '..', '..', 'dist', 'postgres', 'dump', 'schema-worker.js');

/**
 * The SQL of everything in the database but its rows, owners and rights, as pg_dump words it: what must be there before
 * the rows come, and what is made after them. pg_dump runs in this process, as WebAssembly, over the connection that is
 * given, so that it sees what that one's transaction sees.
 * @throws {SuiteError} `BACKUP.SCHEMA_UNREADABLE`
 */
export async function dumpSchema(client: Client): Promise<Readonly<Record<Section, string>>> {
  const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
  const { port1: port, port2 } = new MessageChannel();
  const answered = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const stream = streamOf(client);
  const giveBack = lendStream(stream, port, new Int32Array(answered));
  const workerData: DumpRequest = { port: port2, answered, serverVersion: rows[0]?.version ?? '' };
  const worker = new Worker(PROGRAM, { workerData, transferList: [port2] });
  try {
    // A connection that is lost would leave the worker asleep.
    const lost = once(stream, 'close').then(() => ({ failed: 'The connection was lost.' }));
    const ended = once(worker, 'message').then(([outcome]) => outcome as DumpOutcome);
    const outcome = await Promise.race([ended, lost]);
    if ('failed' in outcome) throw unreadable(outcome.failed);
    return {
      'pre-data': statementsOf(outcome.sections['pre-data']),
      'post-data': statementsOf(outcome.sections['post-data']),
    };
  } finally {
    giveBack();
    port.close();
    await worker.terminate();
  }
}

/** The driver's own socket, which its types do not show. */
function streamOf(client: Client): Duplex {
  return (client as unknown as { readonly connection: { readonly stream: Duplex } }).connection.stream;
}

/** Takes the socket from the driver, which is idle: each request of the worker goes to the server, each answer back. */
function lendStream(stream: Duplex, port: MessagePort, answered: Int32Array): () => void {
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
    Atomics.store(answered, 0, 1);
    Atomics.notify(answered, 0);
  };
  stream.on('data', onData);
  port.on('message', (request: Uint8Array) => stream.write(request));
  return () => {
    stream.removeListener('data', onData);
    for (const listener of listeners) stream.on('data', listener);
  };
}

/** Without pg_dump's head of settings, which name parameters that an older server lacks: a restore makes its own. */
function statementsOf(dump: string): string {
  const lastSetting = 'SET row_security = off;\n';
  return asWritten(dump.slice(dump.indexOf(lastSetting) + lastSetting.length).trimStart());
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
