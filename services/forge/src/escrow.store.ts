import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Forge } from './client';
import { escrowNotFound, readInput } from './errors';
import { keyInput } from './input';
import { callFor, type Escrow, modelOf, type Row } from './rows';

export interface FundMilestoneInput {
  readonly milestoneId: string;
  /** The employer of the contract. */
  readonly employerId: string;
  /** A mint.Wallet of the employer, in the currency of the contract. */
  readonly payerWalletId: string;
  /** A mint.Wallet of the freelancer, in the currency of the contract. */
  readonly payeeWalletId: string;
  readonly idempotencyKey: string;
}

export interface GetEscrowInput {
  readonly escrowId: string;
}

export interface ConfirmFundingInput {
  readonly escrowId: string;
  /** The mint.Hold that sets the amount aside. */
  readonly holdId: string;
}

export interface ConfirmSettlementInput {
  readonly escrowId: string;
  /** The mint.Transaction that paid `payoutAmount`; absent if `payoutAmount` is 0. */
  readonly transactionId?: string;
}

const fundInput = z.strictObject({
  milestoneId: idInput,
  employerId: idInput,
  payerWalletId: idInput,
  payeeWalletId: idInput,
  idempotencyKey: keyInput,
});
const getInput = z.strictObject({ escrowId: idInput });
const confirmInput = z.strictObject({ escrowId: idInput, holdId: idInput });
const settleInput = z.strictObject({ escrowId: idInput, transactionId: idInput.optional() });

/**
 * Asks for the money of a planned milestone, once per key: `requested`. A saga holds the amount in mint, then calls
 * confirmFunding() or cancelFunding().
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.KEY_REUSED`, `FORGE.MILESTONE_NOT_FOUND`, `FORGE.NOT_ALLOWED`,
 *   `FORGE.ILLEGAL_TRANSITION`, `FORGE.CONTRACT_ENDED`, `FORGE.DISPUTED`, `FORGE.ALREADY_FUNDED`
 */
export async function fundMilestone(forge: Forge, input: FundMilestoneInput): Promise<Escrow> {
  const { idempotencyKey, ...body } = readInput(fundInput, input);
  return callFor(forge, 'SELECT * FROM fund_milestone($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * Records the hold that sets the money of an escrow aside: `held`, and its milestone is funded. A repeated call with the same hold
 * returns the escrow unchanged. Works during a dispute too.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.ESCROW_NOT_FOUND`, `FORGE.ILLEGAL_TRANSITION`: the caller then releases its hold,
 *   `FORGE.HOLD_USED`
 */
export async function confirmFunding(forge: Forge, input: ConfirmFundingInput): Promise<Escrow> {
  const { escrowId, holdId } = readInput(confirmInput, input);
  return callFor(forge, 'SELECT * FROM confirm_funding($1, $2)', [escrowId, holdId]);
}

/**
 * Gives up a requested escrow: `cancelled`. The milestone can be funded anew. A repeated call returns the escrow unchanged.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.ESCROW_NOT_FOUND`, `FORGE.ILLEGAL_TRANSITION`
 */
export async function cancelFunding(forge: Forge, input: GetEscrowInput): Promise<Escrow> {
  const { escrowId } = readInput(getInput, input);
  return callFor(forge, 'SELECT * FROM cancel_funding($1)', [escrowId]);
}

/**
 * Records that mint moved the money of an escrow in settlement: `released` if the freelancer was paid, else `refunded`. A contract in
 * which nothing is left to do ends with it. A repeated call returns the escrow unchanged.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.ESCROW_NOT_FOUND`, `FORGE.ILLEGAL_TRANSITION`, `FORGE.SETTLEMENT_MISMATCH`,
 *   `FORGE.TRANSACTION_USED`
 */
export async function confirmSettlement(forge: Forge, input: ConfirmSettlementInput): Promise<Escrow> {
  const { escrowId, transactionId = null } = readInput(settleInput, input);
  return callFor(forge, 'SELECT * FROM confirm_settlement($1, $2)', [escrowId, transactionId]);
}

/**
 * An escrow by its id.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.ESCROW_NOT_FOUND`
 */
export async function getEscrow(forge: Forge, input: GetEscrowInput): Promise<Escrow> {
  const { escrowId } = readInput(getInput, input);
  const [row] = await forge.query<Row>({ text: 'SELECT * FROM escrows WHERE id = $1', values: [escrowId] });
  if (row === undefined) throw escrowNotFound({ escrowId });
  return modelOf<Escrow>(row);
}
