import { quoteIdentifier, SuiteError } from '@azora/db-core';
import { type Migration, migrateDown, migrateUp } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { type CatalogChange, type CatalogObject, compareCatalogs, readObjects } from './catalog';

/** A problem of one migration, in words. */
export interface Problem {
  readonly migration: string;
  readonly what: string;
}

export interface RoundTrip {
  readonly problems: readonly Problem[];
  /** The catalog after each migration; the first one describes the empty database. */
  readonly catalogs: readonly (readonly CatalogObject[])[];
  /** The number of migrations that were applied, reverted and applied again without a difference. */
  readonly reverted: number;
}

const LOSES = /^-- loses: (.+)$/gm;
/** Marks a down.sql whose effect no row of the seed can show. */
const UNPROVEN = /^-- unproven: \S/m;

/**
 * Applies, reverts and applies each migration on an empty database, and compares the catalogs. Stops at the first migration
 * whose catalogs differ, because later migrations would build on the difference. One session does it all: a new one would read the
 * catalogs into its caches each time, which takes longer than what is asked.
 */
export async function tripEmpty(client: ClientBase, migrations: readonly Migration[]): Promise<RoundTrip> {
  const catalogs = [await readCatalog(client)];
  let reverted = 0;
  for (const [at, { name, down }] of migrations.entries()) {
    const before = catalogs[at] ?? [];
    const known = migrations.slice(0, at + 1);
    try {
      await migrateUp(client, known);
      const after = await readCatalog(client);
      catalogs.push(after);
      if ('irreversible' in down) continue;
      await migrateDown(client, known, { steps: 1 });
      const left = compareCatalogs(before, await readCatalog(client));
      if (left.length > 0)
        return { catalogs, reverted, problems: differencesOf(name, 'down.sql leaves a difference', left) };
      await migrateUp(client, known);
      const again = compareCatalogs(after, await readCatalog(client));
      if (again.length > 0)
        return { catalogs, reverted, problems: differencesOf(name, 'applying it again makes a difference', again) };
      reverted += 1;
    } catch (error) {
      return { catalogs, reverted, problems: [failed(name, error)] };
    }
  }
  return { catalogs, reverted, problems: [] };
}

/**
 * Goes from the newest migration to the first irreversible one, on tables with rows: reverts, applies and reverts each. The
 * columns that exist on both sides must hold the same rows, except for the losses that down.sql declares.
 */
export async function tripWithRows(
  client: ClientBase,
  migrations: readonly Migration[],
  catalogs: RoundTrip['catalogs'],
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (let at = migrations.length - 1; at >= 0; at -= 1) {
    const migration = migrations[at];
    if (migration === undefined || 'irreversible' in migration.down) break;
    const [below, above] = [catalogs[at] ?? [], catalogs[at + 1] ?? []];
    try {
      problems.push(...(await tripOne(client, migrations.slice(0, at + 1), below, above)));
    } catch (error) {
      return [...problems, failed(migration.name, error, ' on tables with rows')];
    }
  }
  return problems;
}

async function tripOne(
  client: ClientBase,
  known: readonly Migration[],
  below: readonly CatalogObject[],
  above: readonly CatalogObject[],
): Promise<readonly Problem[]> {
  const migration = known.at(-1) as Migration;
  const lost = declaredLosses(migration);
  const [under, over] = [columnsOf(below), columnsOf(above)];
  const shared = sharedColumns(over, under, lost);
  const kept = sharedColumns(under, under, lost);
  const everything = await readContents(client, over);
  const first = await readContents(client, shared);
  await migrateDown(client, known, { steps: 1 });
  const idle = below.length === above.length && compareCatalogs(below, above).length === 0;
  const { down: downFile } = migration;
  const excused = 'sql' in downFile && UNPROVEN.test(downFile.sql);
  const nothing = idle && !excused && changedTables(everything, await readContents(client, over)).length === 0;
  const second = await readContents(client, kept);
  await migrateUp(client, known);
  const up = changedTables(first, await readContents(client, shared));
  await migrateDown(client, known, { steps: 1 });
  const down = changedTables(second, await readContents(client, kept));
  const { name } = migration;
  return [
    ...(nothing
      ? [
          {
            migration: name,
            what: 'down.sql changes neither the catalog nor a row, and has no line "-- unproven: <reason>"',
          },
        ]
      : []),
    ...up.map((table) => ({
      migration: name,
      what: `reverting and applying changes rows of ${table}, and no line "-- loses:" declares it`,
    })),
    ...down.map((table) => ({
      migration: name,
      what: `applying and reverting changes rows of ${table}, and no line "-- loses:" declares it`,
    })),
  ];
}

/** The names in lines such as `-- loses: users.nickname, old_table` of down.sql. */
function declaredLosses({ down }: Migration): ReadonlySet<string> {
  if ('irreversible' in down) return new Set();
  return new Set(
    [...down.sql.matchAll(LOSES)].flatMap(([, names = '']) => names.split(',').map((name) => name.trim())),
  );
}

function readCatalog(client: ClientBase): Promise<readonly CatalogObject[]> {
  return readObjects(client, { grants: true });
}

function differencesOf(migration: string, what: string, changes: readonly CatalogChange[]): readonly Problem[] {
  return changes.map(({ kind, object, change }) => ({ migration, what: `${what}: ${kind} ${object} is ${change}` }));
}

function failed(migration: string, error: unknown, where = ''): Problem {
  if (!(error instanceof SuiteError)) throw error;
  return { migration, what: `fails${where}: ${error.message}. ${error.why ?? ''}`.trim() };
}

/** A table as SQL, and the names of its columns. */
interface TableColumns {
  readonly relation: string;
  readonly columns: readonly string[];
}

/** The columns of each table. */
export type Columns = ReadonlyMap<string, TableColumns>;

/** The rows of a table in the given columns: their number, and a hash that does not depend on their order. */
export interface TableContents {
  readonly rows: number;
  readonly hash: string;
}

/** The columns of each ordinary or partitioned table. */
export function columnsOf(objects: readonly CatalogObject[]): Columns {
  const columns = new Map<string, string[]>();
  for (const { kind, relation, name } of objects) {
    if (kind !== 'column' || relation === null || name === null) continue;
    columns.set(relation, [...(columns.get(relation) ?? []), name]);
  }
  return new Map(
    objects.flatMap(({ kind, object, definition, relation }): [string, TableColumns][] => {
      if (kind !== 'relation' || relation === null || !/^[rp]( |$)/.test(definition)) return [];
      return [[object, { relation, columns: columns.get(relation) ?? [] }]];
    }),
  );
}

/** The columns on both sides, without the declared losses: `table.column`, or `table` for all columns. */
function sharedColumns(left: Columns, right: Columns, lost: ReadonlySet<string>): Columns {
  const shared = [...left].flatMap(([table, { relation, columns }]): [string, TableColumns][] => {
    const others = right.get(table)?.columns;
    if (others === undefined || lost.has(table)) return [];
    const kept = columns.filter((column) => others.includes(column) && !lost.has(`${table}.${column}`));
    return [[table, { relation, columns: kept }]];
  });
  return new Map(shared);
}

/** Counts and hashes the rows of the tables. */
export async function readContents(client: ClientBase, columns: Columns): Promise<ReadonlyMap<string, TableContents>> {
  const contents = new Map<string, TableContents>();
  for (const [table, { relation, columns: names }] of columns) {
    const { rows } = await client.query<TableContents>(
      `SELECT count(*)::int AS rows, coalesce(md5(string_agg(hash, '' ORDER BY hash)), '') AS hash
       FROM (SELECT md5(ROW(${names.map(quoteIdentifier).join(', ')})::text) AS hash FROM ${relation}) AS hashes`,
    );
    if (rows[0] !== undefined) contents.set(table, rows[0]);
  }
  return contents;
}

/** The tables whose rows differ. */
function changedTables(
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
