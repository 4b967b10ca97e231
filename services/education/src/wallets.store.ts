import { type CloudEvent, type Consumer, defineConsumer } from '@azora/db-core/events';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Education } from './client';
import { readInput } from './errors';
import { $Enums, type Prisma, type TransactionType } from './generated/client';
import { studentInput } from './input';
import { findRow, listRows, type Transaction, type Wallet } from './rows';

export interface FindWalletInput {
  readonly studentId: string;
}

export interface ListTransactionsInput extends PageInput {
  readonly walletId: string;
  readonly type?: TransactionType;
}

const listInput = z.strictObject({
  walletId: idInput,
  type: z.enum($Enums.TransactionType).optional(),
  ...pageFields,
});

/**
 * The study wallet of a student, or null until the event of the wallet arrives. It is a copy of the student's AZR wallet in mint, and
 * may be behind it: mint decides what a student can pay.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function findWallet(education: Education, input: FindWalletInput): Promise<Wallet | null> {
  const { studentId } = readInput(studentInput, input);
  return (await findRow<Wallet>(education, 'wallets', 'student_id', studentId)) ?? null;
}

/**
 * A page of the movements of a study wallet, newest first. A purchase and a refund name their enrollment.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function listTransactions(education: Education, input: ListTransactionsInput): Promise<Page<Transaction>> {
  const { walletId, type, ...page } = readInput(listInput, input);
  return listRows(
    education,
    'transactions',
    [
      ['wallet_id = ?', walletId],
      ['type = ?', type],
    ],
    page,
  );
}

const OPENED = 'mint.wallet-opened.v1';
const POSTED = 'mint.transaction-posted.v1';

/** The fields of mint's events that the copy needs; a new optional field does not stop it. */
const openedData = z.object({ walletId: z.string(), userId: z.string(), currency: z.string() });
const postedData = z.object({
  transactionId: z.string(),
  transactionType: z.string(),
  fromWalletId: z.string(),
  toWalletId: z.string(),
  currency: z.string(),
  amount: z.string(),
  holdId: z.string().nullable(),
  requestKeyHash: z.string(),
});

/**
 * Keeps the study wallets like the AZR wallets of mint, and records the payments of enrollments. An event that is handled twice
 * changes nothing. A new database starts it from the beginning of the log.
 */
export const walletProjection: Consumer<Prisma.TransactionClient> = defineConsumer<Prisma.TransactionClient>({
  name: 'education.wallets',
  types: [OPENED, POSTED],
  handle: async (tx, event) => {
    if (event.type === OPENED) await projectWallet(tx, event);
    else await projectTransaction(tx, event);
  },
});

async function projectWallet(tx: Prisma.TransactionClient, event: CloudEvent): Promise<void> {
  const { walletId, userId, currency } = openedData.parse(event.data);
  if (currency === 'AZR') await tx.$executeRaw`SELECT project_wallet(${walletId}, ${userId})`;
}

async function projectTransaction(tx: Prisma.TransactionClient, event: CloudEvent): Promise<void> {
  const data = postedData.parse(event.data);
  if (data.currency !== 'AZR') return;
  await tx.$executeRaw`SELECT project_transaction(${data.transactionId}, ${data.transactionType}, ${data.fromWalletId},
    ${data.toWalletId}, ${data.amount}::numeric, ${data.holdId}, ${data.requestKeyHash}, ${event.time}::timestamptz)`;
}
