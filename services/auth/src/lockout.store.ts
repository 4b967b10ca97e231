import { rowIdInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { lockAccount } from './account/account-row';
import { writeAudit } from './audit/entries';
import type { Auth } from './client';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';

export interface UnlockAccountInput {
  readonly userId: string;
  /** Who unlocks the account, after they have identified its owner. */
  readonly actorId: string;
  /** The reason, for the audit log; at most 200 characters. */
  readonly reason?: string;
  readonly device?: Device;
}

const unlockInput = z.strictObject({
  userId: rowIdInput,
  actorId: rowIdInput,
  reason: textInput(200).optional(),
  device: deviceInput,
});

/**
 * Ends every lock of an account: of the password, of the second factor, also after 100 wrong codes in a row, and of the
 * networks from which sign-ins to it failed. Forgets all failed attempts. Returns whether there was anything to end; only then
 * it writes an audit entry.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.USER_NOT_FOUND`
 */
export async function unlockAccount(auth: Auth, input: UnlockAccountInput): Promise<{ readonly unlocked: boolean }> {
  const { userId, actorId, reason, device } = readInput(unlockInput, input);
  return auth.transaction(async (tx) => {
    await lockAccount(tx, userId);
    const [{ unlocked } = { unlocked: false }] = await tx.$queryRaw<{ unlocked: boolean }[]>`
      SELECT unlock_account(${userId}) AS unlocked`;
    const details = { by: actorId, ...(reason === undefined ? {} : { reason }) };
    const entry = { userId, action: 'ACCOUNT_UNLOCKED', resourceType: 'user', resourceId: userId, details, device };
    if (unlocked) await writeAudit(tx, entry);
    return { unlocked };
  });
}
