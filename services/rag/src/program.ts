// The commands of rag for the toolkit, `azora-db rag …`, which forks the compiled file and talks to it over the channel.
import { isRecord, type ProgramMessage, type ProgramRequest, SuiteError } from '@azora/db-core';
import { openRag } from './client';
import { runCommand } from './program/commands';

/** A statement of an index writes thousands of rows. */
const STATEMENT_MS = 600_000;

const stop = new AbortController();

process.on('message', (request: ProgramRequest) => {
  if (request.kind === 'stop') stop.abort(new Error('interrupted'));
  else void answer(request);
});
// The toolkit has exited. The server rolls back the running statement, and the next indexer takes over at once.
process.once('disconnect', () => process.exit());

async function answer({ command, url, input }: Extract<ProgramRequest, { kind: 'run' }>): Promise<void> {
  const rag = openRag({ url, pool: { statementTimeoutMs: STATEMENT_MS }, slowQueryMs: STATEMENT_MS });
  try {
    const onProgress = (detail: string) => send({ kind: 'progress', detail });
    await send({ kind: 'done', ...(await runCommand(rag, command, input, { signal: stop.signal, onProgress })) });
  } catch (error) {
    await send(failureOf(error));
  } finally {
    await rag.close();
    if (process.connected) process.disconnect();
  }
}

function send(message: ProgramMessage): Promise<void> {
  return new Promise((resolve) => {
    // A toolkit that has exited reads nothing any more.
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, undefined, () => resolve());
  });
}

function failureOf(error: unknown): ProgramMessage {
  if (error instanceof SuiteError) {
    const { code, kind: errorKind, message, why, next } = error;
    return { kind: 'failed', code, errorKind, message, why, next };
  }
  const message = isRecord(error) && typeof error['message'] === 'string' ? error['message'] : String(error);
  return { kind: 'failed', code: 'INTERNAL', errorKind: 'bug', message, why: undefined, next: undefined };
}
