import { quoteIdentifier } from '@azora/db-core';
import type { Client } from 'pg';
import type { ModelSchema } from '../../schema/model';

/** How the rows of a table are deleted. */
export type PruneMethod =
  /** By statements of this command. */
  | { readonly kind: 'rows' }
  /** By the table's own function, which takes an interval and the greatest number of rows, or only the number. */
  | { readonly kind: 'function'; readonly takesInterval: boolean }
  /** By dropping the partitions whose rows are all too old. */
  | { readonly kind: 'partitions' }
  /** By the functions of a chained audit log. */
  | { readonly kind: 'audit' }
  /** Not by this command, with the reason as a part of a sentence. */
  | { readonly kind: 'none'; readonly why: string };

/** A table with an `@retain` annotation that exists in the database. */
export interface RetainedTable {
  readonly table: string;
  /** The column from which the age of a row counts. */
  readonly column: string;
  readonly days: number;
  /** The cut-off as a literal of the column's type: rows before it may go. */
  readonly before: string;
  /** SQL for the rows that may go. */
  readonly condition: string;
  readonly method: PruneMethod;
}

interface Found {
  readonly table: string;
  readonly type: string;
  readonly kind: string;
  readonly functions: readonly string[];
  readonly chained: boolean;
  readonly zoned: string;
  readonly utc: string;
}

/** The table whose rows `AZORA_AUDIT_RETENTION_DAYS` keeps. */
const AUDIT_LOG = 'audit_log';

const FIND = `
  SELECT c.relname AS table, t.typname AS type, c.relkind AS kind,
    ARRAY(SELECT oidvectortypes(p.proargtypes) FROM pg_proc AS p
      WHERE p.pronamespace = 'public'::regnamespace AND p.proname = 'prune_' || c.relname) AS functions,
    to_regprocedure('public.anchor_' || c.relname || '(bigint, interval)') IS NOT NULL AS chained,
    (at - d.days * interval '1 day')::text AS zoned, ((at - d.days * interval '1 day') AT TIME ZONE 'UTC')::text AS utc
  FROM unnest($1::text[], $2::text[], $3::int[]) AS d (name, "column", days)
  JOIN pg_class AS c ON c.oid = to_regclass('public.' || quote_ident(d.name))
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = d."column" AND NOT a.attisdropped
  JOIN pg_type AS t ON t.oid = a.atttypid
  CROSS JOIN (SELECT CLOCK AS at) AS now`;
const HAS_CLOCK = "SELECT to_regprocedure('public.database_time()') IS NOT NULL AS found";

/**
 * Finds the tables with an `@retain` annotation, children before their parents, with the cut-off by the database's clock.
 * Tables that a pending migration creates are left out.
 * @param auditDays how long the audit log is kept; undefined for the days of its annotation
 */
export async function findRetainedTables(
  client: Client,
  models: readonly ModelSchema[],
  auditDays: number | undefined,
): Promise<readonly RetainedTable[]> {
  const retained = childrenFirst(models).flatMap(({ table, retain }) =>
    retain === undefined
      ? []
      : [{ table, ...retain, days: table === AUDIT_LOG ? (auditDays ?? retain.days) : retain.days }],
  );
  const { rows: clocks } = await client.query<{ found: boolean }>(HAS_CLOCK);
  const clock = clocks[0]?.found === true ? 'public.database_time()' : 'clock_timestamp()';
  const { rows } = await client.query<Found>(FIND.replace('CLOCK', clock), [
    retained.map(({ table }) => table),
    retained.map(({ column }) => column),
    retained.map(({ days }) => days),
  ]);
  return retained.flatMap(({ table, column, days, where }) => {
    const found = rows.find((row) => row.table === table);
    if (found === undefined) return [];
    const before = found.type === 'timestamp' ? `timestamp '${found.utc}'` : `timestamptz '${found.zoned}'`;
    const isOld = `${quoteIdentifier(column)} < ${before}`;
    const condition = where === undefined ? isOld : `${isOld} AND (${where})`;
    return [{ table, column, days, before, condition, method: methodOf(found) }];
  });
}

function methodOf({ table, functions, chained, kind }: Found): PruneMethod {
  if (chained) return { kind: 'audit' };
  if (table === AUDIT_LOG && functions.length > 0) return { kind: 'none', why: 'a pending migration adds its anchors' };
  if (kind === 'p') return { kind: 'partitions' };
  if (functions.length === 0) return { kind: 'rows' };
  if (functions.includes('interval, integer')) return { kind: 'function', takesInterval: true };
  if (functions.includes('integer')) return { kind: 'function', takesInterval: false };
  return { kind: 'none', why: 'the relay deletes what it has relayed' };
}

/** Deleting a parent deletes its children too, so they go first, in batches of their own. */
function childrenFirst(models: readonly ModelSchema[]): readonly ModelSchema[] {
  const ordered: ModelSchema[] = [];
  const visited = new Set<string>();
  const visit = (model: ModelSchema): void => {
    if (visited.has(model.table)) return;
    visited.add(model.table);
    const children = models.filter(({ foreignKeys }) => foreignKeys.some(({ target }) => target.table === model.table));
    for (const child of children) visit(child);
    ordered.push(model);
  };
  for (const model of models) visit(model);
  return ordered;
}
