import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; amounts add `MONEY.*`, the connection adds `DATABASE.*`. */
export const MINT_ERROR_CODES = [
  'MINT.BALANCE_LIMIT',
  'MINT.CAPTURE_TOO_LARGE',
  'MINT.CURRENCY_MISMATCH',
  'MINT.HOLD_EXPIRED',
  'MINT.HOLD_NOT_FOUND',
  'MINT.HOLD_RECEIVER',
  'MINT.HOLD_RESOLVED',
  'MINT.INSUFFICIENT_FUNDS',
  'MINT.INVALID_INPUT',
  'MINT.KEY_REUSED',
  'MINT.MINING_DECIDED',
  'MINT.MINING_UNPAID',
  'MINT.NOTHING_TO_CLAIM',
  'MINT.PROOF_REWARDED',
  'MINT.SAME_WALLET',
  'MINT.STAKE_FIXED',
  'MINT.STAKE_LOCKED',
  'MINT.STAKE_NOT_FOUND',
  'MINT.STAKE_WITHDRAWN',
  'MINT.SYSTEM_WALLET',
  'MINT.TRANSACTION_REFUSED',
  'MINT.WALLET_CLOSED',
  'MINT.WALLET_NOT_EMPTY',
  'MINT.WALLET_NOT_FOUND',
] as const;

export type MintErrorCode = (typeof MINT_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids, and amounts as text. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; MINT.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('MINT.INVALID_INPUT');

/** MINT.INVALID_INPUT: SQL rejected a field that passed the input schema. */
function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('MINT.INVALID_INPUT', 'The input is not valid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct the named fields and call again',
    meta: { fields: [field] },
  });
}

/** MINT.INSUFFICIENT_FUNDS: the available amount, read under lock, is less than the requested one. */
function insufficientFunds({ walletId, available, asked }: Facts): SuiteError {
  return new SuiteError('MINT.INSUFFICIENT_FUNDS', 'The wallet cannot cover this amount', {
    ...(available === undefined ? {} : { why: `${available} is available, and ${asked} was requested.` }),
    next: 'Add money to the wallet, then repeat the call with the same idempotency key',
    meta: { walletId, available, asked },
  });
}

/** MINT.BALANCE_LIMIT: the balance would not fit into its column. */
function balanceLimit({ walletId }: Facts): SuiteError {
  return new SuiteError('MINT.BALANCE_LIMIT', 'The balance would have more than 10 digits before the decimal point', {
    why: 'The limit applies to the receiving wallet and to the treasury, whose balance is the negative of the supply.',
    next: 'Move a smaller amount, or wait until money is burned',
    meta: { walletId },
  });
}

/** MINT.WALLET_NOT_FOUND: no wallet has this id. */
export function walletNotFound({ walletId, place }: Facts): SuiteError {
  return new SuiteError('MINT.WALLET_NOT_FOUND', 'The wallet does not exist', {
    next: 'Create it with openWallet()',
    meta: { walletId, ...placed(place) },
  });
}

/** MINT.WALLET_CLOSED: a closed wallet cannot be used or reopened. */
function walletClosed({ walletId, place }: Facts): SuiteError {
  return new SuiteError('MINT.WALLET_CLOSED', 'The wallet is closed', {
    why: 'A closed wallet cannot be reopened.',
    next: 'Use another wallet',
    meta: { walletId, ...placed(place) },
  });
}

/** MINT.WALLET_NOT_EMPTY: a wallet with a balance, open holds or active stakes cannot be closed. */
function walletNotEmpty({ walletId, balance, held, activeStakes }: Facts): SuiteError {
  return new SuiteError('MINT.WALLET_NOT_EMPTY', 'The wallet is not empty', {
    why: `Its balance is ${balance}, holds reserve ${held} of it, and it has ${activeStakes} active stakes.`,
    next: 'Move the money out, resolve the holds and end the stakes, then close the wallet',
    meta: { walletId, balance, held, activeStakes },
  });
}

/** MINT.SYSTEM_WALLET: the treasury or the staking wallet was named where a user's wallet is required. */
function systemWallet({ walletId, place }: Facts): SuiteError {
  return new SuiteError('MINT.SYSTEM_WALLET', 'The wallet belongs to the system', {
    kind: 'usage',
    why: 'Only minting, burning, mining and staking move the money of a system wallet.',
    next: "Name a user's wallet",
    meta: { walletId, ...placed(place) },
  });
}

/** MINT.SAME_WALLET: payer and receiver are the same wallet. */
function sameWallet({ walletId, place }: Facts): SuiteError {
  return new SuiteError('MINT.SAME_WALLET', 'A wallet cannot pay itself', {
    kind: 'usage',
    next: 'Name two different wallets',
    meta: { walletId, ...placed(place) },
  });
}

/** MINT.CURRENCY_MISMATCH: the two wallets have different currencies. */
function currencyMismatch({ from, to, place }: Facts): SuiteError {
  return new SuiteError('MINT.CURRENCY_MISMATCH', `Money cannot move from ${from} to ${to}`, {
    kind: 'usage',
    why: 'Both wallets of a transaction have its currency.',
    next: 'Name two wallets of one currency',
    meta: { from, to, ...placed(place) },
  });
}

/** MINT.KEY_REUSED: the idempotency key belongs to another request, which took effect. */
function keyReused({ operation, asked }: Facts): SuiteError {
  return new SuiteError('MINT.KEY_REUSED', 'The idempotency key belongs to another request', {
    kind: 'usage',
    why:
      operation === asked
        ? `The key was used for a ${operation} with different input.`
        : `The key was used for a ${operation}, not for a ${asked}.`,
    next: 'Use a new key for a new request, and repeat a request unchanged',
    meta: { operation, asked },
  });
}

/** MINT.HOLD_NOT_FOUND: no hold has this id. */
export function holdNotFound({ holdId }: Facts): SuiteError {
  return new SuiteError('MINT.HOLD_NOT_FOUND', 'The hold does not exist', {
    next: 'Pass the id that hold() returned',
    meta: { holdId },
  });
}

/** MINT.HOLD_RESOLVED: a hold leaves the status held only once; the error names both statuses. */
function holdResolved({ holdId, from, to }: Facts): SuiteError {
  return new SuiteError('MINT.HOLD_RESOLVED', `A hold cannot go from ${from} to ${to}`, {
    why: 'A hold is captured, released or expired only once.',
    next: 'Read the hold with getHold(); its money was paid or is available again',
    meta: { holdId, from, to },
  });
}

/** MINT.HOLD_EXPIRED: the hold was not captured in time. */
function holdExpired({ holdId, expiredAt }: Facts): SuiteError {
  const time = isoTime(expiredAt);
  return new SuiteError('MINT.HOLD_EXPIRED', 'The hold has expired', {
    why: `It could be captured until ${time}.`,
    next: 'Ask the payer for a new hold',
    meta: { holdId, expiredAt: time },
  });
}

/** MINT.HOLD_RECEIVER: either the hold or its capture names the receiver, and they may not disagree. */
function holdReceiver({ holdId, isDecided }: Facts): SuiteError {
  return new SuiteError('MINT.HOLD_RECEIVER', 'The receiver of the capture does not match the hold', {
    kind: 'usage',
    why: isDecided === true ? 'The hold names another receiver.' : 'Neither the hold nor the capture names a receiver.',
    next: isDecided === true ? 'Leave out { to }' : "Pass { to }, the receiver's wallet",
    meta: { holdId },
  });
}

/** MINT.CAPTURE_TOO_LARGE: the capture asks for more than the hold set aside. */
function captureTooLarge({ holdId, held, asked }: Facts): SuiteError {
  return new SuiteError('MINT.CAPTURE_TOO_LARGE', 'The capture exceeds the held amount', {
    kind: 'usage',
    why: `The hold has ${held}, and the capture asks for ${asked}.`,
    next: 'Capture the held amount or less',
    meta: { holdId, held, asked },
  });
}

/** MINT.TRANSACTION_REFUSED: a client inserted a row that breaks a rule of the ledger. */
function transactionRefused(rule: string): (facts: Facts) => SuiteError {
  return (facts) =>
    new SuiteError('MINT.TRANSACTION_REFUSED', 'The transaction breaks a rule of the ledger', {
      kind: 'usage',
      why: `The rule is ${rule}.`,
      next: 'Use the functions of the store; services/mint/README.md lists which types move money between which wallets',
      meta: { rule, ...facts },
    });
}

/** MINT.STAKE_NOT_FOUND: no stake has this id. */
export function stakeNotFound({ stakeId }: Facts): SuiteError {
  return new SuiteError('MINT.STAKE_NOT_FOUND', 'The stake does not exist', {
    next: 'Pass the id that stake() returned',
    meta: { stakeId },
  });
}

/** MINT.STAKE_LOCKED: the lock of the stake has not ended. */
function stakeLocked({ stakeId, lockedUntil }: Facts): SuiteError {
  const time = isoTime(lockedUntil);
  return new SuiteError('MINT.STAKE_LOCKED', `The stake is locked until ${time}`, {
    why: 'A stake cannot be withdrawn before its lock ends.',
    next: 'Call again after that time',
    meta: { stakeId, lockedUntil: time },
  });
}

/** MINT.STAKE_WITHDRAWN: a stake is withdrawn once. */
function stakeWithdrawn({ stakeId, from, to }: Facts): SuiteError {
  return new SuiteError('MINT.STAKE_WITHDRAWN', `A stake cannot go from ${from} to ${to}`, {
    why: 'A stake can be withdrawn only once.',
    next: 'Read the stake with getStake(); its money is back in the wallet',
    meta: { stakeId, from, to },
  });
}

/** MINT.STAKE_FIXED: a client changed a stake without the transaction for the change. */
function stakeFixed({ stakeId }: Facts): SuiteError {
  return new SuiteError('MINT.STAKE_FIXED', 'Only transactions change a stake', {
    kind: 'usage',
    why: 'A stake is created together with its transaction, keeps its terms, and accrues rewards forwards only.',
    next: 'Call stake(), accrueRewards(), claimRewards() or unstake()',
    meta: { stakeId },
  });
}

/** MINT.NOTHING_TO_CLAIM: everything that the stake has accrued is paid. */
function nothingToClaim({ stakeId, accrued, paid }: Facts): SuiteError {
  return new SuiteError('MINT.NOTHING_TO_CLAIM', 'The stake has no unpaid rewards', {
    why: `It has accrued ${accrued} and paid ${paid}.`,
    next: 'Call accrueRewards(), then claim again',
    meta: { stakeId, accrued, paid },
  });
}

/** MINT.PROOF_REWARDED: this wallet was already rewarded for this proof of this activity. */
function proofRewarded({ recordId }: Facts): SuiteError {
  return new SuiteError('MINT.PROOF_REWARDED', 'The proof was already rewarded', {
    why: 'A proof is rewarded once per user and activity.',
    next: 'Submit another proof',
    meta: { recordId },
  });
}

/** MINT.MINING_DECIDED: a mining record is decided once, and its submission never changes. */
function miningDecided({ recordId, from, to }: Facts): SuiteError {
  return new SuiteError('MINT.MINING_DECIDED', `A mining record cannot go from ${from} to ${to}`, {
    why: 'A mining record is decided once, and its submission never changes.',
    next: 'Submit again with submitKnowledge()',
    meta: { recordId, from, to },
  });
}

/** MINT.MINING_UNPAID: a mining record says rewarded, but no transaction paid this wallet that amount. */
function miningUnpaid({ recordId }: Facts): SuiteError {
  return new SuiteError('MINT.MINING_UNPAID', 'A rewarded mining record needs the transaction that paid it', {
    kind: 'usage',
    why: 'That transaction has the type mining, pays the wallet of the record in AZR, and has the amount of the reward.',
    next: 'Call submitKnowledge(), which writes both',
    meta: { recordId },
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  amount_invalid: () => invalidField('amount', 'is not above 0 and below 10^10 with at most 8 decimals'),
  hold_expiry_invalid: () => invalidField('expiresIn', 'is not above 0 and at most 3650 days'),
  stake_lock_invalid: () => invalidField('lockDays', 'is not from 1 to 3650'),
  accrual_in_future: () => invalidField('until', 'is in the future'),
  snapshot_in_future: () => invalidField('capturedAt', 'is in the future'),
  insufficient_funds: insufficientFunds,
  wallets_balance_check: insufficientFunds,
  balance_limit: balanceLimit,
  wallet_not_found: walletNotFound,
  wallet_closed: walletClosed,
  wallet_not_empty: walletNotEmpty,
  system_wallet: systemWallet,
  same_wallet: sameWallet,
  currency_mismatch: currencyMismatch,
  key_reused: keyReused,
  hold_not_found: holdNotFound,
  hold_resolved: holdResolved,
  hold_expired: holdExpired,
  hold_receiver: holdReceiver,
  capture_too_large: captureTooLarge,
  transaction_sides: transactionRefused('transaction_sides'),
  transaction_stake: transactionRefused('transaction_stake'),
  transaction_hold: transactionRefused('transaction_hold'),
  stake_not_found: stakeNotFound,
  stake_locked: stakeLocked,
  stake_withdrawn: stakeWithdrawn,
  stake_birth: stakeFixed,
  stake_unfunded: stakeFixed,
  stake_terms: stakeFixed,
  stake_untransacted: stakeFixed,
  rewards_not_accrued: nothingToClaim,
  proof_rewarded: proofRewarded,
  mining_records_wallet_id_activity_proof_hash_key: proofRewarded,
  mining_decided: miningDecided,
  mining_submission: ({ recordId }) => miningDecided({ recordId, from: 'pending', to: 'pending' }),
  mining_unpaid: miningUnpaid,
};

/** The error of a rule that SQL returned in a row instead of raising it. */
export function errorOfRule(rule: string, facts: Facts): SuiteError {
  const factory = CONSTRAINT_ERRORS[rule];
  if (factory === undefined) throw new Error(`no error for the rule ${rule}`);
  return factory(facts);
}

/** In a batch: the position of the transfer, counted from 1. */
function placed(place: unknown): Facts {
  return place === undefined ? {} : { place };
}

/** PostgreSQL writes a time in JSON with the offset of its session. */
function isoTime(value: unknown): string {
  return new Date(String(value)).toISOString();
}
