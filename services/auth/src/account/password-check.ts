import type { Auth, AuthTransaction } from '../client';
import { invalidCredentials, userNotFound } from '../errors';
import type { Device } from '../input';
import { deviceValues, type Judgement, lockError, lockoutParameters, lockoutValues } from './attempts';
import { isPasswordOf } from './passwords';

export interface PasswordCheck {
  readonly userId: string;
  readonly password: string;
  readonly device: Device;
}

/** Judges a right password in the transaction of the step that asks for it, under the lock on the account. */
export type JudgePassword = (tx: AuthTransaction) => Promise<void>;

/**
 * Checks the password of a signed-in user before a step that asks for it again. Runs `step`, which must call `judge` in its
 * transaction. A wrong password is counted before the caller learns that it is wrong. Runs the step again if a concurrent
 * sign-in replaced the hash in the meantime, because then the new hash decides.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, `AUTH.LOCKED`, `AUTH.SOURCE_LOCKED`, `AUTH.PASSWORD_BLOCKED`,
 * `AUTH.USER_NOT_FOUND`
 */
export async function withPassword<Result>(
  auth: Auth,
  { userId, password, device }: PasswordCheck,
  step: (judge: JudgePassword) => Promise<Result>,
): Promise<Result> {
  for (;;) {
    const where = { id: userId, deletedAt: null };
    const user = await auth.prisma.user.findFirst({ where, select: { passwordHash: true } });
    if (user === null) throw userNotFound(userId);
    const { passwordHash } = user;
    const isRight = await isPasswordOf(passwordHash, password, auth.settings.bcryptCost);
    const { text, values } = judgement(auth, { userId, passwordHash, isRight, device });
    const changed = new Error('The hash of the password changed');
    try {
      if (isRight) {
        return await step(async (tx) => {
          if (isChanged(await tx.$queryRawUnsafe<Judgement[]>(text, ...values), userId)) throw changed;
        });
      }
      isChanged(await auth.query<Judgement>({ text, values }), userId);
    } catch (error) {
      if (error !== changed) throw error;
    }
  }
}

interface JudgedPassword {
  readonly userId: string;
  readonly passwordHash: string | null;
  readonly isRight: boolean;
  readonly device: Device;
}

function judgement(auth: Auth, { userId, passwordHash, isRight, device }: JudgedPassword) {
  return {
    text: `SELECT outcome, until
      FROM judge_password($1, NULL, $2, $3, 'PASSWORD_CHECK_FAILED', ${lockoutParameters(4)}, $8, $9)`,
    values: [userId, passwordHash, isRight, ...lockoutValues(auth), ...deviceValues(device)],
  };
}

/** Whether the hash changed since it was compared; false for a right password. Every other outcome is an error. */
function isChanged([judged]: readonly Judgement[], userId: string): boolean {
  if (judged === undefined || judged.outcome === 'unknown') throw userNotFound(userId);
  const { outcome, until } = judged;
  if (outcome === 'right' || outcome === 'changed') return outcome === 'changed';
  throw lockError(outcome, until) ?? invalidCredentials();
}
