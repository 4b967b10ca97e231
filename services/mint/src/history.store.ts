import { rowIdInput, timeInput } from '@azora/db-core/input';
import { cursorInput, microsOf, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput, walletNotFound } from './errors';
import { $Enums, Prisma, type TransactionType } from './generated/client';
import { type Transaction, type TransactionRow, transactionOf } from './rows';

const MAX_ENTRIES = 200;
const DEFAULT_ENTRIES = 50;

export interface HistoryInput {
  readonly walletId: string;
  /** Only these types. */
  readonly types?: readonly TransactionType[];
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

export interface HistoryPage {
  /** Newest first. */
  readonly transactions: readonly Transaction[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

export interface BalanceAtInput {
  readonly walletId: string;
  readonly at: Date;
}

const historyInput = z.strictObject({
  walletId: rowIdInput,
  types: z.array(z.enum($Enums.TransactionType)).min(1).optional(),
  limit: z.int().min(1).max(MAX_ENTRIES).default(DEFAULT_ENTRIES),
  cursor: cursorInput.optional(),
});
const balanceAtInput = z.strictObject({ walletId: rowIdInput, at: timeInput });

/** The transactions of one side of a wallet; each side has its own index. */
const sideOf = (column: 'from_id' | 'to_id', condition = '') => `
  (SELECT *, ${microsOf('created_at')} AS micros
   FROM transactions
   WHERE ${column} = $1 ${condition}
     AND ($2::transaction_type[] IS NULL OR type = ANY ($2))
     AND ($3::bigint IS NULL OR (created_at, id) < (${timeOfMicros('$3')}, $4))
   ORDER BY created_at DESC, id DESC LIMIT $5)`;

const HISTORY = `
  SELECT sides.* FROM (${sideOf('from_id')} UNION ALL ${sideOf('to_id', 'AND from_id <> $1')}) AS sides
  RIGHT JOIN wallets ON true WHERE wallets.id = $1
  ORDER BY sides.created_at DESC, sides.id DESC LIMIT $5`;

type HistoryRow = TransactionRow & { readonly micros: string };

/**
 * A page of the transactions from and to a wallet, newest first.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.WALLET_NOT_FOUND`
 */
export async function history(mint: Mint, input: HistoryInput): Promise<HistoryPage> {
  const { walletId, types = null, limit, cursor } = readInput(historyInput, input);
  const found = await mint.query<HistoryRow | { readonly id: null }>({
    text: HISTORY,
    values: [walletId, types, cursor?.micros ?? null, cursor?.id ?? null, limit + 1],
  });
  // A wallet without transactions has one row of nulls.
  if (found.length === 0) throw walletNotFound({ walletId });
  const { rows, nextCursor } = pageOf(
    found.filter((row): row is HistoryRow => row.id !== null),
    limit,
  );
  return { transactions: rows.map(transactionOf), nextCursor };
}

/** Counts back from the present balance. A Date names a whole millisecond, while the database stores microseconds. */
const BALANCE_AT = `
  SELECT balance
    - coalesce((SELECT sum(amount) FROM transactions WHERE to_id = $1 AND created_at >= $2::timestamptz + interval '1 millisecond'), 0)
    + coalesce((SELECT sum(amount) FROM transactions WHERE from_id = $1 AND created_at >= $2::timestamptz + interval '1 millisecond'), 0) AS balance
  FROM wallets WHERE id = $1`;

/**
 * The balance of a wallet at a time: the sum of its transactions up to and including it.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.WALLET_NOT_FOUND`
 */
export async function balanceAt(mint: Mint, input: BalanceAtInput): Promise<Prisma.Decimal> {
  const { walletId, at } = readInput(balanceAtInput, input);
  const [row] = await mint.query<{ balance: string }>({
    text: BALANCE_AT,
    values: [walletId, at],
  });
  if (row === undefined) throw walletNotFound({ walletId });
  return new Prisma.Decimal(row.balance);
}
