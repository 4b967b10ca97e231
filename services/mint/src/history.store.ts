import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput, walletNotFound } from './errors';
import { $Enums, Prisma, type Transaction, type TransactionType } from './generated/client';
import { momentInput } from './input';
import { type TransactionRow, transactionOf } from './rows';

const MOST_ENTRIES = 200;
const DEFAULT_ENTRIES = 50;

export interface HistoryInput {
  readonly walletId: string;
  /** Only these types. */
  readonly types?: readonly TransactionType[];
  /** 1 to 200; 50 without it. */
  readonly limit?: number;
  /** Where the page before it ended: its `nextCursor`. */
  readonly cursor?: string;
}

export interface HistoryPage {
  /** The newest first. */
  readonly transactions: readonly Transaction[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

export interface BalanceAtInput {
  readonly walletId: string;
  readonly at: Date;
}

/** A moment in microseconds since 1970, which a Date would round, and an id. */
const CURSOR = /^(-?\d{1,18})\.(\S{1,100})$/;

const cursorInput = z
  .string()
  .max(500)
  .transform((text, context) => {
    const [, micros, id] = CURSOR.exec(Buffer.from(text, 'base64url').toString()) ?? [];
    if (micros !== undefined && id !== undefined && !id.includes('\0') && isMoment(micros)) return { micros, id };
    context.addIssue({ code: 'custom', message: 'is no cursor of a page' });
    return z.NEVER;
  });

function isMoment(micros: string): boolean {
  return momentInput.safeParse(new Date(Number(BigInt(micros) / 1_000n))).success;
}

const historyInput = z.strictObject({
  walletId: idInput,
  types: z.array(z.enum($Enums.TransactionType)).min(1).optional(),
  limit: z.int().min(1).max(MOST_ENTRIES).default(DEFAULT_ENTRIES),
  cursor: cursorInput.optional(),
});
const balanceAtInput = z.strictObject({ walletId: idInput, at: momentInput });

/** One side of a wallet's transactions, each by its own index. */
const sideOf = (column: 'from_id' | 'to_id', condition = '') => `
  (SELECT *, (extract(epoch FROM created_at) * 1000000)::bigint::text AS micros
   FROM transactions
   WHERE ${column} = $1 ${condition}
     AND ($2::transaction_type[] IS NULL OR type = ANY ($2))
     AND ($3::bigint IS NULL OR (created_at, id) < (timestamptz 'epoch' + $3 * interval '1 microsecond', $4))
   ORDER BY created_at DESC, id DESC LIMIT $5)`;

const HISTORY = `
  SELECT sides.* FROM (${sideOf('from_id')} UNION ALL ${sideOf('to_id', 'AND from_id <> $1')}) AS sides
  RIGHT JOIN wallets ON true WHERE wallets.id = $1
  ORDER BY sides.created_at DESC, sides.id DESC LIMIT $5`;

type HistoryRow = TransactionRow & { readonly micros: string };

/**
 * A page of what moved into and out of a wallet, the newest first.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.WALLET_NOT_FOUND`
 */
export async function history(mint: Mint, input: HistoryInput): Promise<HistoryPage> {
  const { walletId, types = null, limit, cursor } = readInput(historyInput, input);
  // One more than the page, to know whether it is the last.
  const found = await mint.query<HistoryRow | { readonly id: null }>({
    text: HISTORY,
    values: [walletId, types, cursor?.micros ?? null, cursor?.id ?? null, limit + 1],
  });
  // A wallet in which nothing moved answers one empty row.
  if (found.length === 0) throw walletNotFound({ walletId });
  const rows = found.filter((row): row is HistoryRow => row.id !== null);
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const nextCursor = last === undefined || rows.length <= limit ? null : cursorOf(last);
  return { transactions: page.map(transactionOf), nextCursor };
}

function cursorOf({ micros, id }: HistoryRow): string {
  return Buffer.from(`${micros}.${id}`).toString('base64url');
}

/** From the present back: what moved later is taken out again, so that it does not matter in which order clocks ran. */
const BALANCE_AT = `
  SELECT balance
    - coalesce((SELECT sum(amount) FROM transactions WHERE to_id = $1 AND created_at > $2), 0)
    + coalesce((SELECT sum(amount) FROM transactions WHERE from_id = $1 AND created_at > $2), 0) AS balance
  FROM wallets WHERE id = $1`;

/**
 * What a wallet's balance was at a moment: the sum of its transactions up to and including it.
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
