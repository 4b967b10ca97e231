import { findDatabaseError } from '@azora/db-core';
import type { ClientBase, QueryResult } from 'pg';

/**
 * Settings under which the text of a value is exact, names mean the objects of PostgreSQL, and row security hides no row: a policy
 * that would hide some raises an error. The savepoint ends them, so the script runs under its own settings.
 */
const SETTINGS = [
  ['search_path', 'pg_catalog, pg_temp'],
  ['row_security', 'off'],
  ['datestyle', 'ISO'],
  ['intervalstyle', 'postgres'],
  ['extra_float_digits', '1'],
  ['bytea_output', 'hex'],
]
  .map(([name, value]) => `set_config('${name}', '${value}', true)`)
  .join(', ');

const BEGIN = 'SAVEPOINT azora_measure';
const END = 'ROLLBACK TO SAVEPOINT azora_measure; RELEASE SAVEPOINT azora_measure';

/** Runs one SELECT inside the current transaction, which continues even if the SELECT fails. */
export async function query<Row>(client: ClientBase, select: string): Promise<readonly Row[]> {
  let results: QueryResult | readonly QueryResult[];
  try {
    results = await client.query(`${BEGIN}; SELECT ${SETTINGS}; ${select}; ${END}`);
  } catch (error) {
    // After a lost connection there is nothing to end.
    await client.query(END).catch(() => undefined);
    throw error;
  }
  const selected = Array.isArray(results) ? results[2] : undefined;
  return (selected?.rows ?? []) as readonly Row[];
}

/** Too little time, memory or luck: another attempt may succeed. Classes 40, 53, 55 and 57 of SQLSTATE, and a lost connection. */
const PASSING = /^(40|53|55|57)/;

/**
 * The result of a measurement, or the reason why the data cannot be measured: a foreign server that does not answer, a policy of row
 * security, an output function that fails.
 */
export async function measured<Result>(work: () => Promise<Result>): Promise<Result | { readonly unknown: string }> {
  try {
    return await work();
  } catch (error) {
    const found = findDatabaseError(error);
    if (found === undefined || PASSING.test(found.sqlState)) throw error;
    return { unknown: found.message };
  }
}
