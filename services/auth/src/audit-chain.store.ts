import { rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Auth } from './client';
import { readInput } from './errors';

/** Differences that are listed; further ones are only counted. */
const MAX_DIFFERENCES = 1_000;

/** The newest entry of a chain. A copy that is kept elsewhere also reveals a chain that was rewritten as a whole. */
export interface AuditHead {
  readonly seq: bigint;
  readonly hash: string;
}

export interface VerifyAuditChainInput {
  /** The user whose chain to verify; null for the entries about no known user. All chains by default. */
  readonly userId?: string | null;
  /** An earlier head of that chain, kept elsewhere. */
  readonly expected?: AuditHead;
}

export type AuditDifferenceKind =
  /** The columns of an entry do not match its hash. */
  | 'changed'
  /** The entries from `seq` to `toSeq` are missing. */
  | 'missing'
  /** An entry has a position that is taken or lies beyond the head. */
  | 'inserted'
  /** An entry does not contain the hash of the previous one: one of the two was replaced or moved. */
  | 'unlinked'
  /** The recorded head is not the hash of the newest entry. */
  | 'head_differs'
  /** Entries exist without a record of where their chain begins and ends. */
  | 'head_missing'
  /** The entry of the expected head is missing: the chain ends before it. */
  | 'older_than_expected'
  /** Another entry is in the position of the expected head: the chain was rewritten. */
  | 'expected_differs'
  /** The entry of the expected head was pruned, which is legitimate only after 90 days. */
  | 'expected_pruned';

export interface AuditDifference {
  readonly kind: AuditDifferenceKind;
  /** Null for the entries about no known user. */
  readonly userId: string | null;
  readonly seq: bigint;
  readonly toSeq: bigint;
  readonly entryId: string | null;
}

export interface AuditVerification {
  readonly ok: boolean;
  /** The number of entries that were rehashed. */
  readonly checked: number;
  /** The head of the requested chain; null for all chains, or if the chain has no entries. */
  readonly head: AuditHead | null;
  /** At most 1000, ordered by chain and position. */
  readonly differences: readonly AuditDifference[];
  readonly differenceCount: number;
}

const verifyAuditChainInput = z
  .strictObject({
    userId: rowIdInput.nullish(),
    expected: z
      .strictObject({
        seq: z.bigint().min(1n),
        hash: z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 hash in hex'),
      })
      .optional(),
  })
  .refine(({ userId, expected }) => expected === undefined || userId !== undefined, 'expected needs a userId');

interface Row {
  readonly checked: string;
  readonly headSeq: string | null;
  readonly headHash: string | null;
  readonly differenceCount: string;
  readonly differences: readonly (Omit<AuditDifference, 'seq' | 'toSeq'> & { seq: string; toSeq: string })[];
}

/**
 * Rehashes the audit log in the database, from one snapshot, and reports every entry that was changed, removed, inserted
 * or moved without the store. A chain that was rewritten up to its head shows no such difference; only `expected`, a head
 * that was kept elsewhere, reveals it.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function verifyAuditChain(auth: Auth, input: VerifyAuditChainInput = {}): Promise<AuditVerification> {
  const { userId, expected } = readInput(verifyAuditChainInput, input);
  const account = userId === undefined ? null : (userId ?? '');
  const [row] = await auth.query<Row>({
    text: VERIFY,
    values: [account, expected?.seq.toString() ?? null, expected?.hash ?? null, MAX_DIFFERENCES],
  });
  if (row === undefined) throw new Error('An aggregate without GROUP BY returned no row');
  const { headSeq, headHash } = row;
  return {
    ok: row.differenceCount === '0',
    checked: Number(row.checked),
    head: headSeq === null || headHash === null ? null : { seq: BigInt(headSeq), hash: headHash },
    differences: row.differences.map((it) => ({ ...it, seq: BigInt(it.seq), toSeq: BigInt(it.toSeq) })),
    differenceCount: Number(row.differenceCount),
  };
}

const VERIFY = `
  WITH chains AS (
    SELECT * FROM audit_chains WHERE $1::text IS NULL OR account = $1
  ), entries AS MATERIALIZED (
    SELECT coalesce(user_id, '') AS account, id, seq, previous_hash, hash, audit_entry_hash(audit_log) AS computed,
           lag(seq) OVER chain AS before_seq, lag(hash) OVER chain AS before_hash,
           lead(seq) OVER chain IS NULL AS is_last
    FROM audit_log WHERE $1::text IS NULL OR coalesce(user_id, '') = $1
    WINDOW chain AS (PARTITION BY coalesce(user_id, '') ORDER BY seq, id)
  ), placed AS (
    -- The predecessor of each entry: the previous entry, or the anchor of the chain.
    SELECT entries.*, last_seq, last_hash, chains.account IS NULL AS is_headless,
           coalesce(before_seq, first_seq - 1, 0) AS prior_seq,
           CASE WHEN before_seq IS NULL THEN first_previous_hash ELSE before_hash END AS prior_hash
    FROM entries LEFT JOIN chains USING (account)
  ), found AS (
    SELECT 'changed' AS kind, account, seq, seq AS to_seq, id FROM placed WHERE computed <> hash
    UNION ALL
    SELECT 'missing', account, prior_seq + 1, seq - 1, NULL FROM placed WHERE seq > prior_seq + 1
    UNION ALL
    SELECT 'inserted', account, seq, seq, id FROM placed WHERE seq <= prior_seq OR seq > last_seq
    UNION ALL
    SELECT 'unlinked', account, seq, seq, id FROM placed WHERE seq = prior_seq + 1 AND previous_hash <> prior_hash
    UNION ALL
    SELECT 'head_differs', account, seq, seq, id FROM placed WHERE is_last AND seq = last_seq AND hash <> last_hash
    UNION ALL
    SELECT 'missing', account, seq + 1, last_seq, NULL FROM placed WHERE is_last AND seq < last_seq
    UNION ALL
    SELECT 'missing', account, first_seq, last_seq, NULL FROM chains
    WHERE last_seq >= first_seq AND NOT EXISTS (SELECT FROM entries WHERE entries.account = chains.account)
    UNION ALL
    SELECT 'head_differs', account, last_seq, last_seq, NULL FROM chains
    WHERE last_seq < first_seq AND last_hash <> first_previous_hash
    UNION ALL
    SELECT 'head_missing', account, min(seq), max(seq), NULL FROM placed WHERE is_headless GROUP BY account
    UNION ALL
    SELECT CASE
        WHEN coalesce(last_seq, 0) < $2::bigint THEN 'older_than_expected'
        WHEN first_seq > $2 AND NOT (first_seq = $2 + 1 AND first_previous_hash = $3) THEN 'expected_pruned'
        ELSE 'expected_differs'
      END, $1, $2::bigint, $2, NULL
    FROM (SELECT) AS once LEFT JOIN chains ON true
    WHERE $2 IS NOT NULL AND NOT coalesce(first_seq = $2 + 1 AND first_previous_hash = $3, false)
      AND NOT EXISTS (SELECT FROM entries WHERE seq = $2 AND hash = $3)
  ), listed AS (
    SELECT * FROM found ORDER BY account, seq, kind, id LIMIT $4
  )
  SELECT (SELECT count(*) FROM entries) AS checked,
         (SELECT last_seq FROM chains WHERE $1 IS NOT NULL) AS "headSeq",
         (SELECT last_hash FROM chains WHERE $1 IS NOT NULL) AS "headHash",
         (SELECT count(*) FROM found) AS "differenceCount",
         coalesce((
           SELECT jsonb_agg(jsonb_build_object('kind', kind, 'userId', nullif(account, ''), 'seq', seq::text,
             'toSeq', to_seq::text, 'entryId', id) ORDER BY account, seq, kind, id) FROM listed
         ), '[]') AS differences`;
