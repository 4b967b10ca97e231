import { SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** What the rule that refused knows: names, ids, and amounts as text. */
type Facts = Readonly<Record<string, unknown>>;

/** MINT.INVALID_INPUT: what a function of this store was given breaks its contract. Values are not shown. */
export const readInput = inputReader('MINT.INVALID_INPUT');

/** MINT.INVALID_INPUT: SQL found what the edge should have. */
export function invalidField(field: string, rule: string): SuiteError {
  return new SuiteError('MINT.INVALID_INPUT', 'The input cannot be used', {
    kind: 'usage',
    why: `${field}: ${rule}.`,
    next: 'Correct the fields that are named and call again',
    meta: { fields: [field] },
  });
}

/** MINT.INSUFFICIENT_FUNDS: what is available, read under lock, is below what was asked for. */
export function insufficientFunds({ walletId, available, asked }: Facts): SuiteError {
  return new SuiteError('MINT.INSUFFICIENT_FUNDS', 'The wallet cannot cover this amount', {
    ...(available === undefined ? {} : { why: `Available is ${available}, asked for ${asked}.` }),
    next: 'Bring money into the wallet, then repeat the call with the same idempotency key',
    meta: { walletId, available, asked },
  });
}

/** MINT.BALANCE_LIMIT: a balance would have more digits than its column. */
export function balanceLimit({ walletId }: Facts): SuiteError {
  return new SuiteError('MINT.BALANCE_LIMIT', 'The balance would have more than 10 digits before the point', {
    why: 'Of the receiving wallet, or of the treasury, which counts what it issued.',
    next: 'Move less',
    meta: { walletId },
  });
}

/** MINT.WALLET_NOT_FOUND: no wallet has this id. */
export function walletNotFound({ walletId, place }: Facts): SuiteError {
  return new SuiteError('MINT.WALLET_NOT_FOUND', 'There is no such wallet', {
    next: 'Open it with openWallet()',
    meta: { walletId, ...placed(place) },
  });
}

/** MINT.WALLET_CLOSED: a closed wallet takes part in nothing and stays closed. */
export function walletClosed({ walletId, place }: Facts): SuiteError {
  return new SuiteError('MINT.WALLET_CLOSED', 'The wallet is closed', {
    why: 'A wallet goes from active to closed and not back.',
    next: 'Use another wallet',
    meta: { walletId, ...placed(place) },
  });
}

/** MINT.WALLET_NOT_EMPTY: a wallet is closed only when nothing is in it, held or staked. */
export function walletNotEmpty({ walletId, balance, held, activeStakes }: Facts): SuiteError {
  return new SuiteError('MINT.WALLET_NOT_EMPTY', 'The wallet is not empty', {
    why: `Its balance is ${balance}, of which ${held} are held; ${activeStakes} stakes are active.`,
    next: 'Move the money out, resolve the holds and end the stakes first',
    meta: { walletId, balance, held, activeStakes },
  });
}

/** MINT.SYSTEM_WALLET: a wallet of the system where one of a user is needed. */
export function systemWallet({ walletId, place }: Facts): SuiteError {
  return new SuiteError('MINT.SYSTEM_WALLET', "The wallet is the system's own", {
    why: 'Its money moves by minting, burning and staking only.',
    next: "Name a user's wallet",
    meta: { walletId, ...placed(place) },
  });
}

/** MINT.SAME_WALLET: a movement from a wallet to itself. */
export function sameWallet({ walletId, place }: Facts): SuiteError {
  return new SuiteError('MINT.SAME_WALLET', 'A wallet cannot pay itself', {
    next: 'Name two different wallets',
    meta: { walletId, ...placed(place) },
  });
}

/** MINT.CURRENCY_MISMATCH: the two wallets are in different currencies. */
export function currencyMismatch({ from, to, place }: Facts): SuiteError {
  return new SuiteError('MINT.CURRENCY_MISMATCH', `Money cannot move from ${from} to ${to}`, {
    why: 'A transaction has one currency, that of both wallets.',
    next: 'Name two wallets of one currency',
    meta: { from, to, ...placed(place) },
  });
}

/** MINT.KEY_REUSED: the key stands for another request, which took effect. */
export function keyReused({ operation, asked }: Facts): SuiteError {
  return new SuiteError('MINT.KEY_REUSED', 'The idempotency key stands for another request', {
    why:
      operation === asked
        ? `It was used for a ${operation} with another body.`
        : `It was used for a ${operation}, not for a ${asked}.`,
    next: 'Make a new key for a new request; repeat a request unchanged',
    meta: { operation, asked },
  });
}

/** MINT.HOLD_NOT_FOUND: no hold has this id. */
export function holdNotFound({ holdId }: Facts): SuiteError {
  return new SuiteError('MINT.HOLD_NOT_FOUND', 'There is no such hold', {
    next: 'Pass the id that hold() answered',
    meta: { holdId },
  });
}

/** MINT.HOLD_RESOLVED: a hold goes from held to one other state, once; both states are named. */
export function holdResolved({ holdId, from, to }: Facts): SuiteError {
  return new SuiteError('MINT.HOLD_RESOLVED', `A hold cannot go from ${from} to ${to}`, {
    why: 'It goes from held to captured, released or expired, once.',
    next: 'Look at the hold; what it set aside is paid or free again',
    meta: { holdId, from, to },
  });
}

/** MINT.HOLD_EXPIRED: the hold was not captured in time. */
export function holdExpired({ holdId, expiredAt }: Facts): SuiteError {
  const moment = new Date(String(expiredAt)).toISOString();
  return new SuiteError('MINT.HOLD_EXPIRED', 'The hold has expired', {
    why: `It could be captured until ${moment}.`,
    next: 'Ask the payer for a new hold',
    meta: { holdId, expiredAt: moment },
  });
}

/** MINT.HOLD_RECEIVER: who is paid is said by the hold or by its capture, by one of them. */
export function holdReceiver({ holdId, isDecided }: Facts): SuiteError {
  return new SuiteError('MINT.HOLD_RECEIVER', 'The receiver of the capture does not fit the hold', {
    why: isDecided === true ? 'The hold is for another wallet.' : 'The hold leaves it open and the capture names none.',
    next: isDecided === true ? 'Leave out { to }' : "Pass { to }, the receiver's wallet",
    meta: { holdId },
  });
}

/** MINT.CAPTURE_TOO_LARGE: more than what was held. */
export function captureTooLarge({ holdId, held, asked }: Facts): SuiteError {
  return new SuiteError('MINT.CAPTURE_TOO_LARGE', 'More was asked for than is held', {
    why: `Held is ${held}, asked for ${asked}.`,
    next: 'Capture that or less',
    meta: { holdId, held, asked },
  });
}

/** MINT.TRANSACTION_REFUSED: a row of a client's own, written past the functions that know the rules. */
export function transactionRefused(rule: string): (facts: Facts) => SuiteError {
  return (facts) =>
    new SuiteError('MINT.TRANSACTION_REFUSED', 'The transaction breaks a rule of the ledger', {
      why: `The rule is ${rule}.`,
      next: 'Use the functions of the store; services/mint/README.md tells which types move money between which wallets',
      meta: { rule, ...facts },
    });
}

/** In a batch, which of its transfers, counted from 1. */
function placed(place: unknown): Facts {
  return place === undefined ? {} : { place };
}
