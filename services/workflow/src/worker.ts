import { newId } from '@azora/db-core';
import { z } from 'zod';
import type { Workflows } from './client';
import { readInput } from './errors';
import {
  type ClaimedStep,
  claimSteps,
  completeAndClaim,
  extendStepLease,
  failStep,
  leaseMsInput,
  MAX_ERROR_CHARACTERS,
} from './steps.store';

const DEFAULT_CONCURRENCY = 4;
const MAX_CONCURRENCY = 1_000;
const DEFAULT_POLL_MS = 1_000;
const MAX_POLL_MS = 3_600_000;
/** A lease is extended three times before it would end, so that one lost call does not lose the step. */
const BEATS_PER_LEASE = 3;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 5_000;

export interface StepContext {
  /** Aborted when the worker does not have the step any more or its time is over. What the handler returns afterwards is dropped. */
  readonly signal: AbortSignal;
}

/**
 * Executes a step, and returns its result: JSON of at most 1 MiB. It may run again after a crash or a lapsed lease, so its effects must
 * tolerate a repetition; `idempotencyKey` of the step helps. When it throws, the step is tried again later; when the error has
 * `retry: false`, the run fails at once.
 */
export type StepHandler = (step: ClaimedStep, context: StepContext) => unknown;

export interface RunWorkflowsOptions {
  /** The handlers by the types of their nodes. Other steps are left to other workers. */
  readonly handlers: Readonly<Record<string, StepHandler>>;
  /** When it is aborted, the worker claims nothing more, ends the steps that it has, and returns. */
  readonly signal?: AbortSignal;
  /** How many steps are executed at the same time, 1 to 1000; 4 when absent. */
  readonly concurrency?: number;
  /** Milliseconds after which another worker may claim the steps of this one when it is dead; 30 seconds when absent. */
  readonly leaseMs?: number;
  /** Milliseconds between two looks for work when there was none; a second when absent. */
  readonly pollMs?: number;
  /** Return when no step is due, as a scheduled job does. A worker without it runs until it is aborted. */
  readonly untilIdle?: boolean;
}

const optionsInput = z.strictObject({
  handlers: z.record(
    z.string(),
    z.custom<StepHandler>((value) => typeof value === 'function', 'is not a function'),
  ),
  signal: z.instanceof(AbortSignal).optional(),
  concurrency: z.int().min(1).max(MAX_CONCURRENCY).default(DEFAULT_CONCURRENCY),
  leaseMs: leaseMsInput,
  pollMs: z.int().min(1).max(MAX_POLL_MS).default(DEFAULT_POLL_MS),
  untilIdle: z.boolean().default(false),
});

/**
 * Executes the steps of runs until it is aborted: claims them, keeps their leases while their handlers run, and records each result once.
 * Any number of workers share the work, in any number of processes. Outlives restarts of the server.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`; errors of the database that another attempt does not cure
 */
export async function runWorkflows(workflows: Workflows, options: RunWorkflowsOptions): Promise<void> {
  await new Worker(workflows, readInput(optionsInput, options)).run();
}

class Worker {
  private readonly handlers: ReadonlyMap<string, StepHandler>;
  private readonly types: readonly string[];
  private readonly signal: AbortSignal;
  /** A chain of steps that follow each other in a run, for each unit of the concurrency that is in use. */
  private readonly chains = new Set<Promise<void>>();
  /** Ends the pause between two looks for work; a chain has ended since the last look if `isAwake`. */
  private wake: () => void = () => undefined;
  private isAwake = false;
  /** Places of calls that are claiming steps for them. */
  private asked = 0;
  private readonly failed = new AbortController();

  constructor(
    private readonly workflows: Workflows,
    private readonly options: z.output<typeof optionsInput>,
  ) {
    this.handlers = new Map(Object.entries(options.handlers));
    this.types = [...this.handlers.keys()];
    const signals = [this.failed.signal, ...(options.signal === undefined ? [] : [options.signal])];
    this.signal = AbortSignal.any(signals);
  }

  async run(): Promise<void> {
    const { untilIdle, pollMs } = this.options;
    try {
      while (!this.signal.aborted && this.types.length > 0) {
        this.isAwake = false;
        const begun = await this.claim();
        if (begun > 0 && this.free() > 0) continue;
        if (untilIdle && this.chains.size === 0) break;
        await this.rest(pollMs);
      }
    } finally {
      while (this.chains.size > 0) await Promise.all(this.chains);
    }
    if (this.failed.signal.aborted) throw this.failed.signal.reason;
  }

  private free(): number {
    return this.options.concurrency - this.chains.size - this.asked;
  }

  /** Claims steps for all free places and begins them. Returns their number. */
  private async claim(): Promise<number> {
    const limit = this.free();
    if (limit <= 0) return 0;
    const { leaseMs } = this.options;
    this.asked += limit;
    try {
      const call = () => claimSteps(this.workflows, { types: this.types, limit, leaseMs });
      const claimed = (await this.insist(call)) ?? [];
      for (const step of claimed) this.begin(step);
      return claimed.length;
    } finally {
      this.asked -= limit;
    }
  }

  private begin(first: ClaimedStep): void {
    const chain = this.follow(first)
      .catch((error: unknown) => this.failed.abort(error))
      .finally(() => {
        this.chains.delete(chain);
        this.rouse();
      });
    this.chains.add(chain);
  }

  /** Lets the worker look for steps: a place may be free. */
  private rouse(): void {
    this.isAwake = true;
    this.wake();
  }

  private async follow(first: ClaimedStep): Promise<void> {
    for (let step: ClaimedStep | undefined = first; step !== undefined; ) {
      step = await this.execute(step);
    }
  }

  /** Executes a step, and returns a step of the same run that was claimed when its result was recorded. */
  private async execute(step: ClaimedStep): Promise<ClaimedStep | undefined> {
    const attempt = new AbortController();
    const beat = setInterval(() => void this.beat(step, attempt), this.options.leaseMs / BEATS_PER_LEASE);
    const timeout =
      step.timeoutMs === null ? undefined : setTimeout(() => attempt.abort(new StepTimeout(step)), step.timeoutMs);
    try {
      const result = await this.handle(step, attempt.signal).catch((error: unknown) => new Failure(error));
      if (attempt.signal.aborted && !(attempt.signal.reason instanceof StepTimeout)) return undefined;
      if (result instanceof Failure) return await this.fail(step, result);
      return await this.complete(step, result);
    } finally {
      clearInterval(beat);
      clearTimeout(timeout);
    }
  }

  /** The result of the handler, unless the attempt ends before: a handler that ignores the signal is not waited for. */
  private async handle(step: ClaimedStep, signal: AbortSignal): Promise<unknown> {
    const handler = this.handlers.get(step.type);
    let stop: () => void = () => undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      stop = () => reject(signal.reason);
      signal.addEventListener('abort', stop);
    });
    // An error of the handler that comes after the end of the attempt is of no use.
    const handled = (async () => handler?.(step, { signal }))();
    try {
      return await Promise.race([handled, aborted]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Records the result, and claims what waited for it: a step for this chain, and others for the free places, which begin. */
  private async complete(step: ClaimedStep, result: unknown): Promise<ClaimedStep | undefined> {
    const { runId, nodeId, leaseId } = step;
    const { leaseMs } = this.options;
    const nextLeaseId = newId();
    const more = this.signal.aborted ? 0 : Math.max(this.free(), 0);
    const limit = this.signal.aborted ? 0 : 1 + more;
    const call = () =>
      completeAndClaim(this.workflows, {
        ...{ runId, nodeId, leaseId, result, nextLeaseId },
        ...{ types: this.types, limit, leaseMs },
      });
    this.asked += more;
    try {
      const [next, ...others] = (await this.insist(call)) ?? [];
      for (const other of others) this.begin(other);
      return next;
    } catch (error) {
      if (!UNSTORABLE.test(codeOf(error))) throw error;
      // A result that cannot be stored is the same the next time.
      return this.fail(step, new Failure(Object.assign(new Error(textOf(error)), { retry: false })));
    } finally {
      this.asked -= more;
      if (more > 0) this.rouse();
    }
  }

  private async fail({ runId, nodeId, leaseId }: ClaimedStep, { error }: Failure): Promise<undefined> {
    const retry = Object(error).retry !== false;
    const input = { runId, nodeId, leaseId, error: textOf(error), retry };
    await this.insist(() => failStep(this.workflows, input));
    return undefined;
  }

  private async beat({ runId, nodeId, leaseId }: ClaimedStep, attempt: AbortController): Promise<void> {
    const { leaseMs } = this.options;
    try {
      await extendStepLease(this.workflows, { runId, nodeId, leaseId, leaseMs });
    } catch (error) {
      // The next beat tries again what the connection has lost.
      if (isGone(error)) attempt.abort(error);
    }
  }

  /**
   * Makes a call until it is answered, also while the server restarts. Undefined when the step is gone, or when the worker was aborted
   * meanwhile: then the lease lapses and another worker executes the step.
   */
  private async insist<Result>(call: () => Promise<Result>): Promise<Result | undefined> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      try {
        return await call();
      } catch (error) {
        if (isGone(error)) return undefined;
        if (!isLost(error)) throw error;
        if (this.signal.aborted) return undefined;
        await pause(pauseMs, this.signal);
      }
    }
  }

  private async rest(milliseconds: number): Promise<void> {
    if (this.isAwake) return;
    const woken = new AbortController();
    this.wake = () => woken.abort();
    await pause(milliseconds, AbortSignal.any([woken.signal, this.signal]));
  }
}

/** What a handler has thrown: a handler may also return an error. */
class Failure {
  constructor(readonly error: unknown) {}
}

/** The attempt took longer than the node allows. */
class StepTimeout extends Error {
  constructor({ timeoutMs }: ClaimedStep) {
    super(`TIMEOUT: the attempt took longer than ${timeoutMs} ms`);
  }
}

/** The errors of a server that is restarting, or of a network that is cut. */
const LOST = /^DATABASE\.(CONNECTION_LOST|NO_CONNECTION|TIMEOUT|TRANSACTION_TIMEOUT|ACCESS_DENIED|FAILED)$/;
const UNSTORABLE = /^WORKFLOW\.(RESULT_TOO_LARGE|INVALID_INPUT)$/;
const GONE = /^WORKFLOW\.(LEASE_LOST|RUN_NOT_FOUND|STEP_NOT_FOUND)$/;

const codeOf = (error: unknown) => String(Object(error).code);
const isLost = (error: unknown) => LOST.test(codeOf(error));
const isGone = (error: unknown) => GONE.test(codeOf(error));

/** The message of an error as PostgreSQL can store it. */
function textOf(error: unknown): string {
  const text = (error instanceof Error ? error.message : String(error)).replaceAll('\0', '').toWellFormed();
  return text.trim() === ''
    ? 'The handler failed without a message'
    : text.slice(0, MAX_ERROR_CHARACTERS).toWellFormed();
}

/** Waits so long, or until the signal is aborted. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
