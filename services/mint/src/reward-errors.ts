import { type ConstraintErrors, SuiteError } from '@azora/db-core';

type Facts = Readonly<Record<string, unknown>>;

/** MINT.STAKE_NOT_FOUND: no stake has this id. */
export function stakeNotFound({ stakeId }: Facts): SuiteError {
  return new SuiteError('MINT.STAKE_NOT_FOUND', 'There is no such stake', {
    next: 'Pass the id that stake() answered',
    meta: { stakeId },
  });
}

/** MINT.STAKE_LOCKED: the lock of the stake ends later. */
export function stakeLocked({ stakeId, lockedUntil }: Facts): SuiteError {
  return new SuiteError('MINT.STAKE_LOCKED', `The stake is locked until ${isoTime(lockedUntil)}`, {
    why: 'Money that is staked stays until its lock ends.',
    next: 'Call again after that moment',
    meta: { stakeId, lockedUntil: isoTime(lockedUntil) },
  });
}

/** MINT.STAKE_WITHDRAWN: a stake is withdrawn once and stays withdrawn. */
export function stakeTransition({ stakeId, from, to }: Facts): SuiteError {
  return new SuiteError('MINT.STAKE_WITHDRAWN', `A stake cannot go from ${from} to ${to}`, {
    why: 'It goes from active to withdrawn, once.',
    next: 'Look at the stake; its money is back in the wallet',
    meta: { stakeId, from, to },
  });
}

/** MINT.STAKE_FIXED: a client wrote to a stake past the functions that may. */
export function stakeFixed({ stakeId }: Facts): SuiteError {
  return new SuiteError('MINT.STAKE_FIXED', 'A stake is changed by its transactions only', {
    why: 'Its terms stay as they are, counting goes forwards only, and it is made with its transaction.',
    next: 'Call stake(), accrueRewards(), claimRewards() or unstake()',
    meta: { stakeId },
  });
}

/** MINT.NOTHING_TO_CLAIM: all that the stake has accrued is paid, or more was asked for than that. */
export function nothingToClaim({ stakeId, accrued, paid }: Facts): SuiteError {
  return new SuiteError('MINT.NOTHING_TO_CLAIM', 'The stake has accrued no more than is paid', {
    why: `It has accrued ${accrued}, of which ${paid} are paid.`,
    next: 'Call accrueRewards() first, and claim when a reward has come together',
    meta: { stakeId, accrued, paid },
  });
}

/** MINT.PROOF_REWARDED: this wallet was rewarded for this proof of this activity. */
export function proofRewarded({ recordId }: Facts): SuiteError {
  return new SuiteError('MINT.PROOF_REWARDED', 'The proof was rewarded before', {
    why: 'A proof is rewarded once per user and activity.',
    next: 'Submit another proof',
    meta: { recordId },
  });
}

/** MINT.MINING_DECIDED: what was submitted, and a decision once made, stay as they are. */
export function miningTransition({ recordId, from, to }: Facts): SuiteError {
  return new SuiteError('MINT.MINING_DECIDED', `A mining record cannot go from ${from} to ${to}`, {
    why: 'It goes from pending to rewarded or rejected, once, and what was submitted never changes.',
    next: 'Submit again with submitKnowledge()',
    meta: { recordId, from, to },
  });
}

/** MINT.MINING_UNPAID: a record says rewarded, and no transaction paid this wallet that amount. */
export function miningUnpaid({ recordId }: Facts): SuiteError {
  return new SuiteError('MINT.MINING_UNPAID', 'A rewarded record needs the transaction that paid it', {
    why: 'It is of type mining, to the wallet of the record, of the amount of the reward, in AZR.',
    next: 'Call submitKnowledge(), which writes both',
    meta: { recordId },
  });
}

/** The errors of what the migration `rewards` refuses, by the names of its rules. */
export const REWARD_FAULTS: ConstraintErrors = {
  stake_not_found: stakeNotFound,
  stake_locked: stakeLocked,
  stake_withdrawn: stakeTransition,
  stake_birth: stakeFixed,
  stake_unfunded: stakeFixed,
  stake_terms: stakeFixed,
  stake_untransacted: stakeFixed,
  rewards_not_accrued: nothingToClaim,
  proof_rewarded: proofRewarded,
  mining_records_wallet_id_activity_proof_hash_key: proofRewarded,
  mining_decided: miningTransition,
  mining_submission: ({ recordId }) => miningTransition({ recordId, from: 'pending', to: 'pending' }),
  mining_unpaid: miningUnpaid,
};

/** PostgreSQL writes a time in JSON with its own offset. */
function isoTime(value: unknown): string {
  return new Date(String(value)).toISOString();
}
