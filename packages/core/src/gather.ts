import DataLoader from 'dataloader';
import { SuiteError } from './errors';
import type { Store } from './store';
import { isConnectionError } from './store-errors';

/** How a call ended, or the statement that is still to be run for it alone. */
export type Outcome<Result> = () => Promise<Result>;

export interface GatherOptions<Request, Result> {
  /** Runs one statement for several requests. A request without an outcome is run alone. */
  readonly together: (requests: readonly Request[]) => Promise<ReadonlyMap<Request, Outcome<Result>>>;
  readonly alone: (request: Request) => Promise<Result>;
  /** The maximum number of requests in one statement: it bounds the time for which their rows are locked. */
  readonly most: number;
}

/** Running statements of one gatherer: the server works on one while the process reads and writes the other. */
const MAX_RUNNING = 2;
/** A statement that runs longer is waiting for a lock. Requests that do not need that lock start without its end. */
const OVERDUE_MS = 100;

/**
 * Batches concurrent calls: a request is run in one statement with the requests that came while earlier statements were running. No
 * request waits for others to arrive: without load each one is a statement of its own.
 */
export function gatherCalls<Request, Result>({
  together,
  alone,
  most,
}: GatherOptions<Request, Result>): (request: Request) => Promise<Result> {
  const statements = new RunningStatements();
  const loader = new DataLoader(
    async (requests: readonly Request[]): Promise<readonly Outcome<Result>[]> => {
      const [only] = requests;
      if (only !== undefined && requests.length === 1) return [() => statements.count(alone(only))];
      const outcomes = await statements.count(together(requests));
      return requests.map((request) => outcomes.get(request) ?? (() => alone(request)));
    },
    { cache: false, maxBatchSize: most, batchScheduleFn: (dispatch) => statements.schedule(dispatch) },
  );
  return async (request) => {
    const outcome = await loader.load(request);
    return outcome();
  };
}

/** Limits the number of running statements; requests gather until one may start. */
class RunningStatements {
  /** Statements that may run: each is counted from when it is scheduled until it ends or is overdue. */
  private counted = 0;
  /** The oldest first. */
  private readonly running = new Set<{ readonly overdueAt: number }>();
  private readonly waiting: (() => void)[] = [];
  private timer: NodeJS.Timeout | undefined;

  schedule(dispatch: () => void): void {
    if (this.counted >= MAX_RUNNING) {
      this.waiting.push(dispatch);
      this.watch();
      return;
    }
    this.counted += 1;
    // Requests of the same callback of the event loop go together.
    process.nextTick(dispatch);
  }

  async count<Result>(statement: Promise<Result>): Promise<Result> {
    const started = { overdueAt: performance.now() + OVERDUE_MS };
    this.running.add(started);
    this.watch();
    try {
      return await statement;
    } finally {
      if (this.running.delete(started)) this.startNext();
    }
  }

  /** Sets the timer for the oldest statement if requests wait: without load none is set. */
  private watch(): void {
    const [oldest] = this.running;
    if (this.timer !== undefined || this.waiting.length === 0 || oldest === undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      for (const statement of this.running) {
        if (statement.overdueAt > performance.now()) break;
        this.running.delete(statement);
        this.startNext();
      }
      this.watch();
    }, oldest.overdueAt - performance.now()).unref();
  }

  private startNext(): void {
    this.counted -= 1;
    const dispatch = this.waiting.shift();
    if (dispatch !== undefined) this.schedule(dispatch);
  }
}

export interface GatheredFunction {
  /** The SQL function of a single call, with the number of its parameters. */
  readonly one: string;
  readonly parameters: number;
  /**
   * The SQL function that calls `one` for each element of its arrays, and returns the place of a call, counted from 1, with the row
   * that was `made`. It leaves out the calls that `one` rejects.
   */
  readonly many: string;
}

/** The maximum number of calls in one statement: more subtransactions than 64 slow down the whole server. */
const MAX_CALLS = 50;

/** Batches the concurrent calls of a SQL function that returns one row; a call that is rejected throws the error of a single call. */
export function gatherFunction<Row extends object>(
  store: Pick<Store<unknown, unknown>, 'query'>,
  { one, parameters, many }: GatheredFunction,
): (values: readonly unknown[]) => Promise<readonly Row[]> {
  const places = Array.from({ length: parameters }, (_, index) => `$${index + 1}`);
  const alone = (values: readonly unknown[]) =>
    store.query<Row>({ text: `SELECT * FROM ${one}(${places.join(', ')})`, values });
  const together = async (calls: readonly (readonly unknown[])[]) => {
    const outcomes = new Map<readonly unknown[], Outcome<readonly Row[]>>();
    try {
      const rows = await store.query<Row & { readonly place: number }>({
        text: `SELECT place, (made).* FROM ${many}(${places.join(', ')})`,
        values: places.map((_, parameter) => calls.map((values) => values[parameter])),
      });
      for (const { place, ...row } of rows) {
        const call = calls[place - 1];
        if (call !== undefined) outcomes.set(call, async () => [row as unknown as Row]);
      }
    } catch (error) {
      // Without a connection single calls fail too, or, after CONNECTION_LOST, may be the second ones.
      if (!(error instanceof SuiteError) || isConnectionError(error)) throw error;
    }
    return outcomes;
  };
  return gatherCalls({ together, alone, most: MAX_CALLS });
}
