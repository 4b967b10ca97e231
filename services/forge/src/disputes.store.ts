import { type MoneyInput, newId } from '@azora/db-core';
import { amountOrZeroInput, idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Forge } from './client';
import { disputeNotFound, readInput } from './errors';
import { $Enums, type DisputeReason, type DisputeStatus } from './generated/client';
import { byInput, keyInput, longText } from './input';
import { callFor, type Dispute, listRows, modelOf, type Row } from './rows';

export interface OpenDisputeInput {
  readonly contractId: string;
  /** A funded or submitted milestone; the dispute is about the whole contract when absent. */
  readonly milestoneId?: string;
  /** One of the two parties. */
  readonly raisedById: string;
  readonly reason: DisputeReason;
  readonly description: string;
  readonly idempotencyKey: string;
}

export interface DisputeActionInput {
  readonly disputeId: string;
  /** The party that raised the dispute withdraws it; an arbiter, who is not a party, reviews it. */
  readonly by: string;
}

export interface GetDisputeInput {
  readonly disputeId: string;
}

export interface ListDisputesInput extends PageInput {
  readonly contractId?: string;
  readonly status?: DisputeStatus;
}

export interface Award {
  /** A milestone of the dispute whose money is held. */
  readonly milestoneId: string;
  /** What the freelancer gets, from 0 to the held amount; the rest returns to the employer. */
  readonly payout: MoneyInput;
}

export interface ResolveDisputeInput {
  readonly disputeId: string;
  /** Not one of the parties. */
  readonly arbiterId: string;
  readonly resolution: string;
  /** The work of a milestone without an award continues. */
  readonly awards?: readonly Award[];
  readonly idempotencyKey: string;
}

const openInput = z.strictObject({
  contractId: idInput,
  milestoneId: idInput.optional(),
  raisedById: idInput,
  reason: z.enum($Enums.DisputeReason),
  description: longText,
  idempotencyKey: keyInput,
});
const actionInput = byInput('disputeId');
const getInput = z.strictObject({ disputeId: idInput });
const listInput = z.strictObject({
  contractId: idInput.optional(),
  status: z.enum($Enums.DisputeStatus).optional(),
  ...pageFields,
});
const resolveInput = z.strictObject({
  disputeId: idInput,
  arbiterId: idInput,
  resolution: longText,
  awards: z
    .array(z.strictObject({ milestoneId: idInput, payout: amountOrZeroInput }))
    .refine((awards) => new Set(awards.map(({ milestoneId }) => milestoneId)).size === awards.length, 'names one twice')
    .default([]),
  idempotencyKey: keyInput,
});

/**
 * Opens a dispute of a running contract, once per key, and freezes what it is about: no work is submitted or approved there, no
 * money is requested, paid or given back, until the dispute is closed. A contract has one open dispute.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.KEY_REUSED`, `FORGE.CONTRACT_NOT_FOUND`, `FORGE.MILESTONE_NOT_FOUND`,
 *   `FORGE.NOT_ALLOWED`, `FORGE.CONTRACT_ENDED`, `FORGE.DISPUTED`, `FORGE.NOT_FUNDED`: its money is not held, or decided already
 */
export async function openDispute(forge: Forge, input: OpenDisputeInput): Promise<Dispute> {
  const { idempotencyKey, ...body } = readInput(openInput, input);
  return callFor(forge, 'SELECT * FROM open_dispute($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * Marks an open dispute as under review, for an arbiter. A repeated call returns it unchanged.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.DISPUTE_NOT_FOUND`, `FORGE.NOT_ALLOWED`, `FORGE.ILLEGAL_TRANSITION`
 */
export function reviewDispute(forge: Forge, input: DisputeActionInput): Promise<Dispute> {
  return moveDispute(forge, input, 'under_review');
}

/**
 * Takes a dispute back, for the party that raised it. A repeated call returns it unchanged.
 * @throws {SuiteError} as {@link reviewDispute}
 */
export function withdrawDispute(forge: Forge, input: DisputeActionInput): Promise<Dispute> {
  return moveDispute(forge, input, 'withdrawn');
}

async function moveDispute(forge: Forge, input: DisputeActionInput, to: DisputeStatus): Promise<Dispute> {
  const { disputeId, by } = readInput(actionInput, input);
  return callFor(forge, 'SELECT * FROM move_dispute($1, $2, $3)', [disputeId, by, to]);
}

/**
 * Decides a dispute, once per key. Each award settles a milestone and splits its held money; the escrow is then paid as decided.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `MONEY.*`, `FORGE.KEY_REUSED`, `FORGE.DISPUTE_NOT_FOUND`, `FORGE.NOT_ALLOWED`,
 *   `FORGE.ILLEGAL_TRANSITION`, `FORGE.AWARD_INVALID`
 */
export async function resolveDispute(forge: Forge, input: ResolveDisputeInput): Promise<Dispute> {
  const { idempotencyKey, ...body } = readInput(resolveInput, input);
  return callFor(forge, 'SELECT * FROM resolve_dispute($1, $2)', [idempotencyKey, JSON.stringify(body)]);
}

/**
 * A dispute by its id.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.DISPUTE_NOT_FOUND`
 */
export async function getDispute(forge: Forge, input: GetDisputeInput): Promise<Dispute> {
  const { disputeId } = readInput(getInput, input);
  const [row] = await forge.query<Row>({ text: 'SELECT * FROM disputes WHERE id = $1', values: [disputeId] });
  if (row === undefined) throw disputeNotFound({ disputeId });
  return modelOf<Dispute>(row);
}

/**
 * A page of the disputes of a contract, or of all, newest first.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function listDisputes(forge: Forge, input: ListDisputesInput = {}): Promise<Page<Dispute>> {
  const { contractId, status, limit, cursor } = readInput(listInput, input);
  return listRows<Dispute>(forge, { table: 'disputes', where: { contract_id: contractId, status }, limit, cursor });
}
