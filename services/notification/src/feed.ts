import type { Statement } from '@azora/db-core';
import type { QueryResultRow } from 'pg';

/** The part of a store that the feed uses. */
interface FeedStore {
  query<Row extends QueryResultRow>(statement: Statement): Promise<readonly Row[]>;
}

interface VersionRow {
  readonly user_id: string;
  readonly version: string;
}

interface Watcher {
  readonly userId: string;
  /** The version that the watcher knows. */
  readonly version: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const VERSIONS = 'SELECT user_id, version FROM recipients WHERE user_id = ANY ($1::text[])';

/**
 * Wakes those who wait for a change of a recipient. One statement per look answers for all of them, whatever their number; nothing
 * runs while nobody waits. Writers pay nothing for it: NOTIFY would make all transactions of the server commit one after the other.
 */
export class LiveFeed {
  readonly #store: FeedStore;
  readonly #pollMs: number;
  readonly #watchers = new Set<Watcher>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;

  constructor(store: FeedStore, pollMs: number) {
    this.#store = store;
    this.#pollMs = pollMs;
  }

  /**
   * Resolves when the version of the recipient differs from the given one, or the signal is aborted. Rejects with the error of the
   * store if it cannot be read.
   */
  changed(userId: string, version: string, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const watcher = {
        userId,
        version,
        resolve: () => settle(resolve),
        reject: (error: unknown) => settle(() => reject(error)),
      };
      const settle = (then: () => void) => {
        this.#watchers.delete(watcher);
        signal?.removeEventListener('abort', watcher.resolve);
        if (this.#watchers.size === 0) clearTimeout(this.#timer);
        then();
      };
      signal?.addEventListener('abort', watcher.resolve, { once: true });
      this.#watchers.add(watcher);
      if (this.#watchers.size === 1 && !this.#isLooking) this.#schedule();
    });
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), this.#pollMs);
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    const asked = [...this.#watchers];
    try {
      const userIds = [...new Set(asked.map(({ userId }) => userId))];
      const rows = await this.#store.query<VersionRow>({ text: VERSIONS, values: [userIds] });
      const versions = new Map(rows.map((row) => [row.user_id, row.version]));
      for (const watcher of asked) if ((versions.get(watcher.userId) ?? '0') !== watcher.version) watcher.resolve();
    } catch (error) {
      for (const watcher of asked) watcher.reject(error);
    } finally {
      this.#isLooking = false;
      if (this.#watchers.size > 0) this.#schedule();
    }
  }
}
