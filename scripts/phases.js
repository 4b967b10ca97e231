// The phases of a start on stderr: on a terminal one line that is redrawn every second, otherwise a line from time to time,
// and the duration at the end.

const REDRAW_MS = 1_000;
/** A log needs a sign of life, not a line per second. */
const PLAIN_MS = 15_000;
/** A phase that did nothing is not worth a line. */
const SILENT_MS = 1_000;

/** A duration as people write it: 0.4 s, 12 s, 3 min 5 s. */
function durationText(milliseconds) {
  const seconds = milliseconds / 1_000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Whether the stream is a terminal that can redraw a line. The terminal of a CI job is a log. */
function canRedraw(stream, { CI = '', TERM }) {
  return stream.isTTY === true && stream.columns > 0 && TERM !== 'dumb' && ['', '0', 'false'].includes(CI);
}

/**
 * Runs `work` as a phase such as { doing: 'installing the packages', done: 'installed the packages' }. `work` gets a function
 * that sets the detail of the phase: a text, or a function that returns one when the line is drawn.
 */
async function runPhase({ doing, done }, work, stream = process.stderr) {
  const live = canRedraw(stream, process.env);
  const started = performance.now();
  let detail = '';
  const draw = () => {
    const text = typeof detail === 'function' ? detail() : detail;
    const line = `${doing}${text === '' ? '' : `: ${text}`} (${durationText(performance.now() - started)})`;
    stream.write(live ? `\r\x1b[K${line.slice(0, stream.columns - 1)}` : `${line}\n`);
  };
  if (live) draw();
  else stream.write(`${doing}\n`);
  const timer = setInterval(draw, live ? REDRAW_MS : PLAIN_MS);
  try {
    const result = await work((text) => {
      detail = text;
    });
    const milliseconds = performance.now() - started;
    if (live) stream.write('\r\x1b[K');
    if (!live || milliseconds >= SILENT_MS) stream.write(`${done} in ${durationText(milliseconds)}\n`);
    return result;
  } catch (error) {
    // Leaves the line of the phase that failed on the screen.
    if (live) stream.write('\n');
    throw error;
  } finally {
    clearInterval(timer);
  }
}

module.exports = { durationText, runPhase };
