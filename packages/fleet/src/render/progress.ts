import type { Writable } from 'node:stream';
import type { Progress, ProgressEvent } from '../operations/fleet';

/** Shows the progress of a run over the fleet on stderr. */
export interface ProgressView {
  readonly report: Progress;
  readonly log: (line: string) => void;
  /** Leaves the last state on the screen and releases the terminal. */
  close(): Promise<void>;
}

/** A log needs a sign of life, not every step. */
const PLAIN_INTERVAL_MS = 15_000;

/**
 * Writes one line for each service that is done or failed, for pipes and logs, and a line about the work in progress after 15
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
      const isQuiet = now() - writtenAt >= PLAIN_INTERVAL_MS;
      if (state === 'working' && detail !== '' && isQuiet) write(`${service}: ${detail}`);
    },
    log: write,
    close: async () => undefined,
  };
}

/** Writes nothing, for `--json`. */
export function silentProgress(): ProgressView {
  return { report: () => undefined, log: () => undefined, close: async () => undefined };
}

interface Row {
  title: (text: string) => void;
  settle: (event: ProgressEvent) => void;
}

/** Draws a list with a row per service for each run over the fleet, and updates it in place. */
export function liveProgress(stream: NodeJS.WriteStream): ProgressView {
  let queued: string[] = [];
  let rows: Promise<ReadonlyMap<string, Row>> | undefined;
  let drawn: Promise<unknown> = Promise.resolve();
  const begin = async (services: readonly string[], previous: Promise<unknown>) => {
    await previous;
    const list = await drawList(services, stream);
    drawn = list.done;
    return list.rows;
  };
  return {
    report: (event) => {
      if (event.state === 'queued') {
        rows = undefined;
        queued.push(event.service);
        return;
      }
      if (rows === undefined) {
        rows = begin(queued, drawn);
        drawn = rows;
        queued = [];
      }
      void rows.then((all) => {
        const row = all.get(event.service);
        if (event.state === 'done' || event.state === 'failed') row?.settle(event);
        else if (event.detail !== '') row?.title(`${event.service}  ${event.detail}`);
      });
    },
    log: (line) => stream.write(`${line}\n`),
    close: async () => {
      await rows;
      await drawn;
    },
  };
}

async function drawList(services: readonly string[], stream: NodeJS.WriteStream) {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  const rows = new Map<string, Row>();
  const list = new Listr(
    services.map((service) => ({
      title: service,
      task: (_context: unknown, task: { title: string | undefined }) =>
        new Promise<void>((resolve, reject) => {
          rows.set(service, {
            title: (text) => {
              task.title = text;
            },
            settle: ({ state, detail }) => {
              task.title = `${service}  ${detail}`;
              if (state === 'done') resolve();
              else reject(new Error(detail));
            },
          });
        }),
    })),
    {
      concurrent: true,
      exitOnError: false,
      rendererOptions: {
        showErrorMessage: false,
        logger: new ListrLogger({ processOutput: new ProcessOutput(stream, stream) }),
      },
    },
  );
  const done = list.run();
  // The tasks register their rows in the next iterations of the event loop.
  while (rows.size < services.length) await new Promise((resolve) => setImmediate(resolve));
  return { rows, done };
}
