import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import type { PGlite } from '@electric-sql/pglite';
import { pgDump } from '@electric-sql/pglite-tools/pg_dump';
import { ANSWER, type DumpOutcome, type DumpRequest, greeting, isTerminate, isWholeRequest, query } from './wire';

const PG_DUMP = '@electric-sql/pglite-tools/pg_dump';
// Not --schema-only, which would leave materialized views empty.
const ARGUMENTS = [
  '--section=pre-data',
  '--section=post-data',
  '--no-owner',
  '--no-acl',
  '--no-publications',
  '--no-subscriptions',
];

/**
 * What pg_dump takes for a PGlite: a server in its own thread that answers at once. Here each request goes to the main
 * thread, which has the connection, and this thread sleeps until the answer is there.
 */
class RemoteServer {
  private greeted = false;
  private request = Buffer.alloc(0);
  private readonly answered: Int32Array;

  constructor(
    private readonly port: MessagePort,
    answered: SharedArrayBuffer,
    private readonly serverVersion: string,
  ) {
    this.answered = new Int32Array(answered);
  }

  execProtocolRawStream(bytes: Uint8Array, { onRawData }: { onRawData: (answer: Uint8Array) => void }): void {
    // The start-up message, which has no type, gets an answer of ours: the connection is open already.
    if (!this.greeted) {
      this.greeted = true;
      onRawData(greeting(this.serverVersion));
      return;
    }
    this.request = Buffer.concat([this.request, bytes]);
    if (!isWholeRequest(this.request)) return;
    const request = this.request;
    this.request = Buffer.alloc(0);
    if (!isTerminate(request)) onRawData(this.ask(request));
  }

  /** Around pg_dump, PGlite's tool reads and puts back the session's search path, of which its owner takes care here. */
  async query(): Promise<{ rows: readonly { search_path: string }[] }> {
    return { rows: [{ search_path: '' }] };
  }

  async exec(): Promise<void> {}

  /** pg_dump ends with its session, which here goes on. */
  forgetStatements(): void {
    this.ask(query('DEALLOCATE ALL'));
  }

  private ask(request: Buffer): Uint8Array {
    // Not over `lost`, which may come while the request waits for its turn: nobody would wake this thread again.
    Atomics.compareExchange(this.answered, 0, ANSWER.posted, ANSWER.none);
    this.port.postMessage(request);
    // What wakes it may be the notice of the answer before, which came when this thread had not slept yet.
    while (Atomics.load(this.answered, 0) === ANSWER.none) Atomics.wait(this.answered, 0, ANSWER.none);
    if (Atomics.load(this.answered, 0) === ANSWER.lost) throw new Error('The connection was lost.');
    return receiveMessageOnPort(this.port)?.message as Uint8Array;
  }
}

async function dump({ port, answered, serverVersion }: DumpRequest): Promise<DumpOutcome> {
  const server = new RemoteServer(port, answered, serverVersion);
  try {
    const file = await pgDump({ pg: server as unknown as PGlite, args: ARGUMENTS });
    server.forgetStatements();
    return { sql: await file.text() };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

// Node has it, and its types do not.
declare const WebAssembly: { readonly compile: (bytes: Uint8Array) => Promise<object> };

/** Held for as long as the thread lives: V8 gives later instances of the same bytes what it has compiled of them. */
const compiled = readFile(path.join(path.dirname(require.resolve(PG_DUMP)), 'pg_dump.wasm')).then((bytes) =>
  WebAssembly.compile(bytes),
);

/** One after the other: each has an instance of the module, with its memory, for as long as it runs. */
let last: Promise<unknown> = compiled;
parentPort?.on('message', (request: DumpRequest) => {
  last = last.then(async () => {
    request.port.postMessage(await dump(request));
    request.port.close();
  });
});
