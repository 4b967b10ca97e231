import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Forge } from './client';
import { contractNotFound, readInput } from './errors';
import { $Enums, type ContractStatus, type Party } from './generated/client';
import { byInput, keyInput, longText } from './input';
import { type Contract, callFor, type Escrow, listRows, type Milestone } from './rows';

export interface GetContractInput {
  readonly contractId: string;
}

/** A contract with its milestones in their order, and all of their escrows. */
export interface ContractDetails extends Contract {
  readonly milestones: readonly (Milestone & { readonly escrows: readonly Escrow[] })[];
}

export interface ListContractsInput extends PageInput {
  readonly userId: string;
  /** The part of the user in the contracts. */
  readonly as: Party;
  readonly status?: ContractStatus;
}

export interface CancelContractInput {
  readonly contractId: string;
  /** One of the two parties. */
  readonly by: string;
}

export interface WorkInput {
  readonly milestoneId: string;
  /** The freelancer submits; the employer asks for changes. */
  readonly by: string;
  /** Describes the delivered work, or the wanted changes. */
  readonly note: string;
  readonly idempotencyKey: string;
}

export interface MilestoneActionInput {
  readonly milestoneId: string;
  /** The employer approves; the freelancer gives the money back. */
  readonly by: string;
}

const getInput = z.strictObject({ contractId: idInput });
const listInput = z.strictObject({
  userId: idInput,
  as: z.enum($Enums.Party),
  status: z.enum($Enums.ContractStatus).optional(),
  ...pageFields,
});
const cancelInput = byInput('contractId');
const workInput = z.strictObject({ milestoneId: idInput, by: idInput, note: longText, idempotencyKey: keyInput });
const actionInput = byInput('milestoneId');

/**
 * A contract by its id, with its milestones and escrows.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.CONTRACT_NOT_FOUND`
 */
export async function getContract(forge: Forge, input: GetContractInput): Promise<ContractDetails> {
  const { contractId } = readInput(getInput, input);
  const contract = await forge.prisma.contract.findUnique({
    where: { id: contractId },
    include: {
      milestones: {
        orderBy: { position: 'asc' },
        include: { escrows: { orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] } },
      },
    },
  });
  if (contract === null) throw contractNotFound({ contractId });
  return contract;
}

/**
 * A page of the contracts of a user in one of the two parts, newest first.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function listContracts(forge: Forge, input: ListContractsInput): Promise<Page<Contract>> {
  const { userId, as, status, limit, cursor } = readInput(listInput, input);
  const where = { [`${as}_id`]: userId, status };
  return listRows<Contract>(forge, { table: 'contracts', where, limit, cursor });
}

/**
 * Submits the work of a funded milestone, for the freelancer, once per key.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.KEY_REUSED`, `FORGE.MILESTONE_NOT_FOUND`, `FORGE.NOT_ALLOWED`,
 *   `FORGE.ILLEGAL_TRANSITION`, `FORGE.DISPUTED`
 */
export function submitWork(forge: Forge, input: WorkInput): Promise<Milestone> {
  return submitMilestone(forge, input, 'submitted');
}

/**
 * Returns submitted work to the freelancer with a note, for the employer, once per key.
 * @throws {SuiteError} as {@link submitWork}
 */
export function requestChanges(forge: Forge, input: WorkInput): Promise<Milestone> {
  return submitMilestone(forge, input, 'funded');
}

async function submitMilestone(forge: Forge, input: WorkInput, to: 'submitted' | 'funded'): Promise<Milestone> {
  const { idempotencyKey, ...body } = readInput(workInput, input);
  return callFor(forge, 'SELECT * FROM submit_milestone($1, $2, $3)', [idempotencyKey, JSON.stringify(body), to]);
}

/**
 * Approves submitted work, for the employer: the freelancer gets its whole escrow. A repeated call returns the
 * milestone unchanged.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.MILESTONE_NOT_FOUND`, `FORGE.NOT_ALLOWED`, `FORGE.ILLEGAL_TRANSITION`,
 *   `FORGE.DISPUTED`
 */
export function approveWork(forge: Forge, input: MilestoneActionInput): Promise<Milestone> {
  return moveMilestone(forge, input, 'approved');
}

/**
 * Gives up a funded or submitted milestone, for the freelancer: its whole escrow returns to the employer. A repeated call
 * returns the milestone unchanged.
 * @throws {SuiteError} as {@link approveWork}
 */
export function refundMilestone(forge: Forge, input: MilestoneActionInput): Promise<Milestone> {
  return moveMilestone(forge, input, 'cancelled');
}

async function moveMilestone(
  forge: Forge,
  input: MilestoneActionInput,
  to: 'approved' | 'cancelled',
): Promise<Milestone> {
  const { milestoneId, by } = readInput(actionInput, input);
  return callFor(forge, 'SELECT * FROM move_milestone($1, $2, $3, NULL)', [milestoneId, by, to]);
}

/**
 * Cancels a contract and its planned milestones, for one of the parties. Payments stay. A repeated call returns the
 * contract unchanged.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.CONTRACT_NOT_FOUND`, `FORGE.NOT_ALLOWED`, `FORGE.ILLEGAL_TRANSITION`,
 *   `FORGE.DISPUTED`, `FORGE.ESCROW_LIVE`: money was requested or is held
 */
export async function cancelContract(forge: Forge, input: CancelContractInput): Promise<Contract> {
  const { contractId, by } = readInput(cancelInput, input);
  return callFor(forge, 'SELECT * FROM cancel_contract($1, $2)', [contractId, by]);
}
