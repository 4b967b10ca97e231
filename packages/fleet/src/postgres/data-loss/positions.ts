import { quoteLiteral } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { query } from './query';
import { FIRST_USER_OID, shortName, sqlName } from './tables';

/** A sequence and the value that it gives next. */
export interface Sequence {
  readonly oid: string;
  /** The column that it belongs to, by number and by name; null for a sequence of its own. */
  readonly owner: string | null;
  readonly ownerName: string | null;
  /** The columns whose default gives its values. */
  readonly feeds: readonly string[];
  readonly schema: string;
  readonly name: string;
  readonly increment: string;
  /** The value after the last one: the other end of the range; null without CYCLE. */
  readonly restart: string | null;
  /** The end of the range in the direction of the increment. */
  readonly end: string;
  readonly last: string;
  readonly called: boolean;
}

type ListedSequence = Omit<Sequence, 'last' | 'called'>;

const SEQUENCES = `
  SELECT relation.oid::text AS oid, refobjid || '.' || refobjsubid AS owner,
         (SELECT concat(refobjid::regclass, '.', attname) FROM pg_attribute
          WHERE attrelid = refobjid AND attnum = refobjsubid) AS "ownerName",
         ARRAY(SELECT adrelid || '.' || adnum FROM pg_depend use JOIN pg_attrdef ON pg_attrdef.oid = use.objid
               WHERE use.classid = 'pg_attrdef'::regclass AND use.refobjid = relation.oid) AS feeds,
         nspname::text AS schema, relname::text AS name, seqincrement::text AS increment,
         CASE WHEN seqcycle THEN CASE WHEN seqincrement > 0 THEN seqmin ELSE seqmax END END::text AS restart,
         CASE WHEN seqincrement > 0 THEN seqmax ELSE seqmin END::text AS "end"
  FROM pg_sequence
  JOIN pg_class relation ON relation.oid = seqrelid
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
  LEFT JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = relation.oid
    AND refclassid = 'pg_class'::regclass AND refobjsubid > 0 AND deptype IN ('a', 'i')
  WHERE relpersistence <> 't' AND relation.oid >= ${FIRST_USER_OID} AND NOT starts_with(nspname, 'pg_t')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = relation.oid AND deptype = 'e')
  ORDER BY nspname COLLATE "C", relname COLLATE "C"`;

export async function readSequences(client: ClientBase): Promise<readonly Sequence[]> {
  return readPositions(client, await query<ListedSequence>(client, SEQUENCES));
}

async function readPositions(client: ClientBase, listed: readonly ListedSequence[]): Promise<readonly Sequence[]> {
  if (listed.length === 0) return [];
  const positions = listed.map(
    (sequence) =>
      `SELECT ${sequence.oid} AS oid, last_value::text AS last, is_called AS called FROM ${sqlName(sequence)}`,
  );
  const rows = await query<{ oid: string; last: string; called: boolean }>(client, positions.join(' UNION ALL '));
  const byOid = new Map(rows.map((row) => [String(row.oid), row]));
  return listed.flatMap((sequence) => {
    const row = byOid.get(sequence.oid);
    return row === undefined ? [] : [{ ...sequence, last: row.last, called: row.called }];
  });
}

/**
 * Locks every sequence and gives it a new file in this transaction, with the same position. setval() is the one change of data that no
 * rollback undoes, except on a sequence that the same transaction rewrote.
 */
export async function holdSequences(client: ClientBase): Promise<void> {
  const listed = await query<ListedSequence>(client, SEQUENCES);
  if (listed.length === 0) return;
  // Changes nothing, and takes the lock under which no other session advances the sequence.
  await client.query(listed.map((it) => `ALTER SEQUENCE ${sqlName(it)} INCREMENT BY ${it.increment}`).join('; '));
  const statements = (await readPositions(client, listed)).flatMap((sequence) => {
    const name = sqlName(sequence);
    return [
      `ALTER SEQUENCE ${name} RESTART WITH ${sequence.last}`,
      `SELECT pg_catalog.setval(${quoteLiteral(name)}, ${sequence.last}, ${sequence.called})`,
    ];
  });
  await client.query(statements.join('; '));
}

/** A sequence that would give values again, with the value that it gave last. */
export interface LostPosition {
  readonly sequence: string;
  readonly last: string;
}

/**
 * A sequence of a column that is gone goes with it, but one that was made anew for the column must continue where the old one stopped.
 * A sequence that was never used has nothing to lose.
 */
export function lostPositions(before: readonly Sequence[], after: readonly Sequence[]): readonly LostPosition[] {
  return before
    .filter((sequence) => {
      if (!sequence.called) return false;
      const now =
        after.find(({ oid }) => oid === sequence.oid) ??
        after.find(({ owner }) => owner !== null && owner === sequence.owner) ??
        after.find(({ ownerName }) => ownerName !== null && ownerName === sequence.ownerName) ??
        after.find(({ feeds }) => sequence.owner !== null && feeds.includes(sequence.owner));
      if (now === undefined) return sequence.owner === null;
      const ahead = nextOf(now) - nextOf(sequence);
      return sequence.increment.startsWith('-') ? ahead > 0n : ahead < 0n;
    })
    .map((sequence) => ({ sequence: shortName(sequence), last: sequence.last }));
}

function nextOf({ last, called, increment, restart, end }: Sequence): bigint {
  if (!called) return BigInt(last);
  const next = BigInt(last) + BigInt(increment);
  const isPast = increment.startsWith('-') ? next < BigInt(end) : next > BigInt(end);
  return isPast && restart !== null ? BigInt(restart) : next;
}

/** The large objects of the database. */
export interface LargeObjects {
  readonly count: number;
  readonly hash: string;
}

/**
 * Measures the large objects that the condition on `xmin` selects. Only a superuser may read the table of their pages, page by page;
 * another role reads each object as a whole.
 */
export async function readLargeObjects(client: ClientBase, condition: string): Promise<LargeObjects> {
  const metadata = `FROM pg_largeobject_metadata WHERE ${condition}`;
  const [first] = await query<{ count: number; pages: boolean }>(
    client,
    `SELECT count(*)::int AS count, has_table_privilege('pg_largeobject', 'SELECT') AS pages ${metadata}`,
  );
  const { count = 0, pages = true } = first ?? {};
  if (count === 0) return { count, hash: '0' };
  const [row] = await query<{ hash: string }>(
    client,
    pages
      ? `SELECT sum(hashtextextended(concat(loid, '.', pageno, '.', data) COLLATE "C", 0))::text AS hash
         FROM pg_largeobject WHERE ${condition}`
      : `SELECT sum(hashtextextended(concat(oid, '.', lo_get(oid)) COLLATE "C", 0))::text AS hash ${metadata}`,
  );
  return { count, hash: row?.hash ?? '0' };
}
