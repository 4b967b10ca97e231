import { forgetMessages } from '../account/message-limits';
import type { Auth } from '../client';
import type { CheckedCode, FactorChange } from './checked-code';
import { type CodeOwner, isCode } from './one-time-code';

/** Wrong attempts for each code that was sent, as in the SQL functions `judge_factor` and `take_one_time_code`. */
const MAX_ATTEMPTS = 5;

/** The account, the channel and the purpose of a code, and the challenge that it answers if the purpose is `sign_in`. */
export type SoughtCode = Omit<CodeOwner, 'sentTo' | 'expiresAt'>;

interface LiveCode {
  readonly id: string;
  readonly codeHash: string;
  readonly sentTo: string;
  readonly expiresAt: Date;
}

/**
 * Checks a code that was sent, and writes nothing. A right code is used up only under the lock on the account, by the function
 * `take_one_time_code`, and a wrong one is counted under that lock before its caller learns that it is wrong. So at most five
 * wrong guesses are answered, also when they race with the right one. `enabled` is how the code changes the factors.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export async function findSentCode(
  auth: Auth,
  sought: SoughtCode,
  code: string,
  enabled: (sentTo: string) => FactorChange = () => ({}),
): Promise<CheckedCode> {
  const [live] = await auth.query<LiveCode>({
    text: `SELECT id, code_hash AS "codeHash", coalesce(sent_to, '') AS "sentTo", expires_at AS "expiresAt"
           FROM one_time_codes
           WHERE user_id = $1 AND channel = $2 AND purpose = $3 AND challenge_id IS NOT DISTINCT FROM $4
             AND used_at IS NULL AND revoked_at IS NULL AND expires_at > (SELECT database_time())
             AND attempts < ${MAX_ATTEMPTS}`,
    values: [sought.userId, sought.channel, sought.purpose, sought.challengeId],
  });
  if (live === undefined) return {};
  const { id, sentTo } = live;
  if (!isCode(auth.keyring, { ...sought, ...live }, code, live.codeHash)) return { sentId: id };
  return {
    take: async (tx) => {
      const [taken] = await tx.$queryRaw<{ ok: boolean }[]>`SELECT take_one_time_code(${id}) AS ok`;
      if (taken?.ok !== true) return undefined;
      await forgetMessages(tx, { kind: `code_${sought.channel}`, recipients: [sought.userId, sentTo] });
      return enabled(sentTo);
    },
  };
}
