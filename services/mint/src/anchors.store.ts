import { idInput } from '@azora/db-core/input';
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
  cursor: idInput.optional(),
});

export const anchorInput = z.strictObject({
  walletId: idInput,
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

/** The wallets whose chain, up to the event of an anchor, is another one now. */
const REWRITTEN = `
  SELECT DISTINCT anchor.wallet_id AS id
  FROM unnest($1::text[], $2::bigint[], $3::text[]) AS anchor (wallet_id, seq, chain)
  LEFT JOIN wallets AS w ON w.id = anchor.wallet_id
  LEFT JOIN LATERAL (
    SELECT coalesce(fold_chain(wallet_hash(w), event.link ORDER BY event.seq), wallet_hash(w)) AS chain
    FROM ledger_events() AS event WHERE event.wallet_id = anchor.wallet_id AND event.seq <= anchor.seq
  ) AS now ON true
  WHERE anchor.chain IS DISTINCT FROM encode(
    CASE WHEN w.status = 'closed' AND w.last_seq <= anchor.seq THEN next_chain(now.chain, now.chain, wallet_closed_hash(w))
    ELSE now.chain END, 'hex')`;

/** The ids of the anchors' wallets whose history changed since. Reads the anchors in parts, so any number fits in memory. */
export async function findRewritten(
  mint: Mint,
  anchors: Iterable<Anchor> | AsyncIterable<Anchor>,
): Promise<readonly string[]> {
  const found = new Set<string>();
  let part: Anchor[] = [];
  const compare = async () => {
    const column = (field: keyof Anchor) => part.map((anchor) => anchor[field]);
    const values = [column('walletId'), column('seq'), column('chain')];
    for (const { id } of await mint.query<{ id: string }>({ text: REWRITTEN, values })) found.add(id);
    part = [];
  };
  for await (const anchor of anchors) {
    part.push(readInput(anchorInput, anchor));
    if (part.length === DEFAULT_ANCHORS) await compare();
  }
  if (part.length > 0) await compare();
  return [...found].sort();
}
