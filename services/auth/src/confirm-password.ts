import { claimAttempt, failAttempt, returnAttempt } from './attempts';
import type { Auth } from './client';
import { accountInactive, invalidCredentials, userNotFound } from './errors';
import type { Device } from './input';
import { isPasswordOf } from './passwords';

export interface ConfirmPasswordInput {
  readonly userId: string;
  readonly password: string;
  readonly device?: Device | undefined;
}

/**
 * Looks at the password of a user who is signed in, before a step that asks for it again; returns its hash, so that the
 * step can make sure that it is still the same. It takes one of the account's tries and gives it back when it is right.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, `AUTH.LOCKED`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function confirmPassword(auth: Auth, input: ConfirmPasswordInput): Promise<string> {
  const { userId, password, device } = input;
  await claimAttempt(auth, { userId });
  const user = await auth.prisma.user.findFirst({
    where: { id: userId, deletedAt: null },
    select: { passwordHash: true, isActive: true },
  });
  if (user === null) throw userNotFound(userId);
  const isRight = await isPasswordOf(user.passwordHash, password, auth.settings.bcryptCost);
  if (user.passwordHash === null || !isRight) {
    await failAttempt(auth, { userId, action: 'PASSWORD_CHECK_FAILED', device });
    throw invalidCredentials();
  }
  if (!user.isActive) throw accountInactive();
  await auth.transaction((tx) => returnAttempt(tx, { userId, at: auth.clock() }));
  return user.passwordHash;
}
