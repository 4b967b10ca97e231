import type { TestDatabase } from '@azora/db-testkit';
import { type Mint, openMint } from '../src';
import { hold } from '../src/holds.store';
import { fresh } from './stakes-given';

export { balanceOf, fresh, givenWallet } from './stakes-given';

export const HOUR_MS = 3_600_000;

/** Several stores on one database, as several processes have them. */
export function givenStores(db: TestDatabase, count: number): readonly Mint[] {
  return Array.from({ length: count }, () => openMint({ url: db.url, pool: { max: 4 } }));
}

/** Everything that the ledger's tables hold, to the last column. */
export async function dump(db: TestDatabase): Promise<string> {
  const tables = ['wallets', 'requests', 'transactions', 'holds', 'stakes', 'mining_records', 'economic_metrics'];
  const columns = tables.map(
    (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
  );
  return JSON.stringify(await db.admin(`SELECT ${columns.join(', ')}`));
}

/** A hold of this much of a wallet for an hour; its id. */
export async function givenHold(mint: Mint, from: string, amount: string, to?: string): Promise<string> {
  const expiresAt = new Date(mint.clock().getTime() + HOUR_MS);
  const made = await hold(mint, {
    from,
    ...(to === undefined ? {} : { to }),
    amount,
    expiresAt,
    idempotencyKey: fresh('hold'),
  });
  return made.id;
}

/** What came of each: its code, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}
