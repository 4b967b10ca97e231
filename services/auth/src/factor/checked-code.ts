import type { AuthTransaction } from '../client';

/** A change to the row of an account's factors. All changes of a call are written together. */
export interface FactorChange {
  readonly totpEnabled?: boolean;
  /** Encrypted. */
  readonly totpSecret?: string | null;
  readonly totpPendingUntil?: Date | null;
  readonly totpLastStep?: bigint | null;
  readonly smsEnabled?: boolean;
  readonly phoneNumber?: string | null;
  readonly emailEnabled?: boolean;
}

/**
 * Uses up a code that was right, and returns how that changes the factors. Undefined for all but one of any number of
 * concurrent callers. The caller holds the lock on the account.
 */
export type TakeCode = (tx: AuthTransaction, at: Date) => Promise<FactorChange | undefined>;

/** A code that was checked and not used up. */
export interface CheckedCode {
  /** Undefined for a wrong code. */
  readonly take?: TakeCode;
  /** The code that was sent, against which a wrong one counts. */
  readonly sentId?: string;
}
