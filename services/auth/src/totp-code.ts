import type { Auth } from './client';
import { unseal } from './encryption';
import { factorOff } from './factor-errors';
import type { TakeFactor } from './take-factor';
import { totpStepOf } from './totp';

/** What TOTP secrets are sealed for. */
export const TOTP_USE = 'totp';

/**
 * Looks at a code of the app that is switched on. A step is taken once and never after a later one, also when the clock
 * runs backwards.
 * @throws {SuiteError} `AUTH.FACTOR_OFF`, and what `unseal` throws
 */
export async function findTotpCode(
  auth: Auth,
  { userId, code }: { readonly userId: string; readonly code: string },
): Promise<TakeFactor | null> {
  const settings = await auth.prisma.mFASettings.findUnique({
    where: { userId },
    select: { totpSecret: true, totpEnabled: true },
  });
  const sealed = settings?.totpSecret ?? null;
  if (sealed === null || settings?.totpEnabled !== true) throw factorOff('totp');
  const secret = unseal(auth.keyring, { userId, use: TOTP_USE }, sealed);
  const step = totpStepOf(secret, code, auth.clock());
  if (step === null) return null;
  return async (tx, at) => {
    const { count } = await tx.mFASettings.updateMany({
      // The secret as it was read: a code of one that was replaced meanwhile is worth nothing.
      where: {
        userId,
        totpEnabled: true,
        totpSecret: sealed,
        OR: [{ totpLastStep: null }, { totpLastStep: { lt: step } }],
      },
      data: { totpLastStep: step, updatedAt: at },
    });
    return count === 1;
  };
}
