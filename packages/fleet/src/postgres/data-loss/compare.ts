import { quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { lostPositions, readLargeObjects, readSequences } from './positions';
import { measured, query } from './query';
import { type MeasuredTable, plainCell, type Snapshot, successorCell } from './snapshot';
import { type Cell, type Column, type Content, measure, readTables, shortName, type Table } from './tables';

/** Data that a script removed or changed. */
export type MeasuredLoss =
  | { readonly what: 'rows'; readonly table: string; readonly before: number; readonly after: number }
  /** At most this number of the rows that were there have other values. */
  | { readonly what: 'changed rows'; readonly table: string; readonly before: number; readonly changed: number }
  | {
      readonly what: 'values';
      readonly table: string;
      readonly column: string;
      readonly before: number;
      readonly after: number;
    }
  | {
      readonly what: 'changed values';
      readonly table: string;
      readonly column: string;
      readonly before: number;
      readonly changed: number;
    }
  | { readonly what: 'sequence'; readonly sequence: string; readonly last: string }
  | { readonly what: 'large objects'; readonly before: number; readonly after: number }
  /** Migrations whose rows in the history are not as they were; the one that is reverted does not count. */
  | { readonly what: 'history'; readonly migrations: readonly string[] }
  /** The data could not be measured, so it counts as lost. */
  | { readonly what: 'unknown'; readonly table: string; readonly reason: string };

/** A table whose rows are not all there any more. */
interface Damage {
  readonly table: Table;
  readonly losses: readonly MeasuredLoss[];
  /** The rows that are no longer there as they were: their number and hash, under the columns that had values. */
  readonly moved: { readonly rows: number; readonly hash: bigint };
  readonly columns: readonly string[];
}

/**
 * Compares all data with the snapshot. Tables and columns are the same by number, whatever their names are now. Rows that the script
 * copied to another table, and values that it copied to a new column of the same name, are not lost.
 */
export async function findMeasuredLosses(client: ClientBase, before: Snapshot): Promise<readonly MeasuredLoss[]> {
  const now = await readTables(client);
  const byOid = new Map(now.map((table) => [table.oid, table]));
  const damages: Damage[] = [];
  const losses: MeasuredLoss[] = [];
  for (const old of before.tables) {
    const { table, content } = old;
    if ('unknown' in content) {
      losses.push({ what: 'unknown', table: shortName(table), reason: content.unknown });
      continue;
    }
    // The rows of a foreign table stay on their server when it is dropped.
    if (content.rows === 0 || (table.kind === 'f' && !byOid.has(table.oid))) continue;
    const found = await measured(() => findDamage(client, { ...old, content }, byOid.get(table.oid), before));
    if (found === undefined) continue;
    if ('unknown' in found) losses.push({ what: 'unknown', table: shortName(table), reason: found.unknown });
    else damages.push(found);
  }
  losses.push(...(await withoutMoved(client, damages, now, before)));
  for (const lost of lostPositions(before.sequences, await readSequences(client))) {
    losses.push({ what: 'sequence', ...lost });
  }
  return [...losses, ...(await lostLargeObjects(client, before))];
}

type KnownTable = MeasuredTable & { readonly content: Content };

async function findDamage(
  client: ClientBase,
  { table, columns, content }: KnownTable,
  now: Table | undefined,
  { kept }: Snapshot,
): Promise<Damage | undefined> {
  const filled = columns.filter((_, at) => content.values[at] !== 0);
  const names = filled.map(({ name }) => name);
  if (now === undefined || now.kind === 'p') {
    const losses = [{ what: 'rows', table: shortName(table), before: content.rows, after: 0 }] as const;
    return { table, losses, moved: content, columns: names };
  }
  const pairs = filled.flatMap((column) => {
    const successor = successorOf(column, now);
    return successor === undefined ? [] : [{ column, successor, at: columns.indexOf(column) }];
  });
  const plain = pairs.map(({ column, successor }) => successorCell(column, successor));
  const first = await measure(client, now, plain, '');
  const differs = (at: number, found: Content) => content.hashes[pairs[at]?.at ?? -1] !== found.hashes[at];
  // A value that the old type can hold again is not lost, though its text differs: 5.00 and 5.
  const back = await castsBack(
    client,
    pairs.filter(
      ({ column, successor }, at) =>
        differs(at, first) && (column.type !== successor.type || column.modifier !== successor.modifier),
    ),
  );
  const cells = plain.map((cell) => back.get(cell.name) ?? cell);
  const second = back.size === 0 ? first : await measured(() => measure(client, now, cells, ''));
  const found = 'unknown' in second ? first : second;
  const usable = 'unknown' in second ? plain : cells;
  const isWhole = (part: Content) =>
    pairs.length === filled.length && part.rows === content.rows && part.hash === content.hash;
  if (isWhole(found)) return undefined;
  const untouched = await measure(client, now, usable, kept);
  if (isWhole(untouched)) return undefined;
  const losses = describe(table, { content, found, untouched, filled, columns, pairs, differs });
  const moved = { rows: content.rows - untouched.rows, hash: content.hash - untouched.hash };
  return { table, losses, moved, columns: names };
}

/** The same column, whatever its name is now; when it is gone, the new column with its name. */
function successorOf(column: Column, now: Table): Column | undefined {
  return (
    now.columns.find(({ number }) => number === column.number) ?? now.columns.find(({ name }) => name === column.name)
  );
}

/** Cells that show the values of retyped columns in their old types, by the old names. An old type may be gone. */
async function castsBack(
  client: ClientBase,
  retyped: readonly { readonly column: Column; readonly successor: Column }[],
): Promise<ReadonlyMap<string, Cell>> {
  const found = new Map<string, Cell>();
  for (const { column, successor } of retyped) {
    const [row] = await query<{ type: string }>(
      client,
      `SELECT format_type(oid, ${column.modifier}) AS type FROM pg_type WHERE oid = ${column.type}`,
    );
    if (row === undefined) continue;
    found.set(column.name, { name: column.name, value: `(${quoteIdentifier(successor.name)}::${row.type})` });
  }
  return found;
}

interface Comparison {
  readonly content: Content;
  readonly found: Content;
  readonly untouched: Content;
  readonly filled: readonly Column[];
  readonly columns: readonly Column[];
  readonly pairs: readonly { readonly column: Column; readonly at: number }[];
  readonly differs: (at: number, found: Content) => boolean;
}

function describe(table: Table, it: Comparison): readonly MeasuredLoss[] {
  const { content, found, untouched, filled, columns, pairs } = it;
  const name = shortName(table);
  const gone = filled
    .filter((column) => pairs.every((pair) => pair.column !== column))
    .map((column): MeasuredLoss => {
      const values = content.values[columns.indexOf(column)] ?? 0;
      return { what: 'values', table: name, column: column.name, before: values, after: 0 };
    });
  if (found.rows < content.rows) {
    return [{ what: 'rows', table: name, before: content.rows, after: found.rows }, ...gone];
  }
  const changed = content.rows - untouched.rows;
  // With new rows in between, each column has other values; which of them are new is not known.
  const columnLosses =
    found.rows > content.rows
      ? []
      : pairs.flatMap(({ column, at }, index): readonly MeasuredLoss[] => {
          if (!it.differs(index, found)) return [];
          const [old, values] = [content.values[at] ?? 0, found.values[index] ?? 0];
          return values < old
            ? [{ what: 'values', table: name, column: column.name, before: old, after: values }]
            : [{ what: 'changed values', table: name, column: column.name, before: old, changed: changed || old }];
        });
  const all = [...gone, ...columnLosses];
  return all.length > 0
    ? all
    : [{ what: 'changed rows', table: name, before: content.rows, changed: changed || content.rows }];
}

/**
 * The losses of the tables whose rows were not moved. The rows of a partitioned table count together, so that they may move between
 * partitions. A copy that was there before does not count: it was not made to keep these rows.
 */
async function withoutMoved(
  client: ClientBase,
  damages: readonly Damage[],
  now: readonly Table[],
  { written }: Snapshot,
): Promise<readonly MeasuredLoss[]> {
  const losses: MeasuredLoss[] = [];
  const free = new Set(now.filter(({ oid, root, kind }) => oid === root && kind !== 'f'));
  for (const root of new Set(damages.map(({ table }) => table.root))) {
    const group = damages.filter(({ table }) => table.root === root);
    const copy = await findCopy(client, group, free, written);
    if (copy === undefined) losses.push(...group.flatMap((damage) => damage.losses));
    else free.delete(copy);
  }
  return losses;
}

/** The table into which the script has written exactly the rows that are missing. */
async function findCopy(
  client: ClientBase,
  group: readonly Damage[],
  tables: ReadonlySet<Table>,
  written: string,
): Promise<Table | undefined> {
  const rows = group.reduce((sum, { moved }) => sum + moved.rows, 0);
  const hash = group.reduce((sum, { moved }) => sum + moved.hash, 0n);
  const names = new Set(group.flatMap(({ columns }) => columns));
  if (rows === 0) return undefined;
  for (const table of tables) {
    const columns = table.columns.filter(({ name }) => names.has(name));
    if (columns.length < names.size) continue;
    const copy = await measured(() => measure(client, table, columns.map(plainCell), written));
    if (!('unknown' in copy) && copy.rows === rows && copy.hash === hash) return table;
  }
  return undefined;
}

async function lostLargeObjects(client: ClientBase, before: Snapshot): Promise<readonly MeasuredLoss[]> {
  const old = before.largeObjects;
  if ('unknown' in old) return [{ what: 'unknown', table: 'pg_largeobject', reason: old.unknown }];
  if (old.count === 0) return [];
  const now = await measured(() => readLargeObjects(client, before.kept));
  if ('unknown' in now) return [{ what: 'unknown', table: 'pg_largeobject', reason: now.unknown }];
  return now.hash === old.hash ? [] : [{ what: 'large objects', before: old.count, after: now.count }];
}
