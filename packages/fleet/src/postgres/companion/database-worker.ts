import { parentPort, workerData } from 'node:worker_threads';
import { createData, openDatabase } from './database';
import { type Answer, describeFailure, type Task, type WorkerInput } from './database-protocol';
import { startupMessage } from './wire';

/**
 * The thread that runs PGlite. A statement occupies it until the statement ends, and PGlite knows no way to cancel one: the
 * thread that owns it ends this one instead.
 */
async function main({ directory, task }: WorkerInput): Promise<void> {
  if (task === 'create') {
    await createData(directory);
    tell({ kind: 'created' });
    return;
  }
  const database = await openDatabase(directory);
  const exchange = (messages: Uint8Array, onData: (data: Uint8Array) => void): Promise<void> =>
    // PGlite reuses its buffer for the next piece.
    database.runExclusive(() =>
      database.execProtocolRawStream(messages, { onRawData: (data) => onData(Uint8Array.from(data)) }),
    );
  const perform = async (request: Task): Promise<void> => {
    if (request.kind === 'close') {
      await database.close();
      tell({ kind: 'closed' });
      return;
    }
    await exchange(request.messages, (data) => tell({ kind: 'data', data }));
    tell({ kind: 'done', isInTransaction: database.isInTransaction() });
  };
  const greeting: Uint8Array[] = [];
  await exchange(startupMessage(), (data) => greeting.push(data));
  parentPort?.on('message', (request: Task) => void perform(request).catch(fail));
  tell({ kind: 'ready', greeting: Buffer.concat(greeting) });
}

function tell(answer: Answer): void {
  parentPort?.postMessage(answer);
}

function fail(error: unknown): void {
  tell({ kind: 'failed', why: describeFailure(error) });
  process.exit(1);
}

main(workerData as WorkerInput).catch(fail);
