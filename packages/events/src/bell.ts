import { waitFor } from './pace';

/** Wakes those who wait. A ring between the look for work and the wait is not lost. */
export class Bell {
  #rings = 0;
  readonly #waiting = new Set<() => void>();

  /** How often it has rung. The caller reads it before it looks for work. */
  get rings(): number {
    return this.#rings;
  }

  ring(): void {
    this.#rings += 1;
    for (const stop of this.#waiting) stop();
  }

  /** Waits until it has rung more than `heard` times, until the time is over, or for the signal. */
  async wait(heard: number, milliseconds: number, signal: AbortSignal): Promise<void> {
    if (this.#rings !== heard || signal.aborted) return;
    const over = new AbortController();
    const stop = () => over.abort();
    this.#waiting.add(stop);
    signal.addEventListener('abort', stop, { once: true });
    await waitFor(milliseconds, over.signal);
    signal.removeEventListener('abort', stop);
    this.#waiting.delete(stop);
  }
}
