import type { TestDatabase } from '@azora/db-testkit';
import { type Mint, openMint } from '../src';
import { hold } from '../src/holds.store';
import { fresh } from './stakes-given';

export { balanceOf, fresh, givenWallet } from './stakes-given';

export const HOUR_MS = 3_600_000;

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Mint[] {
  return Array.from({ length: count }, () => openMint({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 } }));
}

/** All rows of the ledger's tables, with every column. */
export async function dump(db: TestDatabase): Promise<string> {
  const tables = ['wallets', 'requests', 'transactions', 'holds', 'stakes', 'mining_records', 'economic_metrics'];
  const columns = tables.map(
    (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
  );
  return JSON.stringify(await db.admin(`SELECT ${columns.join(', ')}`));
}

/** Holds an amount of a wallet for an hour; returns the id of the hold. */
export async function givenHold(mint: Mint, from: string, amount: string, to?: string): Promise<string> {
  const made = await hold(mint, {
    from,
    ...(to === undefined ? {} : { to }),
    amount,
    expiresIn: HOUR_MS,
    idempotencyKey: fresh('hold'),
  });
  return made.id;
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

/**
 * The deadlocks in a database so far. A session publishes its counters late, so the sessions of the stores that may have
 * deadlocked publish theirs first.
 */
export async function countDeadlocks(db: TestDatabase, stores: readonly Mint[]): Promise<number> {
  for (const { pool } of stores) {
    const sessions = await Promise.all(Array.from({ length: pool.totalCount }, () => pool.connect()));
    for (const session of sessions) {
      await session.query('SELECT pg_stat_force_next_flush()');
      session.release();
    }
  }
  const [row] = await db.admin('SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()');
  return Number(row?.['deadlocks']);
}
