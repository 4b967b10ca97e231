import { createInterface } from 'node:readline';

let asking = false;

/** Whether a question waits for its answer. */
export function isAsking(): boolean {
  return asking;
}

/**
 * Asks a question on the terminal. Ctrl-C interrupts the command as it does without a question.
 * @returns the answer; undefined without a terminal, or when the question was interrupted or the input ended, as with Ctrl-D
 */
export async function ask(question: string, signal: AbortSignal): Promise<string | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  if (signal.aborted) return undefined;
  asking = true;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = new Promise<string | undefined>((resolve) => {
    // While the question is open, the terminal passes Ctrl-C on as a character.
    lines.once('SIGINT', () => {
      process.stderr.write('\n');
      // On Windows, a signal to the own process would end it at once.
      process.emit('SIGINT', 'SIGINT');
    });
    lines.once('close', () => resolve(undefined));
    // The terminal was closed.
    process.stdin.once('error', () => lines.close());
    signal.addEventListener('abort', () => lines.close(), { once: true });
    lines.question(question, resolve);
  });
  try {
    const text = await answer;
    if (text === undefined && !signal.aborted) process.stderr.write('\n');
    return text;
  } finally {
    asking = false;
    lines.close();
  }
}
