import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; amounts add `MONEY.*`, the connection adds `DATABASE.*`. */
export const FORGE_ERROR_CODES = [
  'FORGE.ALREADY_APPLIED',
  'FORGE.ALREADY_FUNDED',
  'FORGE.ALREADY_RATED',
  'FORGE.APPLICATION_NOT_FOUND',
  'FORGE.AWARD_INVALID',
  'FORGE.CONTRACT_ENDED',
  'FORGE.CONTRACT_NOT_FOUND',
  'FORGE.DISPUTED',
  'FORGE.DISPUTE_NOT_FOUND',
  'FORGE.ESCROW_LIVE',
  'FORGE.ESCROW_NOT_FOUND',
  'FORGE.HOLD_USED',
  'FORGE.ILLEGAL_TRANSITION',
  'FORGE.INVALID_INPUT',
  'FORGE.JOB_EXPIRED',
  'FORGE.JOB_FIXED',
  'FORGE.JOB_NOT_FOUND',
  'FORGE.JOB_NOT_OPEN',
  'FORGE.KEY_REUSED',
  'FORGE.MILESTONES_TOTAL',
  'FORGE.MILESTONE_NOT_FOUND',
  'FORGE.NOT_ALLOWED',
  'FORGE.NOT_FUNDED',
  'FORGE.NOT_RATABLE',
  'FORGE.OWN_JOB',
  'FORGE.ROW_FIXED',
  'FORGE.SETTLEMENT_MISMATCH',
  'FORGE.TRANSACTION_USED',
] as const;

export type ForgeErrorCode = (typeof FORGE_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids, and amounts as text. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; FORGE.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('FORGE.INVALID_INPUT');

/** FORGE.INVALID_INPUT: SQL rejected a field that passed the input schema. */
function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('FORGE.INVALID_INPUT', 'The input is not valid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct the named fields and call again',
    meta: { fields: [field] },
  });
}

/** FORGE.JOB_NOT_FOUND: no job has this id, or it was deleted. */
export function jobNotFound({ jobId }: Facts): SuiteError {
  return new SuiteError('FORGE.JOB_NOT_FOUND', 'The job does not exist or was deleted', {
    next: 'Pass the id that postJob() returned, or restore the job with restoreJob()',
    meta: { jobId },
  });
}

/** FORGE.APPLICATION_NOT_FOUND: no application has this id. */
export function applicationNotFound({ applicationId }: Facts): SuiteError {
  return new SuiteError('FORGE.APPLICATION_NOT_FOUND', 'The application does not exist', {
    next: 'Pass the id that applyToJob() returned',
    meta: { applicationId },
  });
}

/** FORGE.CONTRACT_NOT_FOUND: no contract has this id. */
export function contractNotFound({ contractId }: Facts): SuiteError {
  return new SuiteError('FORGE.CONTRACT_NOT_FOUND', 'The contract does not exist', {
    next: 'Pass the id that acceptApplication() returned',
    meta: { contractId },
  });
}

/** FORGE.MILESTONE_NOT_FOUND: no milestone of the contract has this id. */
function milestoneNotFound({ milestoneId }: Facts): SuiteError {
  return new SuiteError('FORGE.MILESTONE_NOT_FOUND', 'The milestone does not exist', {
    next: 'Pass the id of a milestone from getContract()',
    meta: { milestoneId },
  });
}

/** FORGE.ESCROW_NOT_FOUND: no escrow has this id. */
export function escrowNotFound({ escrowId }: Facts): SuiteError {
  return new SuiteError('FORGE.ESCROW_NOT_FOUND', 'The escrow does not exist', {
    next: 'Pass the id that fundMilestone() returned',
    meta: { escrowId },
  });
}

/** FORGE.DISPUTE_NOT_FOUND: no dispute has this id. */
export function disputeNotFound({ disputeId }: Facts): SuiteError {
  return new SuiteError('FORGE.DISPUTE_NOT_FOUND', 'The dispute does not exist', {
    next: 'Pass the id that openDispute() returned',
    meta: { disputeId },
  });
}

/** FORGE.ILLEGAL_TRANSITION: the row is in a status that the call cannot leave, or not in this direction; the error names both. */
function illegalTransition({ what, id, from, to }: Facts): SuiteError {
  return new SuiteError('FORGE.ILLEGAL_TRANSITION', `The ${what} cannot go from ${from} to ${to}`, {
    why: 'Another call changed it before, or a step in between is missing.',
    next: 'Read the row again and take the next step from its status; services/forge/README.md lists the steps',
    meta: { what, id, from, to },
  });
}

/** FORGE.NOT_ALLOWED: the caller does not have the part that the call needs. */
function notAllowed({ part, id }: Facts): SuiteError {
  return new SuiteError('FORGE.NOT_ALLOWED', `Only the ${part} may do this`, {
    kind: 'usage',
    ...(part === 'arbiter' ? { why: 'A party of the contract cannot judge its own dispute.' } : {}),
    next: 'Make the call in the name of that person',
    meta: { part, id },
  });
}

/** FORGE.KEY_REUSED: the idempotency key belongs to another request, which took effect. */
function keyReused({ operation, asked }: Facts): SuiteError {
  return new SuiteError('FORGE.KEY_REUSED', 'The idempotency key belongs to another request', {
    kind: 'usage',
    why:
      operation === asked
        ? `The key was used for the same operation (${operation}) with different input.`
        : `The key was used for the operation ${operation}, not for ${asked}.`,
    next: 'Use a new key for a new request, and repeat a request unchanged',
    meta: { operation, asked },
  });
}

/** FORGE.JOB_FIXED: the job is past the status in which it can be changed or deleted. */
function jobFixed({ jobId, status }: Facts): SuiteError {
  return new SuiteError('FORGE.JOB_FIXED', `A job in the status ${status} does not accept this change`, {
    why: 'Only a draft or an open job can be edited, and an open job or one in progress cannot be deleted.',
    next: 'Close or cancel the job first, or post another one',
    meta: { jobId, status },
  });
}

/** FORGE.JOB_NOT_OPEN: the job takes no applications and accepts none. */
function jobNotOpen({ jobId, status }: Facts): SuiteError {
  return new SuiteError('FORGE.JOB_NOT_OPEN', 'The job is not open to applications', {
    ...(status === undefined
      ? { why: 'An application of the job was accepted already.' }
      : { why: `Its status is ${status}.` }),
    next: 'Search for open jobs with searchJobs()',
    meta: { jobId, status },
  });
}

/** FORGE.JOB_EXPIRED: the deadline of the job has passed. */
function jobExpired({ jobId, deadline }: Facts): SuiteError {
  return new SuiteError('FORGE.JOB_EXPIRED', 'The deadline of the job has passed', {
    why: `Applications were accepted until ${new Date(String(deadline)).toISOString()}.`,
    next: 'Ask the employer to move the deadline with updateJob()',
    meta: { jobId },
  });
}

/** FORGE.MILESTONES_TOTAL: the milestones do not add up to the amount of the contract. */
function milestonesTotal({ total, amount }: Facts): SuiteError {
  return new SuiteError('FORGE.MILESTONES_TOTAL', 'The milestones do not add up to the amount of the contract', {
    kind: 'usage',
    ...(amount === undefined ? {} : { why: `They add up to ${total}; the freelancer proposed ${amount}.` }),
    next: 'Change the amounts of the milestones so that their sum is the proposed amount',
    meta: { total, amount },
  });
}

/** FORGE.CONTRACT_ENDED: the contract is not active. */
function contractEnded({ contractId, status }: Facts): SuiteError {
  return new SuiteError('FORGE.CONTRACT_ENDED', 'The contract is not active', {
    why: `Its status is ${status}.`,
    next: 'Make a new contract for further work',
    meta: { contractId, status },
  });
}

/** FORGE.DISPUTED: an open dispute freezes the milestone or the contract. */
function disputed({ contractId, disputeId }: Facts): SuiteError {
  return new SuiteError('FORGE.DISPUTED', 'The contract has an open dispute', {
    why: 'Until it is closed, what it is about cannot change, and the contract has no second dispute.',
    next: 'Resolve the dispute with resolveDispute(), or withdraw it with withdrawDispute()',
    meta: { contractId, disputeId },
  });
}

/** FORGE.NOT_FUNDED: the milestone has no held money. */
function notFunded({ milestoneId }: Facts): SuiteError {
  return new SuiteError('FORGE.NOT_FUNDED', 'The milestone has no held money', {
    why: 'Its money was not set aside yet, or was paid or returned already.',
    next: 'Read the escrow of the milestone with getContract()',
    meta: { milestoneId },
  });
}

/** FORGE.ESCROW_LIVE: money of the contract is requested, held or being settled. */
function escrowLive({ contractId, escrowId, status }: Facts): SuiteError {
  return new SuiteError('FORGE.ESCROW_LIVE', 'The contract still has money in escrow', {
    why: `An escrow is ${status}.`,
    next: 'Approve or refund its milestone, or resolve a dispute, and let the escrow be settled; then cancel the contract',
    meta: { contractId, escrowId, status },
  });
}

/** FORGE.AWARD_INVALID: an award names a milestone outside the dispute or without held money, or more than is held. */
function awardInvalid({ disputeId, milestoneId, amount }: Facts): SuiteError {
  return new SuiteError('FORGE.AWARD_INVALID', 'An award does not fit the dispute', {
    kind: 'usage',
    why:
      amount === undefined || amount === null
        ? 'The dispute is not about this milestone, or the milestone has no held money.'
        : `A payout is from 0 to the held amount of ${amount}.`,
    next: 'Award only milestones of the dispute whose escrow is held, and at most its amount',
    meta: { disputeId, milestoneId, amount },
  });
}

/** FORGE.SETTLEMENT_MISMATCH: the escrow pays something and no transaction is named, or the reverse. */
function settlementMismatch({ escrowId, payout }: Facts): SuiteError {
  return new SuiteError('FORGE.SETTLEMENT_MISMATCH', 'The settlement does not match the decision', {
    kind: 'usage',
    why: `The escrow pays ${payout} to the freelancer; only a payment has a transaction.`,
    next: 'Capture the payout in mint and pass its transaction; pass none if the whole hold was released',
    meta: { escrowId, payout },
  });
}

/** FORGE.NOT_RATABLE: the contract has not ended, or paid nothing. */
function notRatable({ contractId }: Facts): SuiteError {
  return new SuiteError('FORGE.NOT_RATABLE', 'The contract cannot be rated', {
    why: 'Only its parties rate a contract, after it has ended, and only if it paid something.',
    next: 'Finish the contract first',
    meta: { contractId },
  });
}

/** FORGE.ROW_FIXED: a statement changed what never changes. */
function rowFixed(what: string): (facts: Facts) => SuiteError {
  return (facts) =>
    new SuiteError('FORGE.ROW_FIXED', `${what} cannot be changed`, {
      kind: 'usage',
      next: 'Use the functions of the store',
      meta: facts,
    });
}

/** FORGE.OWN_JOB: the applicant is the employer of the job. */
function ownJob(): SuiteError {
  return new SuiteError('FORGE.OWN_JOB', 'An employer cannot apply for a job of their own', {
    kind: 'usage',
    next: 'Apply for the job of another employer',
  });
}

/** FORGE.ALREADY_APPLIED: the person has applied for the job before. */
function alreadyApplied(): SuiteError {
  return new SuiteError('FORGE.ALREADY_APPLIED', 'The person has already applied for this job', {
    why: 'A person applies for a job once, also after a withdrawal.',
    next: 'Read the application with listApplications()',
  });
}

/** FORGE.ALREADY_FUNDED: the milestone has a live escrow. */
function alreadyFunded(): SuiteError {
  return new SuiteError('FORGE.ALREADY_FUNDED', 'The money of the milestone is already requested or held', {
    next: 'Read its escrow with getContract()',
  });
}

/** FORGE.ALREADY_RATED: the party has rated the contract before. */
function alreadyRated(): SuiteError {
  return new SuiteError('FORGE.ALREADY_RATED', 'The person has already rated this contract', {
    why: 'Each party rates a contract once.',
    next: 'Read the rating with listRatings()',
  });
}

/** FORGE.HOLD_USED: another escrow has this hold. */
function holdUsed(): SuiteError {
  return new SuiteError('FORGE.HOLD_USED', 'The hold belongs to another escrow', {
    kind: 'usage',
    why: 'Each escrow has a hold of its own.',
    next: 'Place a hold in mint for this escrow and pass its id',
  });
}

/** FORGE.TRANSACTION_USED: the transaction paid another escrow. */
function transactionUsed(): SuiteError {
  return new SuiteError('FORGE.TRANSACTION_USED', 'The transaction paid another escrow', {
    kind: 'usage',
    why: 'Each escrow is paid by a transaction of its own.',
    next: 'Pass the transaction that captured the hold of this escrow',
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  deadline_past: () => invalidField('deadline', 'is not in the future'),
  jobs_deadline_check: () => invalidField('deadline', 'is not in the future'),
  jobs_skills_check: () => invalidField('skills', 'are more than 50, or too long together'),
  contracts_ends_at_check: () => invalidField('endsAt', 'is not in the future'),
  escrows_wallets_check: () => invalidField('payeeWalletId', 'is the wallet of the payer'),
  job_not_found: jobNotFound,
  application_not_found: applicationNotFound,
  contract_not_found: contractNotFound,
  milestone_not_found: milestoneNotFound,
  escrow_not_found: escrowNotFound,
  dispute_not_found: disputeNotFound,
  illegal_transition: illegalTransition,
  not_allowed: notAllowed,
  key_reused: keyReused,
  job_fixed: jobFixed,
  job_not_open: jobNotOpen,
  applications_job_id_accepted_key: jobNotOpen,
  job_expired: jobExpired,
  own_job: ownJob,
  applications_job_id_freelancer_id_key: alreadyApplied,
  milestones_total: milestonesTotal,
  contracts_milestones_total_check: milestonesTotal,
  milestones_contract_total_check: milestonesTotal,
  contract_ended: contractEnded,
  disputed,
  disputes_contract_id_live_key: disputed,
  not_funded: notFunded,
  escrow_live: escrowLive,
  escrows_milestone_id_live_key: alreadyFunded,
  escrows_hold_id_key: holdUsed,
  escrows_transaction_id_key: transactionUsed,
  award_invalid: awardInvalid,
  settlement_mismatch: settlementMismatch,
  not_ratable: notRatable,
  ratings_contract_id_author_id_key: alreadyRated,
  escrow_fixed: rowFixed('The terms, the hold and the decision of an escrow'),
  contract_fixed: rowFixed('The parties and the amount of a contract'),
  rating_fixed: rowFixed('A rating'),
};
