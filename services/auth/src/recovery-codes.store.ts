import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit';
import type { Auth } from './client';
import { readInput } from './errors';
import { factorOff } from './factor-errors';
import { type Device, deviceInput } from './input';
import { type Proof, proofInput, withProof } from './proof';
import { replaceRecoveryCodes } from './recovery-code-set';

export interface RegenerateRecoveryCodesInput {
  readonly userId: string;
  /** Of who asks: with new codes the second factor can be switched off. */
  readonly proof: Proof;
  readonly device?: Device;
}

const regenerateInput = z.strictObject({ userId: idInput, proof: proofInput, device: deviceInput });

/**
 * Gives the user ten new recovery codes, in plain here and never again; all earlier ones end.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_OFF`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`, and of the
 * proof `AUTH.LOCKED`, `AUTH.CODE_INVALID`, `AUTH.INVALID_CREDENTIALS`
 */
export async function regenerateRecoveryCodes(
  auth: Auth,
  input: RegenerateRecoveryCodesInput,
): Promise<{ readonly recoveryCodes: readonly string[] }> {
  const { userId, proof, device } = readInput(regenerateInput, input);
  return withProof(auth, { userId, proof, device }, async ({ tx, at }) => {
    const settings = await tx.mFASettings.findUnique({ where: { userId } });
    if (!settings?.totpEnabled && !settings?.smsEnabled && !settings?.emailEnabled) throw factorOff('any');
    const recoveryCodes = await replaceRecoveryCodes(tx, { userId, at });
    await writeAudit(tx, {
      userId,
      at,
      action: 'RECOVERY_CODES_REPLACED',
      resourceType: 'user',
      resourceId: userId,
      device,
    });
    return { recoveryCodes };
  });
}
