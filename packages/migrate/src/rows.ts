import { quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { CatalogObject } from './compare';

/** The columns of each table. */
export type Columns = ReadonlyMap<string, readonly string[]>;

/** What a table holds, in the columns that were asked for: how many rows, and a hash of them in no order. */
export interface TableContents {
  readonly rows: number;
  readonly hash: string;
}

export function columnsOf(objects: readonly CatalogObject[]): Columns {
  const tables = new Set(
    objects
      .filter(({ kind, definition }) => kind === 'relation' && /^[rp] /.test(definition))
      .map(({ object }) => object),
  );
  const columns = new Map<string, string[]>([...tables].map((table) => [table, []]));
  for (const { kind, object } of objects) {
    const at = object.indexOf('.');
    if (kind === 'column') columns.get(object.slice(0, at))?.push(object.slice(at + 1));
  }
  return columns;
}

/** The columns that both have, without those that a file says it loses: `table.column`, or `table` for all of them. */
export function sharedColumns(left: Columns, right: Columns, lost: ReadonlySet<string>): Columns {
  const shared = [...left].flatMap(([table, columns]): [string, readonly string[]][] => {
    const others = right.get(table);
    if (others === undefined || lost.has(table)) return [];
    return [[table, columns.filter((column) => others.includes(column) && !lost.has(`${table}.${column}`))]];
  });
  return new Map(shared);
}

/** Reads what the tables hold. */
export async function readContents(client: ClientBase, columns: Columns): Promise<ReadonlyMap<string, TableContents>> {
  const contents = new Map<string, TableContents>();
  for (const [table, names] of columns) {
    const { rows } = await client.query<TableContents>(
      `SELECT count(*)::int AS rows, coalesce(md5(string_agg(hash, '' ORDER BY hash)), '') AS hash
       FROM (SELECT md5(ROW(${names.map(quoteIdentifier).join(', ')})::text) AS hash FROM ${quoteIdentifier(table)}) AS hashes`,
    );
    if (rows[0] !== undefined) contents.set(table, rows[0]);
  }
  return contents;
}

/** The tables that do not hold the same. */
export function changedTables(
  before: ReadonlyMap<string, TableContents>,
  after: ReadonlyMap<string, TableContents>,
): readonly string[] {
  return [...before]
    .filter(([table, { hash, rows }]) => {
      const now = after.get(table);
      return now === undefined || now.hash !== hash || now.rows !== rows;
    })
    .map(([table]) => table);
}
