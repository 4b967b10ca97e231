import { rowIdInput, textInput, timeInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit/entries';
import type { Auth } from './client';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';

export interface RevokeTokenInput {
  /** The id inside the signed token, of at most 255 characters. */
  readonly jti: string;
  /** The expiry of the token. After it the revocation need not be kept. */
  readonly expiresAt: Date;
  /** The owner of the token, if known, for the audit log. */
  readonly userId?: string;
  readonly device?: Device;
}

const jtiInput = textInput(255);
const revokeInput = z.strictObject({
  jti: jtiInput,
  expiresAt: timeInput,
  userId: rowIdInput.optional(),
  device: deviceInput,
});

/**
 * Revokes a signed token whose signature and expiry are valid. A second call for the same token only extends the expiry,
 * if the new one is later.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function revokeToken(auth: Auth, input: RevokeTokenInput): Promise<void> {
  const { jti, expiresAt, userId, device } = readInput(revokeInput, input);
  return auth.transaction(async (tx) => {
    const { count } = await tx.revokedToken.createMany({ data: [{ jti, expiresAt }], skipDuplicates: true });
    if (count === 0) {
      await tx.revokedToken.updateMany({ where: { jti, expiresAt: { lt: expiresAt } }, data: { expiresAt } });
      return;
    }
    await writeAudit(tx, {
      userId: userId ?? null,
      action: 'TOKEN_REVOKED',
      resourceType: 'token',
      resourceId: jti,
      device,
    });
  });
}

/**
 * Whether a signed token was revoked. After the expiry of the token the result may be false: the expiry rejects the token.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function isRevoked(auth: Auth, jti: string): Promise<boolean> {
  const rows = await auth.query({
    text: 'SELECT 1 FROM token_blacklist WHERE jti = $1',
    values: [readInput(jtiInput, jti)],
  });
  return rows.length > 0;
}
