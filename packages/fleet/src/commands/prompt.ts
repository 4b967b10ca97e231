import { createInterface } from 'node:readline';

/**
 * Asks a question on the terminal. Ctrl-C interrupts the command as it does without a question.
 * @returns the answer; undefined without a terminal, or when the input ended, as with Ctrl-D
 * @throws the reason of the signal when it was aborted
 */
export async function ask(question: string, signal: AbortSignal): Promise<string | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  signal.throwIfAborted();
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = new Promise<string | undefined>((resolve) => {
    // While the question is open, the terminal passes Ctrl-C on as a character.
    lines.once('SIGINT', () => {
      process.stderr.write('\n');
      process.kill(process.pid, 'SIGINT');
    });
    lines.once('close', () => resolve(undefined));
    // The terminal was closed.
    process.stdin.once('error', () => lines.close());
    signal.addEventListener('abort', () => lines.close(), { once: true });
    lines.question(question, resolve);
  });
  try {
    const text = await answer;
    signal.throwIfAborted();
    if (text === undefined) process.stderr.write('\n');
    return text;
  } finally {
    lines.close();
  }
}
