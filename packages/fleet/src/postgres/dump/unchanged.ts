import type { ClientBase } from 'pg';
import { qualified, type SnapshotTable } from './snapshot';

/** What a later backup compares with its own state, to prove that rows are the same without reading them. */
export interface Baseline {
  /**
   * Identifies the database in one run of its server. Within a run, transaction ids only grow. After a crash or a restore from
   * files, the server may give an id to a second transaction. Null when the session may not see when the run began.
   */
  readonly server: string | null;
  /**
   * A hash of everything that decides how a stored row is printed: columns, types, labels of enums, versions of extensions. Null
   * when a column prints what other catalogs say.
   */
  readonly catalog: string | null;
  /** All transactions with smaller ids had ended when the snapshot was taken. */
  readonly horizon: string;
}

/** How many rows a table has, and whether each of them can be proven to be in an earlier snapshot. */
export interface CountedRows {
  readonly rows: number;
  readonly allEarlier: boolean;
}

/** Ids of transactions are compared as the server does it, modulo 2^32, which is unambiguous for half of the range. */
const MOST_TRANSACTIONS = 2n ** 30n;

/**
 * The checkpointer is started anew after each crash, even when the postmaster survives it. A companion is one process, which
 * does not survive a crash.
 */
const CHECKPOINTER = `(SELECT backend_start FROM pg_stat_activity WHERE backend_type = 'checkpointer')`;

const COMMON_TABLES = `
  own AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
  relation AS (SELECT oid, relname, relnamespace, relkind, relam FROM pg_class
               WHERE relkind IN ('r', 'p', 'c') AND relnamespace IN (SELECT oid FROM own))`;

/** Columns whose text other catalogs or settings decide, and tables of other storage engines, whose rows have no usable xmin. */
const UNPROVABLE = `
  EXISTS (SELECT FROM pg_attribute JOIN relation ON relation.oid = attrelid JOIN pg_type ON pg_type.oid = atttypid
          WHERE attnum > 0 AND typname ~ '^_?(reg|money)')
  OR EXISTS (SELECT FROM pg_type AS domain JOIN pg_type AS base ON base.oid = domain.typbasetype WHERE base.typname ~ '^_?(reg|money)')
  OR EXISTS (SELECT FROM relation JOIN pg_am ON pg_am.oid = relam WHERE relkind = 'r' AND amname <> 'heap')`;

const CATALOG = `concat_ws(E'\\n',
  (SELECT string_agg(concat_ws(' ', oid, relnamespace, relkind, quote_ident(relname)), ',' ORDER BY oid) FROM relation),
  (SELECT string_agg(concat_ws(' ', attrelid, attnum, atttypid, atttypmod, attisdropped, attgenerated, quote_ident(attname),
                               quote_nullable(attmissingval::text)), ',' ORDER BY attrelid, attnum)
   FROM pg_attribute JOIN relation ON relation.oid = attrelid WHERE attnum > 0),
  (SELECT string_agg(concat_ws(' ', oid, typnamespace, typoutput, typbasetype, quote_ident(typname)), ',' ORDER BY oid)
   FROM pg_type WHERE typnamespace IN (SELECT oid FROM own) AND typrelid = 0),
  (SELECT string_agg(concat_ws(' ', enumtypid, oid, quote_literal(enumlabel)), ',' ORDER BY oid) FROM pg_enum),
  (SELECT string_agg(concat_ws(' ', quote_ident(extname), quote_literal(extversion)), ',' ORDER BY oid) FROM pg_extension))`;

/**
 * Reads the baseline of the state that the transaction sees.
 * @param oneProcess whether the server is a companion
 */
export async function readBaseline(client: ClientBase, oneProcess: boolean): Promise<Baseline> {
  const run = oneProcess ? "''" : `extract(epoch FROM ${CHECKPOINTER})::text`;
  const { rows } = await client.query<Baseline>(`
    WITH ${COMMON_TABLES}
    SELECT encode(sha256(convert_to(
             (SELECT system_identifier FROM pg_control_system())::text
             || ' ' || (SELECT oid FROM pg_database WHERE datname = current_database())
             || ' ' || extract(epoch FROM pg_postmaster_start_time()) || ' ' || ${run}, 'UTF8')), 'hex') AS server,
           CASE WHEN ${UNPROVABLE} THEN NULL ELSE encode(sha256(convert_to(${CATALOG}, 'UTF8')), 'hex') END AS catalog,
           pg_snapshot_xmin(pg_current_snapshot())::text AS horizon`);
  const [row] = rows;
  if (row === undefined) throw new Error('a SELECT without FROM gives one row');
  return row;
}

/** Whether rows of the earlier state are printed as they were then, and can be recognized by their transaction. */
export function isComparable(now: Baseline, earlier: Baseline): boolean {
  return (
    now.server !== null &&
    now.server === earlier.server &&
    now.catalog !== null &&
    now.catalog === earlier.catalog &&
    BigInt(now.horizon) - BigInt(earlier.horizon) < MOST_TRANSACTIONS
  );
}

/**
 * Counts the rows of a table, and finds whether a transaction from the horizon on wrote one of them. A row that is visible now
 * and was written before the horizon was visible at the earlier snapshot too. So when none is newer, the rows are a subset of the
 * earlier ones, and with the same number they are the same.
 */
export async function countRows(client: ClientBase, table: SnapshotTable, horizon: string): Promise<CountedRows> {
  const { rows } = await client.query<CountedRows>(
    `SELECT count(*)::float8 AS rows, count(*) FILTER (WHERE age(xmin) <= age($1::xid)) = 0 AS "allEarlier"
     FROM ONLY ${qualified(table.schema, table.name)}`,
    [String(BigInt(horizon) % 2n ** 32n)],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('a count gives one row');
  return row;
}
