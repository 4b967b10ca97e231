import { Prisma } from './generated/client';

/** Columns that only the chains need: no result of the store has them. */
type ChainColumn =
  | 'seq'
  | 'hash'
  | 'entries'
  | 'lastSeq'
  | 'chain'
  | 'resolvedKey'
  | 'resolvedSeq'
  | 'resolvedHash'
  | 'stateHash'
  | 'decidedSeq'
  | 'decidedHash';

export type Wallet = Omit<Prisma.WalletModel, ChainColumn>;
export type Transaction = Omit<Prisma.TransactionModel, ChainColumn>;
export type Hold = Omit<Prisma.HoldModel, ChainColumn>;
export type Stake = Omit<Prisma.StakeModel, ChainColumn>;
export type MiningRecord = Omit<Prisma.MiningRecordModel, ChainColumn | 'requestKey'>;
export type EconomicMetrics = Omit<Prisma.EconomicMetricsModel, ChainColumn>;

/** A row of a model as `pg` returns it: with the names of columns, and numeric as text. */
export type Row<Model> = {
  readonly [Field in keyof Model as Snake<Field & string>]: Prisma.Decimal extends Model[Field] ? string : Model[Field];
};
type Snake<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${Snake<Rest>}`
  : '';

export type TransactionRow = Row<Transaction>;
export type HoldRow = Row<Hold>;

/** The columns of a TransactionRow, without those of the chain. */
export const TRANSACTION_COLUMNS =
  'id, type, from_id, to_id, currency, amount, stake_id, hold_id, description, request_key, created_at';

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

/** The row of a statement that returns exactly one. */
export function onlyRow<Found>(rows: readonly Found[]): Found {
  const [row] = rows;
  if (row === undefined || rows.length > 1)
    throw new Error(`the statement returned ${rows.length} rows instead of one`);
  return row;
}
