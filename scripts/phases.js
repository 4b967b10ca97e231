// The phases of a start on stderr: on a terminal one line that is redrawn every second, otherwise a line from time to time,
// and the duration at the end.

const REDRAW_MS = 1_000;
/** A log needs a sign of life, not a line per second. */
const PLAIN_MS = 15_000;
/** A phase that did nothing is not worth a line. */
const SILENT_MS = 1_000;

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `840 ms`, `4.2 s`, `75 s`, `3 min`; like `durationText` of the toolkit, which is not compiled yet. */
function durationText(milliseconds) {
  if (milliseconds < SECOND_MS - 0.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 10 * SECOND_MS) return `${Number((milliseconds / SECOND_MS).toFixed(1))} s`;
  if (milliseconds < 90 * SECOND_MS) return `${Math.round(milliseconds / SECOND_MS)} s`;
  if (milliseconds < 90 * MINUTE_MS) return `${Math.round(milliseconds / MINUTE_MS)} min`;
  if (milliseconds < 2 * DAY_MS) return `${Math.round(milliseconds / HOUR_MS)} h`;
  return `${Math.round(milliseconds / DAY_MS)} days`;
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
