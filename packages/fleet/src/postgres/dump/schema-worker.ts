import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { PGlite } from '@electric-sql/pglite';
import { pgDump } from '@electric-sql/pglite-tools/pg_dump';
import { type DumpOutcome, type DumpRequest, greeting, isTerminate, isWholeRequest, query, type Section } from './wire';

const ARGUMENTS = ['--no-owner', '--no-acl', '--no-publications', '--no-subscriptions'];

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
    Atomics.store(this.answered, 0, 0);
    this.port.postMessage(request);
    // What wakes it may be the notice of the answer before, which came when this thread had not slept yet.
    while (Atomics.load(this.answered, 0) === 0) Atomics.wait(this.answered, 0, 0);
    return receiveMessageOnPort(this.port)?.message as Uint8Array;
  }
}

async function dump({ port, answered, serverVersion }: DumpRequest, section: Section): Promise<string> {
  const server = new RemoteServer(port, answered, serverVersion);
  const file = await pgDump({
    pg: server as unknown as PGlite,
    args: [`--section=${section}`, ...ARGUMENTS],
  });
  server.forgetStatements();
  return file.text();
}

async function run(): Promise<DumpOutcome> {
  const request = workerData as DumpRequest;
  try {
    const sections = { 'pre-data': await dump(request, 'pre-data'), 'post-data': await dump(request, 'post-data') };
    return { sections };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  } finally {
    request.port.close();
  }
}

void run().then((outcome) => parentPort?.postMessage(outcome));
