import type { Auth, AuthTransaction } from '../client';
import { accountInactive, invalidCredentials, userNotFound } from '../errors';
import type { Device } from '../input';
import { type InsideAccount, lockAccount } from './account-row';
import { deviceValues, type Judgement, lockError, lockoutParameters, lockoutValues } from './attempts';
import { isPasswordOf } from './passwords';

export interface PasswordCheck {
  readonly userId: string;
  readonly password: string;
  /** The hash of a password that replaces this one. */
  readonly newHash?: string;
  readonly device: Device;
}

/**
 * Checks the password of a signed-in user before a step that asks for it again, and runs `work` in the transaction in which
 * the password was right. A wrong password is counted before the caller learns that it is wrong.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, `AUTH.LOCKED`, `AUTH.SOURCE_LOCKED`, `AUTH.USER_NOT_FOUND`,
 * `AUTH.ACCOUNT_INACTIVE`
 */
export async function withPassword<Result>(
  auth: Auth,
  check: PasswordCheck,
  work: (inside: InsideAccount) => Promise<Result>,
): Promise<Result> {
  const { userId, password, newHash = null, device } = check;
  for (;;) {
    const where = { id: userId, deletedAt: null };
    const user = await auth.prisma.user.findFirst({ where, select: { passwordHash: true } });
    if (user === null) throw userNotFound(userId);
    const { passwordHash } = user;
    const isRight = await isPasswordOf(passwordHash, password, auth.settings.bcryptCost);
    const judged = { userId, passwordHash, isRight, device };
    if (!isRight) refuse(await auth.query<Judgement>(judgePassword(auth, judged)), userId);
    else {
      const done = await auth.transaction(async (tx) => {
        const account = await lockAccount(tx, userId);
        if (!refuse(await judgeInside(auth, tx, judged), userId)) return undefined;
        if (!account.isActive) throw accountInactive();
        await tx.$executeRaw`SELECT accept_password(${userId}, false, ${newHash}, ${device.ipAddress ?? null})`;
        return { result: await work({ tx, account, at: account.at }) };
      });
      if (done !== undefined) return done.result;
    }
    // A concurrent sign-in replaced the hash, or the password changed: the new hash decides.
  }
}

interface JudgedPassword {
  readonly userId: string;
  readonly passwordHash: string | null;
  readonly isRight: boolean;
  readonly device: Device;
}

function judgePassword(auth: Auth, { userId, passwordHash, isRight, device }: JudgedPassword) {
  return {
    text: `SELECT outcome, until
      FROM judge_password($1, $2, $3, 'PASSWORD_CHECK_FAILED', ${lockoutParameters(4)}, $8, $9)`,
    values: [userId, passwordHash, isRight, ...lockoutValues(auth), ...deviceValues(device)],
  };
}

function judgeInside(auth: Auth, tx: AuthTransaction, judged: JudgedPassword): Promise<readonly Judgement[]> {
  const { text, values } = judgePassword(auth, judged);
  return tx.$queryRawUnsafe<Judgement[]>(text, ...values);
}

/** True for a right password, false if the hash changed since it was compared. Every other outcome is an error. */
function refuse([judgement]: readonly Judgement[], userId: string): boolean {
  if (judgement === undefined || judgement.outcome === 'unknown') throw userNotFound(userId);
  const { outcome, until } = judgement;
  if (outcome === 'right' || outcome === 'changed') return outcome === 'right';
  throw lockError(outcome, until) ?? invalidCredentials();
}
