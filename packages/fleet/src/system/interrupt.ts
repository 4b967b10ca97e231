/** The signals that ask a command to stop: Ctrl-C, `kill`, and a terminal that is closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Two signals within this time are one request. The terminal sends Ctrl-C to npm and to the command, and npm passes it on to
 * the command once more.
 */
const SAME_REQUEST_MS = 500;

export interface InterruptHandlers {
  /** Runs before the signal is aborted. */
  readonly onFirst: () => void;
  /** Runs when a person does not want to wait; it ends the process. */
  readonly onSecond: () => void;
}

/**
 * Aborts the returned signal when the process is asked to stop, so that the command can end at its next safe point. The
 * second Ctrl-C or SIGTERM ends the process; a closed terminal never does, because nobody is there who cannot wait.
 */
export function listenForInterrupt({ onFirst, onSecond }: InterruptHandlers): AbortSignal {
  const interrupt = new AbortController();
  let firstAt = 0;
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (!interrupt.signal.aborted) {
        firstAt = performance.now();
        onFirst();
        interrupt.abort();
      } else if (name !== 'SIGHUP' && performance.now() - firstAt > SAME_REQUEST_MS) onSecond();
    });
  }
  return interrupt.signal;
}
