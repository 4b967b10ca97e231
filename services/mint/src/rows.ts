import { type Hold, Prisma, type Transaction, type Wallet } from './generated/client';

/** A row as `pg` gives it: column names, numeric as text. */
export type Row<Model> = {
  readonly [Field in keyof Model as Snake<Field & string>]: Prisma.Decimal extends Model[Field] ? string : Model[Field];
};
type Snake<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${Snake<Rest>}`
  : '';

export type WalletRow = Row<Wallet>;
export type TransactionRow = Row<Transaction>;
export type HoldRow = Row<Hold>;

export function walletOf(row: WalletRow): Wallet {
  return {
    id: row.id,
    kind: row.kind,
    userId: row.user_id,
    currency: row.currency,
    balance: new Prisma.Decimal(row.balance),
    held: new Prisma.Decimal(row.held),
    earned: new Prisma.Decimal(row.earned),
    status: row.status,
    closedAt: row.closed_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export function transactionOf(row: TransactionRow): Transaction {
  return {
    id: row.id,
    type: row.type,
    fromId: row.from_id,
    toId: row.to_id,
    currency: row.currency,
    amount: new Prisma.Decimal(row.amount),
    stakeId: row.stake_id,
    holdId: row.hold_id,
    description: row.description,
    requestKey: row.request_key,
    createdAt: row.created_at,
  };
}

export function holdOf(row: HoldRow): Hold {
  return {
    id: row.id,
    walletId: row.wallet_id,
    toId: row.to_id,
    currency: row.currency,
    amount: new Prisma.Decimal(row.amount),
    capturedAmount: new Prisma.Decimal(row.captured_amount),
    status: row.status,
    description: row.description,
    requestKey: row.request_key,
    expiresAt: row.expires_at,
    resolvedAt: row.resolved_at,
    createdAt: row.created_at,
  };
}

/** The one row of a statement that answers exactly one. */
export function onlyRow<Found>(rows: readonly Found[]): Found {
  const [row] = rows;
  if (row === undefined || rows.length > 1) throw new Error(`one row was expected, not ${rows.length}`);
  return row;
}
