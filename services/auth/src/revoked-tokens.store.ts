import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit';
import type { Auth } from './client';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';

export interface RevokeTokenInput {
  /** The id inside the token, of at most 255 characters. */
  readonly jti: string;
  /** When the token would have expired: from then on it need not be remembered. */
  readonly expiresAt: Date;
  /** Whose token it is, if known, for the audit log. */
  readonly userId?: string;
  readonly device?: Device;
}

const jtiInput = textInput(255);
const revokeInput = z.strictObject({
  jti: jtiInput,
  expiresAt: z.date(),
  userId: idInput.optional(),
  device: deviceInput,
});

/**
 * Refuses a signed token from now on, although its signature and expiry are right. Again is the same as once; the later of
 * two expiries counts.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function revokeToken(auth: Auth, input: RevokeTokenInput): Promise<void> {
  const { jti, expiresAt, userId, device } = readInput(revokeInput, input);
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    const { count } = await tx.revokedToken.createMany({
      data: [{ jti, expiresAt, revokedAt: at, createdAt: at }],
      skipDuplicates: true,
    });
    if (count === 0) {
      await tx.revokedToken.updateMany({ where: { jti, expiresAt: { lt: expiresAt } }, data: { expiresAt } });
      return;
    }
    await writeAudit(tx, {
      userId: userId ?? null,
      at,
      action: 'TOKEN_REVOKED',
      resourceType: 'token',
      resourceId: jti,
      device,
    });
  });
}

/**
 * Whether a signed token was revoked. After its expiry the answer may be no: such a token is refused by its expiry.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function isRevoked(auth: Auth, jti: string): Promise<boolean> {
  const rows = await auth.query({
    text: 'SELECT 1 FROM token_blacklist WHERE jti = $1',
    values: [readInput(jtiInput, jti)],
  });
  return rows.length > 0;
}
