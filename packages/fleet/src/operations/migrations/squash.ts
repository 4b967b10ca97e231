import { rm } from 'node:fs/promises';
import { type DatabaseUrl, quoteIdentifier, quoteLiteral, SuiteError } from '@azora/db-core';
import { findMigration, HISTORY, type Migration, migrateUp, readMigrations, withClient } from '@azora/db-migrate';
import type { Client, ClientBase } from 'pg';
import { dumpSchema } from '../../postgres/dump/schema';
import { migrationOf } from '../../postgres/schema-engine/draft';
import { withScratchDatabase } from '../../postgres/scratch';
import { type CatalogObject, compareCatalogs, readObjects } from '../../postgres/verify/catalog';
import { columnsOf, readContents } from '../../postgres/verify/round-trip';
import { countOf } from '../fleet';
import { scratchPlace, type Target } from '../targets';
import { writeFolders } from './new-migration';

export interface SquashedMigration {
  readonly name: string;
  readonly squashes: readonly string[];
}

/**
 * Replaces the folders of all migrations, or of those up to `to`, by one that makes the same objects and the same rows. A database
 * that has applied all of them counts the new one as applied; an empty database applies it instead. No database changes. Undefined
 * if there are fewer than two migrations to replace.
 * @throws {SuiteError} `USAGE.UNKNOWN_MIGRATION`, `MIGRATION.DRAFT_FAILED` if the new migration has another result; nothing is written then
 */
export async function squashMigrations(target: Target, to: string | undefined): Promise<SquashedMigration | undefined> {
  const { migrationsPath } = target.service;
  const files = await readMigrations(migrationsPath);
  if (to !== undefined) findMigration(files, to);
  const replaced = to === undefined ? files : files.filter(({ name }) => name <= to);
  if (replaced.length < 2) return undefined;
  const name = nameOf(replaced, files[replaced.length]);
  const place = scratchPlace(target);
  const { sql, result } = await withScratchDatabase(place, async (url) => {
    await migrateUp(url, replaced);
    return withClient(url, async (client) => {
      const state = await readResult(client);
      // No migration makes the history.
      await client.query(`DROP TABLE ${HISTORY}`);
      return { sql: await squashedSql(client, replaced, state.objects), result: state };
    });
  });
  const down = `-- irreversible: it replaces ${countOf(replaced.length, 'migration')}, which version control keeps\n`;
  await withScratchDatabase(place, (url) => prove(url, migrationOf(migrationsPath, name, sql, down, true), result));
  await writeFolders(migrationsPath, [{ name, sql, down }]);
  // readMigrations leaves out what the new folder replaces, so an interruption here changes nothing.
  for (const { directory } of replaced) await rm(directory, { recursive: true });
  return { name, squashes: replaced.map((migration) => migration.name) };
}

/** Sorts after the newest replaced migration, and before the next one. */
function nameOf(replaced: readonly Migration[], next: Migration | undefined): string {
  const newest = replaced.at(-1)?.name ?? '';
  const stamp = /^\d{14}(?=_)/.exec(newest)?.[0];
  const later = stamp === undefined ? '' : `${Number(stamp) + 1}_squashed`;
  return later > newest && (next === undefined || later < next.name) ? later : `${newest}_squashed`;
}

async function squashedSql(
  client: Client,
  replaced: readonly Migration[],
  objects: readonly CatalogObject[],
): Promise<string> {
  const rows = await rowStatements(client, objects);
  const sequences = await sequenceStatements(client);
  // Last, because pg_dump takes over the connection.
  const { preData, postData } = await dumpSchema(client);
  return [
    `-- Why: one migration in the place of ${replaced.length}, which make the same objects and rows`,
    ...replaced.map(({ name }) => `-- squashes: ${name}`),
    '',
    '-- A function may name a table that is made after it.',
    'SET LOCAL check_function_bodies = off;',
    '',
    preData,
    ...rows,
    ...sequences,
    postData,
  ].join('\n');
}

/** The rows that the migrations themselves insert. */
async function rowStatements(client: ClientBase, objects: readonly CatalogObject[]): Promise<readonly string[]> {
  const statements: string[] = [];
  for (const { relation } of columnsOf(objects).values()) {
    const { rows: columns } = await client.query<{ name: string }>(
      `SELECT attname::text AS name FROM pg_attribute
       WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
      [relation],
    );
    const names = columns.map(({ name }) => quoteIdentifier(name));
    if (names.length === 0) continue;
    const values = names.map((name) => `quote_nullable(${name}::text)`).join(', ');
    const { rows } = await client.query<{ text: string }>(
      `SELECT concat_ws(', ', ${values}) AS text FROM ONLY ${relation} ORDER BY ctid`,
    );
    const head = `INSERT INTO ${relation} (${names.join(', ')}) OVERRIDING SYSTEM VALUE VALUES`;
    for (const { text } of rows) statements.push(`${head} (${text});`);
  }
  return statements;
}

/** The positions of the sequences that the migrations have used. */
async function sequenceStatements(client: ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string; last: string }>(`
    SELECT format('%I.%I', schemaname, sequencename) AS name, last_value::text AS last
    FROM pg_sequences WHERE last_value IS NOT NULL ORDER BY 1`);
  return rows.map(({ name, last }) => `SELECT pg_catalog.setval(${quoteLiteral(name)}, ${last});`);
}

interface Result {
  readonly objects: readonly CatalogObject[];
  readonly contents: Awaited<ReturnType<typeof readContents>>;
  readonly sequences: readonly string[];
  readonly largeObjects: number;
}

async function readResult(client: ClientBase): Promise<Result> {
  const objects = await readObjects(client, { grants: true });
  const contents = await readContents(client, columnsOf(objects));
  const { rows } = await client.query<{ count: number }>('SELECT count(*)::int FROM pg_largeobject_metadata');
  return { objects, contents, sequences: await sequenceStatements(client), largeObjects: rows[0]?.count ?? 0 };
}

async function prove(url: DatabaseUrl, migration: Migration, expected: Result): Promise<void> {
  await migrateUp(url, [migration]).catch((error: unknown) => {
    throw differs(error instanceof SuiteError ? `${error.message}. ${error.why ?? ''}` : String(error), error);
  });
  const actual = await withClient(url, readResult);
  const objects = compareCatalogs(expected.objects, actual.objects).map(
    ({ kind, object, change }) => `${kind} ${object} is ${change}`,
  );
  const tables = [...expected.contents]
    .filter(([table, { hash }]) => actual.contents.get(table)?.hash !== hash)
    .map(([table]) => `the rows of ${table} differ`);
  const used = expected.sequences.filter((text) => !actual.sequences.includes(text)).map((text) => `not done: ${text}`);
  const large = expected.largeObjects > 0 ? [`it lacks ${countOf(expected.largeObjects, 'large object')}`] : [];
  const differences = [...objects, ...tables, ...used, ...large];
  if (differences.length > 0) throw differs(differences.slice(0, SHOWN).join('; '));
}

/** The number of differences that an error names. */
const SHOWN = 20;

function differs(why: string, cause?: unknown): SuiteError {
  return new SuiteError('MIGRATION.DRAFT_FAILED', 'One migration cannot replace these migrations', {
    why: `On an empty database it has another result, and nothing was written: ${why}`,
    next: 'Name an earlier migration with --to, which leaves out the migration that makes the difference',
    cause,
  });
}
