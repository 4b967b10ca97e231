import type { EventStore, EventTransaction } from '@azora/db-core/events';
import { Chore } from './pace';

/** As long as an event may be delivered again. */
const INBOX_KEPT = '30 days';
const PRUNED_AT_ONCE = 10_000;
const PRUNE_MS = 600_000;
const PRUNE_AGAIN_MS = 1_000;

/** Deletes old rows of an inbox now and then. */
export class InboxPruner<Transaction extends EventTransaction> {
  readonly #store: EventStore<Transaction>;
  readonly #pruning = new Chore(PRUNE_MS, PRUNE_AGAIN_MS);

  constructor(store: EventStore<Transaction>) {
    this.#store = store;
  }

  /** Deletes what is too old to come again, if the last time was long ago or left some of it. */
  async prune(): Promise<void> {
    await this.#pruning.doIfDue(async () => {
      const rows = await this.#store.transaction((tx) =>
        tx.$queryRawUnsafe<readonly { readonly deleted: number }[]>(
          'SELECT prune_inbox($1::interval, $2::integer) AS deleted',
          INBOX_KEPT,
          PRUNED_AT_ONCE,
        ),
      );
      return rows[0]?.deleted === PRUNED_AT_ONCE;
    });
  }
}
