import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { type LargeObjects, readLargeObjects, readSequences, type Sequence } from './positions';
import { measured, query } from './query';
import { type Cell, type Column, type Content, measure, readTables, type Table } from './tables';

/** A table before a script: its columns with data of their own, and the content of its rows under them. */
export interface MeasuredTable {
  readonly table: Table;
  /** Without generated columns. */
  readonly columns: readonly Column[];
  readonly content: Content | { readonly unknown: string };
}

/** All data of a database before a script. */
export interface Snapshot {
  readonly tables: readonly MeasuredTable[];
  readonly sequences: readonly Sequence[];
  readonly largeObjects: LargeObjects | { readonly unknown: string };
  /** Conditions on the xmin of a row: written after the snapshot, or not. */
  readonly written: string;
  readonly kept: string;
}

/**
 * Measures every table with rows of its own, every sequence, and the large objects, and opens a savepoint for the script. The caller
 * holds the locks.
 */
export async function takeSnapshot(client: ClientBase): Promise<Snapshot> {
  const all = await readTables(client);
  const tables: MeasuredTable[] = [];
  for (const table of all.filter(({ kind }) => kind !== 'p')) {
    const columns = table.columns.filter(({ generated }) => !generated);
    const cells = columns.map((column) => plainCell(column));
    tables.push({ table, columns, content: await measured(() => measure(client, table, cells, '')) });
  }
  const sequences = await readSequences(client);
  const largeObjects = await measured(() => readLargeObjects(client, 'true'));
  // age() counts backwards, and across the wrap of the numbers.
  const boundary = `age(${quoteLiteral(await beginWriting(client))}::xid)`;
  return {
    tables,
    sequences,
    largeObjects,
    written: `age(xmin) <= ${boundary}`,
    kept: `age(xmin) > ${boundary}`,
  };
}

/**
 * Opens a savepoint, and returns its number: rows that are written from here on have this number or a later one. Only a write gives a
 * savepoint its number.
 */
async function beginWriting(client: ClientBase): Promise<string> {
  await client.query('SAVEPOINT azora_step; CREATE TEMPORARY TABLE azora_mark ()');
  const mark = "SELECT xmin::text AS number FROM pg_class WHERE oid = 'pg_temp.azora_mark'::regclass";
  const [row] = await query<{ number: string }>(client, mark);
  await client.query('DROP TABLE pg_temp.azora_mark');
  return row?.number ?? '';
}

/** The column as it is now, under its own name. */
export function plainCell({ name }: Column): Cell {
  return { name, value: quoteIdentifier(name) };
}

/**
 * A column under the name that it had before. Labels of an enum that were renamed get their old names, so that the values compare as
 * equal; a label that is new gets a name that no old label has.
 */
export function successorCell(before: Column, now: Column): Cell {
  const value = quoteIdentifier(now.name);
  if (before.labels === null || now.labels === null || before.type !== now.type) return { name: before.name, value };
  const { labels } = before;
  const renamed = Object.entries(now.labels).filter(([oid, label]) => labels[oid] !== label);
  if (renamed.length === 0) return { name: before.name, value };
  const cases = renamed.map(
    ([oid, label]) => `WHEN ${quoteLiteral(label)} THEN ${quoteLiteral(labels[oid] ?? `new ${oid} ${label}`)}`,
  );
  return { name: before.name, value: `CASE concat(${value}) ${cases.join(' ')} ELSE concat(${value}) END` };
}
