import type { Writable } from 'node:stream';
import type { Environment } from '@azora/db-core';
import type { Progress } from '../operations/fleet';
import { LiveList } from './live-list';

/** Shows the progress of a run over the fleet on stderr. */
export interface ProgressView {
  readonly report: Progress;
  readonly log: (line: string) => void;
  /** Leaves the last state on the screen and releases the terminal. */
  close(): void;
}

/** A log needs a sign of life, not every step. */
const PLAIN_INTERVAL_MS = 15_000;

/**
 * Writes one line for each service that has ended, for pipes and logs, and a line about the work in progress after 15
 * seconds without a line.
 */
export function plainProgress(stream: Writable, now = (): number => performance.now()): ProgressView {
  let writtenAt = now();
  const write = (line: string) => {
    writtenAt = now();
    stream.write(`${line}\n`);
  };
  return {
    report: ({ service, state, detail }) => {
      if (state === 'done' && detail !== '') write(`${service}: ${detail}`);
      if (state === 'failed') write(`${service}: failed: ${detail}`);
      if (state === 'interrupted') write(`${service}: interrupted`);
      const isQuiet = now() - writtenAt >= PLAIN_INTERVAL_MS;
      if (state === 'working' && detail !== '' && isQuiet) write(`${service}: ${detail}`);
    },
    log: write,
    close: () => undefined,
  };
}

/** Writes nothing, for `--json`. */
export function silentProgress(): ProgressView {
  return { report: () => undefined, log: () => undefined, close: () => undefined };
}

/** Whether the stream is a terminal that can redraw lines. The terminal of a CI job is a log. */
export function canRedraw(stream: NodeJS.WriteStream, { TERM, CI }: Environment): boolean {
  const isLog = CI !== undefined && !['', '0', 'false'].includes(CI);
  return stream.isTTY === true && stream.columns > 0 && TERM !== 'dumb' && !isLog;
}

/** Draws a list with a row per service for each run over the fleet, and updates it in place. */
export function liveProgress(stream: NodeJS.WriteStream): ProgressView {
  let queued: string[] = [];
  let list: LiveList | undefined;
  const close = () => {
    list?.end();
    list = undefined;
  };
  return {
    report: (event) => {
      if (event.state === 'queued') {
        queued.push(event.service);
        return;
      }
      if (queued.length > 0) {
        close();
        list = new LiveList(stream, queued);
        queued = [];
      }
      list?.update(event);
    },
    log: (line) => (list === undefined ? stream.write(`${line}\n`) : list.log(line)),
    close,
  };
}
