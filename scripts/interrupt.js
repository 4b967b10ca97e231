// Ctrl-C and its relatives while the packages are installed and the checkout is built. The toolkit has its own listeners, so `release` is
// called before it runs.

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** 128 and the number of SIGINT, like the toolkit. */
const EXIT_INTERRUPTED = 130;

/**
 * Two signals within this time are one request, like in the toolkit: the terminal sends Ctrl-C to npm and to the script, and
 * npm passes it on to the script once more.
 */
const SAME_REQUEST_MS = 500;

/** The work stopped because of a signal. */
class Interrupted extends Error {}

/**
 * Listens for signals: the first one aborts `signal`, so that the work can stop its child processes. The second Ctrl-C or
 * SIGTERM calls `onSecond` and ends the process; a closed terminal never does, because nobody is there who cannot wait.
 */
function listen(onSecond) {
  const controller = new AbortController();
  let firstAt = 0;
  const onSignal = (name) => {
    if (!controller.signal.aborted) {
      firstAt = performance.now();
      controller.abort(new Interrupted());
    } else if (name !== 'SIGHUP' && performance.now() - firstAt > SAME_REQUEST_MS) {
      onSecond();
      process.exit(EXIT_INTERRUPTED);
    }
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  const release = () => {
    for (const name of SIGNALS) process.off(name, onSignal);
  };
  return { signal: controller.signal, release };
}

module.exports = { EXIT_INTERRUPTED, Interrupted, listen };
