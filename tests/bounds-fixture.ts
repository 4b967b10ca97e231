import { quoteIdentifier } from '@azora/db-core';
import type { TestDatabase } from '@azora/db-testkit';

export interface Column {
  readonly table: string;
  readonly column: string;
  /** Of the elements, for an array. */
  readonly type: string;
  readonly isArray: boolean;
  /** Its CHECK constraints, with the columns that each reads. */
  readonly checks: readonly { readonly condition: string; readonly reads: readonly Read[] }[];
  /** Whether a trigger of the table refuses what no client can read, as the ledger's do for speed. */
  readonly isTriggered: boolean;
}

interface Read {
  readonly column: string;
  readonly type: string;
}

/** A value of a column as SQL, with what it is called in the failure of a test. */
export type Value = readonly [what: string, sql: string];

/** Every column of these types; arrays of any type if no types are given. */
export async function columnsOf(db: TestDatabase, types?: readonly string[]): Promise<readonly Column[]> {
  const rows = await db.admin(
    `SELECT relname::text AS "table", attname::text AS "column", element.typname::text AS type, listed AS "isArray",
       EXISTS (SELECT FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
         WHERE tgrelid = pg_class.oid AND strpos(prosrc, quote_literal(relname || '_times_check')) > 0) AS "isTriggered",
       coalesce((SELECT json_agg(json_build_object('condition', pg_get_expr(conbin, conrelid), 'reads',
         (SELECT json_agg(json_build_object('column', it.attname, 'type', format_type(it.atttypid, it.atttypmod)))
          FROM pg_attribute AS it WHERE it.attrelid = conrelid AND it.attnum = ANY (conkey))))
         FROM pg_constraint WHERE contype = 'c' AND conrelid = pg_class.oid AND pg_attribute.attnum = ANY (conkey)), '[]') AS checks
     FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
       JOIN pg_type AS own ON own.oid = atttypid
       CROSS JOIN LATERAL (SELECT own.typcategory = 'A' AS listed) AS kind
       JOIN pg_type AS element ON element.oid = CASE WHEN listed THEN own.typelem ELSE own.oid END
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> '_prisma_migrations'
       AND CASE WHEN $1::text[] IS NULL THEN listed ELSE element.typname = ANY ($1) END
     ORDER BY relname, attnum`,
    [types ?? null],
  );
  return rows as unknown as readonly Column[];
}

/** A function that ignores NULL says something about a row although a column is not known. */
const IGNORES_NULL = /\b(COALESCE|LEAST|GREATEST|CASE|num_n\w+|concat\w*|IS (NOT )?(DISTINCT|TRUE|FALSE|UNKNOWN))\b/i;

/**
 * The condition as a SELECT over `value`, in which every other column is not known. By three-valued logic, a condition that is false
 * then is false for every row.
 */
function refusalOf({ column }: Column, { condition, reads }: Column['checks'][number]): string {
  const others = reads.filter((it) => it.column !== column);
  if (others.length > 0 && IGNORES_NULL.test(condition)) return 'false';
  const unknown = others.reduce((text, it) => {
    const name = quoteIdentifier(it.column);
    const spelled = [it.column, name].map((spelling) => `(${spelling} IS `);
    return spelled.reduce(
      (rest, start) =>
        rest.replaceAll(`${start}NULL)`, 'NULL::boolean').replaceAll(`${start}NOT NULL)`, 'NULL::boolean'),
      text,
    );
  }, condition);
  const row = [`value AS ${quoteIdentifier(column)}`];
  for (const it of others) row.push(`NULL::${it.type} AS ${quoteIdentifier(it.column)}`);
  return `(SELECT (${unknown}) IS FALSE FROM (SELECT ${row.join(', ')}) AS given)`;
}

/** `table.column accepts what`, for each of these values that no CHECK of the column refuses. */
export async function acceptedBy(
  db: TestDatabase,
  columns: readonly Column[],
  valuesOf: (column: Column) => readonly Value[],
): Promise<readonly string[]> {
  const questions = columns.flatMap((it) =>
    valuesOf(it).map(([what, sql]) => {
      const refusals = ['false', ...it.checks.map((check) => refusalOf(it, check))].join(' OR ');
      return `SELECT '${it.table}.${it.column} accepts ${what}' AS name FROM (SELECT ${sql} AS value) AS tried WHERE NOT (${refusals})`;
    }),
  );
  const accepted = await db.admin(questions.join(' UNION ALL '));
  return accepted.map(({ name }) => String(name));
}
