import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput, walletNotFound } from './errors';
import { type Currency, Prisma, type Wallet } from './generated/client';
import { currencyInput, walletInput } from './input';
import { onlyRow, type Row } from './rows';

export interface OpenWalletInput {
  /** An auth.User. */
  readonly userId: string;
  readonly currency: Currency;
}

export interface GetWalletInput {
  readonly walletId: string;
}

export type CloseWalletInput = GetWalletInput;

const ownedWalletInput = z.strictObject({ userId: idInput, currency: currencyInput });

/**
 * Returns the user's wallet in this currency; creates an empty one when there is none.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.WALLET_CLOSED`: a closed wallet cannot be reopened
 */
export async function openWallet(mint: Mint, input: OpenWalletInput): Promise<Wallet> {
  const { userId, currency } = readInput(ownedWalletInput, input);
  const rows = await mint.query<WalletRow>({
    text: 'SELECT * FROM open_wallet($1, $2, $3)',
    values: [newId(), userId, currency],
  });
  return walletOf(onlyRow(rows));
}

/**
 * A wallet by its id, closed ones and those of the system included.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.WALLET_NOT_FOUND`
 */
export async function getWallet(mint: Mint, input: GetWalletInput): Promise<Wallet> {
  const { walletId } = readInput(walletInput, input);
  const [row] = await mint.query<WalletRow>({
    text: 'SELECT * FROM wallets WHERE id = $1',
    values: [walletId],
  });
  if (row === undefined) throw walletNotFound({ walletId });
  return walletOf(row);
}

/**
 * The user's wallet in this currency, or null.
 * @throws {SuiteError} `MINT.INVALID_INPUT`
 */
export async function findWallet(mint: Mint, input: OpenWalletInput): Promise<Wallet | null> {
  const { userId, currency } = readInput(ownedWalletInput, input);
  const [row] = await mint.query<WalletRow>({
    text: 'SELECT * FROM wallets WHERE user_id = $1 AND currency = $2',
    values: [userId, currency],
  });
  return row === undefined ? null : walletOf(row);
}

/**
 * Closes an empty wallet for good; no function accepts it afterwards. Closing a closed wallet returns it unchanged.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.WALLET_NOT_FOUND`, `MINT.WALLET_NOT_EMPTY`, `MINT.SYSTEM_WALLET`
 */
export async function closeWallet(mint: Mint, input: CloseWalletInput): Promise<Wallet> {
  const { walletId } = readInput(walletInput, input);
  const rows = await mint.query<WalletRow>({
    text: 'SELECT * FROM close_wallet($1)',
    values: [walletId],
  });
  return walletOf(onlyRow(rows));
}

type WalletRow = Row<Wallet>;

function walletOf(row: WalletRow): Wallet {
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
