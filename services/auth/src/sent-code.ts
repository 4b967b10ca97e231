import type { Auth } from './client';
import { type CodeOwner, isCode } from './one-time-code';
import type { TakeFactor } from './take-factor';

/** So many tries of one code; after them it is worth nothing, whatever the lockout of the account says. */
const MAX_TRIES = 5;

interface LiveCode {
  readonly id: string;
  readonly code_hash: string;
  readonly sent_to: string | null;
}

export interface SentCode {
  /** Where it was sent. */
  readonly sentTo: string | null;
  readonly take: TakeFactor;
}

/**
 * Looks at a code that was sent, and counts the try before it does, so that of many at once no more than five are looked
 * at; null is a wrong one.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export async function findSentCode(auth: Auth, shown: CodeOwner & { readonly code: string }): Promise<SentCode | null> {
  const [live] = await auth.query<LiveCode>({
    text: `UPDATE one_time_codes SET attempts = attempts + 1, updated_at = $4
           WHERE user_id = $1 AND channel = $2 AND purpose = $3 AND used_at IS NULL AND revoked_at IS NULL
             AND expires_at > $4 AND attempts < ${MAX_TRIES}
           RETURNING id, code_hash, sent_to`,
    values: [shown.userId, shown.channel, shown.purpose, auth.clock()],
  });
  if (live === undefined || !isCode(auth.keyring, shown, shown.code, live.code_hash)) return null;
  return {
    sentTo: live.sent_to,
    take: async (tx, at) => {
      const { count } = await tx.oneTimeCode.updateMany({
        where: { id: live.id, usedAt: null, revokedAt: null, expiresAt: { gt: at } },
        data: { usedAt: at, updatedAt: at },
      });
      return count === 1;
    },
  };
}
