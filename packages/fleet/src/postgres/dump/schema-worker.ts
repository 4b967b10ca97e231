import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import type { PGlite } from '@electric-sql/pglite';
import { pgDump } from '@electric-sql/pglite-tools/pg_dump';
import {
  ANSWER,
  type DumpOutcome,
  type DumpRequest,
  greeting,
  isTerminate,
  isWholeRequest,
  query,
} from './schema-protocol';

const PG_DUMP = '@electric-sql/pglite-tools/pg_dump';
// --schema-only would leave materialized views unpopulated.
const ARGUMENTS = [
  '--section=pre-data',
  '--section=post-data',
  '--no-owner',
  '--no-acl',
  '--no-subscriptions',
  '--no-tablespaces',
];

/**
 * Stands in for the PGlite that pg_dump expects: a server in its own thread that answers synchronously. Each request goes
 * to the main thread, which has the connection, and this thread sleeps until the answer arrives.
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
    // The startup message, which has no type, is answered here, because the connection is open already.
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

  /** PGlite's tool saves and restores the session's search path; the owner of the connection does that here. */
  async query(): Promise<{ rows: readonly { search_path: string }[] }> {
    return { rows: [{ search_path: '' }] };
  }

  async exec(): Promise<void> {}

  /** pg_dump leaves its prepared statements behind, because its session normally ends with it. */
  forgetStatements(): void {
    this.ask(query('DEALLOCATE ALL'));
  }

  private ask(request: Buffer): Uint8Array {
    // Keeps `lost`, which may arrive while the request waits in the queue: nothing would wake this thread again.
    Atomics.compareExchange(this.answered, 0, ANSWER.posted, ANSWER.none);
    this.port.postMessage(request);
    // A wake-up may belong to the previous answer, when this thread was not asleep yet.
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

// Node has it, but its types do not.
declare const WebAssembly: { readonly compile: (bytes: Uint8Array) => Promise<object> };

/** Kept for the lifetime of the thread, so that V8 reuses the compiled code for later instances. */
const compiled = readFile(path.join(path.dirname(require.resolve(PG_DUMP)), 'pg_dump.wasm')).then((bytes) =>
  WebAssembly.compile(bytes),
);

/** Requests run one after the other, because each instance of the module has a memory of its own. */
let last: Promise<unknown> = compiled;
parentPort?.on('message', (request: DumpRequest) => {
  last = last.then(async () => {
    request.port.postMessage(await dump(request));
    request.port.close();
  });
});
