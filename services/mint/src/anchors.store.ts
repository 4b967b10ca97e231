import { rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput } from './errors';

const MAX_ANCHORS = 10_000;
const DEFAULT_ANCHORS = 1_000;
const MAX_SEQ = 9_223_372_036_854_775_807n;

/**
 * The end of a wallet's chain at one time. Kept outside the database, it reveals a history that was rewritten together with
 * its hashes.
 */
export interface Anchor {
  readonly walletId: string;
  /** The number of the newest event, in decimal; "0" of a wallet without events. */
  readonly seq: string;
  /** The chain after that event, 32 bytes in hex. */
  readonly chain: string;
}

export interface ListAnchorsInput {
  /** 1 to 10000; 1000 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

export interface AnchorPage {
  /** In the order of the wallets' ids. */
  readonly anchors: readonly Anchor[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

const listAnchorsInput = z.strictObject({
  limit: z.int().min(1).max(MAX_ANCHORS).default(DEFAULT_ANCHORS),
  cursor: rowIdInput.optional(),
});

export const anchorInput = z.strictObject({
  walletId: rowIdInput,
  seq: z
    .string()
    .regex(/^(0|[1-9]\d{0,18})$/, 'is not the number of an event')
    .refine((seq) => BigInt(seq) <= MAX_SEQ, 'is not the number of an event'),
  chain: z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 hash in hex'),
});

const LIST = `
  SELECT id AS "walletId", last_seq::text AS seq, encode(chain, 'hex') AS chain
  FROM wallets WHERE id COLLATE "C" > $1 ORDER BY id COLLATE "C" LIMIT $2`;

/**
 * A page of the chains' ends, to keep outside the database and to pass to `reconcile` later. Wallets that are opened
 * between two pages may be missing.
 * @throws {SuiteError} `MINT.INVALID_INPUT`
 */
export async function listAnchors(mint: Mint, input: ListAnchorsInput = {}): Promise<AnchorPage> {
  const { limit, cursor = '' } = readInput(listAnchorsInput, input);
  const rows = await mint.query<{ walletId: string; seq: string; chain: string }>({
    text: LIST,
    values: [cursor, limit + 1],
  });
  const anchors = rows.slice(0, limit);
  return { anchors, nextCursor: rows.length > limit ? (anchors.at(-1)?.walletId ?? null) : null };
}

/** For each anchor, whether the chain up to its event is still the same. */
const COMPARED = `
  SELECT anchor.wallet_id AS "walletId", anchor.seq::text AS seq, anchor.chain = encode(
    CASE WHEN w.status = 'closed' AND w.last_seq <= anchor.seq THEN next_chain(now.chain, now.chain, wallet_closed_hash(w))
    ELSE now.chain END, 'hex') IS TRUE AS "isSame"
  FROM unnest($1::text[], $2::bigint[], $3::text[]) AS anchor (wallet_id, seq, chain)
  LEFT JOIN wallets AS w ON w.id = anchor.wallet_id
  LEFT JOIN LATERAL (
    SELECT coalesce(fold_chain(wallet_hash(w), event.link ORDER BY event.seq), wallet_hash(w)) AS chain
    FROM ledger_events() AS event WHERE event.wallet_id = anchor.wallet_id AND event.seq <= anchor.seq
  ) AS now ON true`;

/**
 * The rows that are the only event of a wallet between an anchor that fits and the next one that does not. An event that
 * comes before a fitting anchor of its other wallet is not the rewritten one.
 */
const SUSPECTS = `
  WITH known AS (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS known (wallet_id, sound_seq, broken_seq)
  ), event AS MATERIALIZED (
    SELECT event.*, known.sound_seq, known.broken_seq FROM ledger_events() AS event JOIN known USING (wallet_id)
  ), suspect AS (
    SELECT event.*, count(*) OVER (PARTITION BY event.wallet_id) AS suspects FROM event
    WHERE event.seq > event.sound_seq AND event.seq <= event.broken_seq AND NOT EXISTS (
      SELECT FROM event AS other WHERE (other.source, other.id) = (event.source, event.id) AND other.seq = event.seq
        AND other.seq <= other.sound_seq)
  )
  SELECT DISTINCT source, id FROM suspect WHERE suspects = 1 ORDER BY source, id`;

/** The number of a wallet's newest event that an anchor confirms, and of the first event that an anchor contradicts. */
interface KnownChain {
  soundSeq: bigint;
  brokenSeq: bigint | undefined;
}

/** A row of a history that differs from its anchors. */
export interface Rewritten {
  readonly source: 'wallets' | 'transactions' | 'holds' | 'mining_records' | 'economic_metrics';
  readonly id: string;
}

/**
 * The anchors' wallets whose history changed since, and the rows that changed, where the anchors leave no other row. Reads the
 * anchors in parts and remembers two numbers for each wallet; a wallet can have anchors of many times.
 */
export async function findRewritten(
  mint: Mint,
  anchors: Iterable<Anchor> | AsyncIterable<Anchor>,
): Promise<readonly Rewritten[]> {
  const chains = new Map<string, KnownChain>();
  let part: Anchor[] = [];
  const compare = async () => {
    const column = (field: keyof Anchor) => part.map((anchor) => anchor[field]);
    const values = [column('walletId'), column('seq'), column('chain')];
    const rows = await mint.queryLong<{ walletId: string; seq: string; isSame: boolean }>({ text: COMPARED, values });
    for (const row of rows) addAnchor(chains, row);
    part = [];
  };
  for await (const anchor of anchors) {
    part.push(readInput(anchorInput, anchor));
    if (part.length === DEFAULT_ANCHORS) await compare();
  }
  if (part.length > 0) await compare();
  const broken = [...chains].filter(([, { brokenSeq }]) => brokenSeq !== undefined).map(([id]) => id);
  if (broken.length === 0) return [];
  const known = [...chains.values()];
  const rows = await mint.queryLong<Rewritten>({
    text: SUSPECTS,
    values: [
      [...chains.keys()],
      known.map(({ soundSeq }) => soundSeq),
      known.map(({ brokenSeq }) => brokenSeq ?? null),
    ],
  });
  return [...broken.sort().map((id) => ({ source: 'wallets' as const, id })), ...rows];
}

function addAnchor(
  chains: Map<string, KnownChain>,
  { walletId, seq, isSame }: { readonly walletId: string; readonly seq: string; readonly isSame: boolean },
): void {
  const chain = chains.get(walletId) ?? { soundSeq: -1n, brokenSeq: undefined };
  const number = BigInt(seq);
  if (isSame && number > chain.soundSeq) chain.soundSeq = number;
  if (!isSame && (chain.brokenSeq === undefined || number < chain.brokenSeq)) chain.brokenSeq = number;
  chains.set(walletId, chain);
}
