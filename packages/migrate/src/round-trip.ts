import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import { type CatalogChange, type CatalogObject, compareCatalogs, readObjects } from './compare';
import { withClient } from './connect';
import type { Migration } from './files';
import { type Columns, changedTables, columnsOf, readContents, sharedColumns, type TableContents } from './rows';
import { migrateDown, migrateUp } from './run';

/** What is wrong with one migration, in sentences. */
export interface Problem {
  readonly migration: string;
  readonly what: string;
}

export interface RoundTrip {
  readonly problems: readonly Problem[];
  /** The catalog after each migration; the first one is the empty database's. */
  readonly catalogs: readonly (readonly CatalogObject[])[];
}

const RUN = { lockTimeoutMs: 60_000 };
const LOSES = /^-- loses: (.+)$/gm;
/** For a change of rows that no row of the seed can show. */
const UNPROVEN = /^-- unproven: \S/m;

/**
 * Takes each migration up, down and up again on an empty database, and compares the catalogs. Stops at the first that does
 * not come back, for all after it would stand on what it left.
 */
export async function tripEmpty(url: DatabaseUrl, migrations: readonly Migration[]): Promise<RoundTrip> {
  const catalogs = [await look(url)];
  for (const [at, { name, down }] of migrations.entries()) {
    const before = catalogs[at] ?? [];
    const known = migrations.slice(0, at + 1);
    try {
      await migrateUp(url, known, RUN);
      const after = await look(url);
      catalogs.push(after);
      if ('irreversible' in down) continue;
      await migrateDown(url, known, { ...RUN, steps: 1 });
      const left = compareCatalogs(before, await look(url));
      if (left.length > 0) return { catalogs, problems: told(name, 'down.sql leaves a difference', left) };
      await migrateUp(url, known, RUN);
      const again = compareCatalogs(after, await look(url));
      if (again.length > 0) return { catalogs, problems: told(name, 'a second time up makes a difference', again) };
    } catch (error) {
      return { catalogs, problems: [failed(name, error)] };
    }
  }
  return { catalogs, problems: [] };
}

/**
 * Walks from the newest migration down to the first that cannot be taken back, on tables with rows, each one down, up and
 * down: what both sides of it have must hold the same rows, but for what its down.sql says that it loses.
 */
export async function tripWithRows(
  url: DatabaseUrl,
  migrations: readonly Migration[],
  catalogs: RoundTrip['catalogs'],
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (let at = migrations.length - 1; at >= 0; at -= 1) {
    const migration = migrations[at];
    if (migration === undefined || 'irreversible' in migration.down) break;
    const [below, above] = [catalogs[at] ?? [], catalogs[at + 1] ?? []];
    try {
      problems.push(...(await tripOne(url, migrations.slice(0, at + 1), below, above)));
    } catch (error) {
      return [...problems, failed(migration.name, error, ' on tables with rows')];
    }
  }
  return problems;
}

async function tripOne(
  url: DatabaseUrl,
  known: readonly Migration[],
  below: readonly CatalogObject[],
  above: readonly CatalogObject[],
): Promise<readonly Problem[]> {
  const migration = known.at(-1) as Migration;
  const lost = declaredLosses(migration);
  const [under, over] = [columnsOf(below), columnsOf(above)];
  const shared = sharedColumns(over, under, lost);
  const kept = sharedColumns(under, under, lost);
  const everything = await contents(url, over);
  const first = await contents(url, shared);
  await migrateDown(url, known, { ...RUN, steps: 1 });
  const idle = below.length === above.length && compareCatalogs(below, above).length === 0;
  const { down: back } = migration;
  const excused = 'sql' in back && UNPROVEN.test(back.sql);
  const nothing = idle && !excused && changedTables(everything, await contents(url, over)).length === 0;
  const second = await contents(url, kept);
  await migrateUp(url, known, RUN);
  const up = changedTables(first, await contents(url, shared));
  await migrateDown(url, known, { ...RUN, steps: 1 });
  const down = changedTables(second, await contents(url, kept));
  const { name } = migration;
  return [
    ...(nothing
      ? [
          {
            migration: name,
            what: 'down.sql does nothing that catalog or rows show, and no "-- unproven: <reason>" says why',
          },
        ]
      : []),
    ...up.map((table) => ({
      migration: name,
      what: `down and up change rows of ${table}, and no "-- loses:" says so`,
    })),
    ...down.map((table) => ({
      migration: name,
      what: `up and down change rows of ${table}, and no "-- loses:" says so`,
    })),
  ];
}

/** Of lines such as `-- loses: users.nickname, old_table` in down.sql. */
function declaredLosses({ down }: Migration): ReadonlySet<string> {
  if ('irreversible' in down) return new Set();
  return new Set(
    [...down.sql.matchAll(LOSES)].flatMap(([, names = '']) => names.split(',').map((name) => name.trim())),
  );
}

function look(url: DatabaseUrl): Promise<readonly CatalogObject[]> {
  return withClient(url, (client) => readObjects(client, { grants: true }));
}

function contents(url: DatabaseUrl, columns: Columns): Promise<ReadonlyMap<string, TableContents>> {
  return withClient(url, (client) => readContents(client, columns));
}

function told(migration: string, what: string, changes: readonly CatalogChange[]): readonly Problem[] {
  return changes.map(({ kind, object, change }) => ({ migration, what: `${what}: ${kind} ${object} is ${change}` }));
}

function failed(migration: string, error: unknown, where = ''): Problem {
  if (!(error instanceof SuiteError)) throw error;
  return { migration, what: `fails${where}: ${error.message}. ${error.why ?? ''}`.trim() };
}
