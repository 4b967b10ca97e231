import { z } from 'zod';
import { type InsideAccount, inAccount } from '../account/account-row';
import { type JudgePassword, withPassword } from '../account/password-check';
import type { Auth, AuthTransaction } from '../client';
import { claimedPasswordInput, type Device } from '../input';
import type { FactorChange } from './checked-code';
import { proofRequired } from './errors';
import { changeFactors, type ShownCode, withCodes } from './factor';
import { type AnyFactor, type Channel, digitsInput } from './one-time-code';
import { recoveryCodeInput } from './recovery-codes';

/** Evidence that the caller is the owner of the account and does not merely hold a session. */
export type Proof =
  | { readonly factor: 'password'; readonly password: string }
  | { readonly factor: AnyFactor; readonly code: string };

export const proofInput = z.discriminatedUnion('factor', [
  z.strictObject({ factor: z.literal('password'), password: claimedPasswordInput }),
  z.strictObject({ factor: z.literal('recovery'), code: recoveryCodeInput }),
  z.strictObject({ factor: z.enum(['totp', 'sms', 'email']), code: digitsInput }),
]);

/** What a proof is for: to begin an enrollment, or to change how the user signs in. */
type Step = 'begin' | 'change';

export interface Proven {
  readonly userId: string;
  readonly device: Device;
  readonly proof: Proof | undefined;
}

export interface ProvenChange extends Proven {
  /** The first code of a factor that it enables. */
  readonly enrollment?: ShownCode;
  /** The present password and the hash of the new one. It is checked as well, and is the proof if there is no other one. */
  readonly password?: { readonly current: string; readonly newHash: string };
  /** How the factors change, besides what the codes change. Decided once everything has been judged. */
  readonly factors?: (inside: InsideAccount) => Promise<FactorChange>;
}

type Work<Result> = (inside: InsideAccount) => Promise<Result>;

/**
 * Decides which proof is enough; undefined if the shown one is. A change needs a code of an enabled factor or a recovery
 * code. Without a second factor it needs the password. The beginning of an enrollment changes nothing, so the password is
 * enough for it, and an account without a second factor needs no proof: the change that follows asks for one.
 */
function refusalOf(step: Step, enabled: readonly AnyFactor[], shown: Proof['factor'] | undefined) {
  if (enabled.length === 0) {
    return step === 'begin' || shown === 'password' ? undefined : proofRequired(['password']);
  }
  const isEnough = shown !== undefined && (step === 'begin' || shown !== 'password');
  if (isEnough) return undefined;
  return proofRequired([...enabled, 'recovery', ...(step === 'begin' ? (['password'] as const) : [])]);
}

/**
 * Runs `work`, which changes how the user signs in, if the proof is right and enough. Codes are used up in the same
 * transaction. The decision is made again under the lock on the account, because a factor may have been enabled or disabled
 * in the meantime. Before `work`, the rows of the account and of its factors are written, once each, with all that follows
 * from the proof and the change.
 * @throws {SuiteError} `AUTH.PROOF_REQUIRED`, and the errors of `withPassword` and `withCodes`
 */
export function withProof<Result>(auth: Auth, change: ProvenChange, work: Work<Result>): Promise<Result> {
  return runProven(auth, 'change', change, work);
}

/**
 * Runs `work`, which begins an enrollment, if the proof is right and enough.
 * @throws {SuiteError} the errors of `withProof`
 */
export function withProofToBegin<Result>(auth: Auth, proven: Proven, work: Work<Result>): Promise<Result> {
  return runProven(auth, 'begin', proven, work);
}

async function runProven<Result>(
  auth: Auth,
  step: Step,
  { userId, device, proof, enrollment, password: replaced, factors }: ProvenChange,
  work: Work<Result>,
): Promise<Result> {
  const shown = proof?.factor ?? (replaced === undefined ? undefined : 'password');
  const decide = async (client: Pick<AuthTransaction, 'mFASettings'>) => {
    const refusal = refusalOf(step, await enabledFactors(client, userId), shown);
    if (refusal !== undefined) throw refusal;
  };
  const codes: ShownCode[] = enrollment === undefined ? [] : [enrollment];
  // The proof comes first: a wrong one is reported before a wrong code of a new factor.
  if (proof !== undefined && proof.factor !== 'password') codes.unshift({ ...proof, purpose: 'confirm' });
  const run = (judge?: JudgePassword): Promise<Result> => {
    const before = async ({ tx }: InsideAccount) => {
      await decide(tx);
      await judge?.(tx);
    };
    const accept = async (inside: InsideAccount, used: FactorChange) => {
      const change = { ...used, ...(await factors?.(inside)) };
      const proven = {
        userId,
        device,
        password: judge !== undefined,
        code: codes.length > 0,
        newHash: replaced?.newHash,
      };
      const unlocked = await acceptProof(inside.tx, proven);
      await changeFactors(inside, change);
      return work({ ...inside, unlocked });
    };
    if (codes.length > 0) return withCodes(auth, { userId, codes, device, before }, accept);
    return inAccount(auth, userId, async (inside) => {
      await before(inside);
      return accept(inside, {});
    });
  };
  // Before anything is checked, so that a proof that is not enough costs no attempt.
  await decide(auth.prisma);
  const password = proof?.factor === 'password' ? proof.password : replaced?.current;
  return password === undefined ? run() : withPassword(auth, { userId, password, device }, run);
}

interface AcceptedProof {
  readonly userId: string;
  readonly device: Device;
  /** Whether the password was judged right. */
  readonly password: boolean;
  /** Whether a code was judged right. */
  readonly code: boolean;
  readonly newHash: string | undefined;
}

/** Forgets the failures of what was judged right, and stores a new hash. Returns whether a lock of the password ended. */
async function acceptProof(
  tx: AuthTransaction,
  { userId, device, password, code, newHash }: AcceptedProof,
): Promise<boolean> {
  if (!password && !code) return false;
  const [accepted] = await tx.$queryRaw<{ unlocked: boolean }[]>`
    SELECT accept_proof(${userId}, ${password}, ${code}, false, ${newHash ?? null}, ${device.ipAddress ?? null}) AS unlocked`;
  return accepted?.unlocked === true;
}

/** The second factors that a user has enabled. */
async function enabledFactors(
  client: Pick<AuthTransaction, 'mFASettings'>,
  userId: string,
): Promise<readonly ('totp' | Channel)[]> {
  const settings = await client.mFASettings.findUnique({
    where: { userId },
    select: { totpEnabled: true, smsEnabled: true, emailEnabled: true },
  });
  const all = [
    ['totp', settings?.totpEnabled],
    ['sms', settings?.smsEnabled],
    ['email', settings?.emailEnabled],
  ] as const;
  return all.filter(([, isEnabled]) => isEnabled === true).map(([factor]) => factor);
}
