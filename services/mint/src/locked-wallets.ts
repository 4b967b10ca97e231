import { type Store, SuiteError } from '@azora/db-core';

interface WalletPair {
  readonly from: string;
  readonly to: string;
}

/**
 * The wallets that other sessions have locked for long, and the transfers of this store that wait for them: one statement for
 * each wallet, so that a wallet that stays locked takes one connection and not all of them.
 */
export class LockedWallets {
  /** The running statements, each with the error that it ends with if it waits too long. */
  private readonly waiting = new Map<string, Promise<SuiteError | undefined>>();

  constructor(private readonly store: Pick<Store<unknown, unknown>, 'query'>) {}

  /** The wallets of the transfers that are locked at this moment; none when the server cannot say. */
  async find(pairs: readonly WalletPair[]): Promise<ReadonlySet<string>> {
    const ids = [...new Set(pairs.flatMap(({ from, to }) => [from, to]))];
    const rows = await this.store
      .query<{ id: string }>({ text: 'SELECT id FROM locked_wallets($1) AS id', values: [ids] })
      .catch(() => []);
    return new Set(rows.map(({ id }) => id));
  }

  isWaitedFor(walletId: string): boolean {
    return this.waiting.has(walletId);
  }

  /** Whether another transfer waits for a wallet of this one. */
  areWaitedFor({ from, to }: WalletPair): boolean {
    return this.waiting.size > 0 && (this.waiting.has(from) || this.waiting.has(to));
  }

  /** Runs a statement that waits for the wallet. */
  async wait<Result>(walletId: string, statement: Promise<Result>): Promise<Result> {
    this.waiting.set(
      walletId,
      statement.then(
        () => undefined,
        (error: unknown) => (isTimeout(error) ? error : undefined),
      ),
    );
    try {
      return await statement;
    } finally {
      this.waiting.delete(walletId);
    }
  }

  /**
   * Resolves when no other transfer waits for a wallet of this one.
   * @throws {SuiteError} `DATABASE.TIMEOUT` when the other one has waited too long: to wait again would double the time
   */
  async waitFor({ from, to }: WalletPair): Promise<void> {
    for (;;) {
      const statement = this.waiting.get(from) ?? this.waiting.get(to);
      if (statement === undefined) return;
      const error = await statement;
      if (error !== undefined) throw error;
    }
  }
}

function isTimeout(error: unknown): error is SuiteError {
  return error instanceof SuiteError && error.code === 'DATABASE.TIMEOUT';
}
