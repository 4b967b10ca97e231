import { setTimeout as sleep } from 'node:timers/promises';

/** The first wait after work, and after an error. */
const SHORTEST_WAIT_MS = 10;
const LONGEST_ERROR_WAIT_MS = 5_000;

/** Waits until the time is over or the signal aborts, whichever comes first. Never throws. */
export async function waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}

/** Waits that double, from 10 ms or another time to a limit, as long as there is nothing to do. */
export class Pace {
  readonly #shortestMs: number;
  #nextMs: number;

  constructor(shortestMs = SHORTEST_WAIT_MS) {
    this.#shortestMs = shortestMs;
    this.#nextMs = shortestMs;
  }

  /** Begins again with the shortest wait, because there was work. */
  reset(): void {
    this.#nextMs = this.#shortestMs;
  }

  /** Whether the wait has reached the limit. */
  isSlow(limitMs: number): boolean {
    return this.#nextMs >= limitMs;
  }

  /** The next wait. */
  next(limitMs: number): number {
    const milliseconds = Math.min(this.#nextMs, limitMs);
    this.#nextMs = Math.min(this.#nextMs * 2, limitMs);
    return milliseconds;
  }
}

/** Work beside the work, such as deleting old rows: due after a long time, and soon if the last time left some of it. */
export class Chore {
  readonly #everyMs: number;
  readonly #againMs: number;
  #dueAt: number;

  constructor(everyMs: number, againMs: number) {
    this.#everyMs = everyMs;
    this.#againMs = againMs;
    this.#dueAt = performance.now() + everyMs;
  }

  /** Does the work if it is due. The work returns whether it has left something. */
  async doIfDue(work: () => Promise<boolean>): Promise<void> {
    if (performance.now() < this.#dueAt) return;
    this.#dueAt = performance.now() + this.#everyMs;
    if (await work()) this.#dueAt = performance.now() + this.#againMs;
  }
}

/** Reports the first error of a row and waits longer after each, with full jitter, until something succeeds. */
export class Outage {
  #failures = 0;
  #reported: string | undefined;
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Forgets the errors, because something succeeded. */
  end(): void {
    this.#failures = 0;
    this.#reported = undefined;
  }

  /** Waits after an error. Reports the error unless one with the same text was reported last. */
  async wait(error: unknown, signal: AbortSignal): Promise<void> {
    const text = String(error);
    if (this.#reported !== text) {
      this.#reported = text;
      this.#report(error);
    }
    const limitMs = Math.min(SHORTEST_WAIT_MS * 2 ** Math.min(this.#failures + 3, 20), LONGEST_ERROR_WAIT_MS);
    this.#failures += 1;
    await waitFor(Math.random() * limitMs, signal);
  }
}
