// Ctrl-C and its relatives while the packages are installed and compiled. The toolkit has its own listeners, so `release` is
// called before it runs.

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** 128 and the number of SIGINT, like the toolkit. */
const EXIT_INTERRUPTED = 130;

/** The work stopped because of a signal. */
class Interrupted extends Error {}

/**
 * Listens for signals: the first one aborts `signal`, so that the work can stop its child processes, and the second one calls
 * `onSecond` and ends the process.
 */
function listen(onSecond) {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) {
      onSecond();
      process.exit(EXIT_INTERRUPTED);
    }
    controller.abort(new Interrupted());
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  const release = () => {
    for (const name of SIGNALS) process.off(name, onSignal);
  };
  return { signal: controller.signal, release };
}

module.exports = { EXIT_INTERRUPTED, Interrupted, listen };
