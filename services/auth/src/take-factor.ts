import type { AuthTransaction } from './client';

/** Takes a code that was found right, once of all who show it at the same time; false to the others. */
export type TakeFactor = (tx: AuthTransaction, at: Date) => Promise<boolean>;
