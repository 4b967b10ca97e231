import { forgetMessages } from '../account/message-limits';
import type { Auth, AuthTransaction } from '../client';
import { type CodeOwner, isCode } from './one-time-code';

/** Attempts for each code that was sent. After them the code is invalid, whatever the lock of the factor says. */
const MAX_ATTEMPTS = 5;

export interface SentCode {
  /** The phone number or address that the code was sent to. */
  readonly sentTo: string;
  /** Uses up the code. True for one of any number of concurrent callers. */
  readonly take: (tx: AuthTransaction) => Promise<boolean>;
}

/** The account, the channel and the purpose of a code, and the challenge that it answers if the purpose is `sign_in`. */
export type SoughtCode = Omit<CodeOwner, 'sentTo' | 'expiresAt'>;

interface LiveCode {
  readonly id: string;
  readonly codeHash: string;
  readonly sentTo: string;
  readonly expiresAt: Date;
}

/**
 * Checks a code that was sent; null for a wrong code. The attempt is counted before the check, so at most five
 * concurrent guesses are checked. The function `take_one_time_code` uses the code up; see prisma/structure.sql.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export async function findSentCode(auth: Auth, sought: SoughtCode, code: string): Promise<SentCode | null> {
  const [live] = await auth.query<LiveCode>({
    text: `UPDATE one_time_codes SET attempts = attempts + 1, updated_at = database_time()
           WHERE user_id = $1 AND channel = $2 AND purpose = $3 AND challenge_id IS NOT DISTINCT FROM $4
             AND used_at IS NULL AND revoked_at IS NULL AND expires_at > (SELECT database_time())
             AND attempts < ${MAX_ATTEMPTS}
           RETURNING id, code_hash AS "codeHash", coalesce(sent_to, '') AS "sentTo", expires_at AS "expiresAt"`,
    values: [sought.userId, sought.channel, sought.purpose, sought.challengeId],
  });
  if (live === undefined || !isCode(auth.keyring, { ...sought, ...live }, code, live.codeHash)) return null;
  const { id, sentTo } = live;
  return {
    sentTo,
    take: async (tx) => {
      const [taken] = await tx.$queryRaw<{ ok: boolean }[]>`SELECT take_one_time_code(${id}) AS ok`;
      if (taken?.ok !== true) return false;
      await forgetMessages(tx, { kind: `code_${sought.channel}`, recipients: [sought.userId, sentTo] });
      return true;
    },
  };
}
