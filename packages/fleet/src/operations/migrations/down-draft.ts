import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type DatabaseUrl, quoteIdentifier, SuiteError } from '@azora/db-core';
import { findMigration, type Migration, migrateUp, readMigrations, withClient } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { effectsOf } from '../../postgres/analysis/effects';
import { parseScript } from '../../postgres/analysis/parse';
import { introspectSchema } from '../../postgres/schema-engine/diff';
import { downText, restoringSql } from '../../postgres/schema-engine/draft';
import { requiredStatements } from '../../postgres/schema-engine/required';
import { withScratchDatabase } from '../../postgres/scratch';
import { type CatalogChange, type CatalogObject, compareCatalogs, readObjects } from '../../postgres/verify/catalog';
import { scratchPlace, type Target } from '../targets';

export interface WrittenDown {
  readonly file: string;
  /** What the file does not revert, and a person must complete. */
  readonly unproven: readonly string[];
}

/**
 * Writes the missing down.sql of a migration, such as one that Prisma wrote: the SQL that gives the catalog back that was there before
 * it, proven on a scratch database. Rows that the migration changed are not restored, and named in the file.
 * @throws {SuiteError} `USAGE.UNKNOWN_MIGRATION`, `USAGE.HAS_DOWN`, `MIGRATION.DRAFT_FAILED` if no SQL can be drafted; nothing is written then
 */
export async function writeDown(target: Target, name: string): Promise<WrittenDown> {
  const files = await readMigrations(target.service.migrationsPath);
  const migration = findMigration(files, name);
  const file = path.join(migration.directory, 'down.sql');
  if ('sql' in migration.down || migration.down.irreversible !== null) throw hasDown(file);
  const earlier = files.filter((other) => other.name < name);
  const statements = await parseScript(migration);
  const { ran, left } = await withScratchDatabase(scratchPlace(target), (url) => draft(url, earlier, migration));
  const different = left.map(({ kind, object, change }) => `${kind} ${object} is ${change}`);
  if (ran.length === 0) {
    const none = 'The migration changes no object, only rows or nothing.';
    throw draftFailed(left.length === 0 ? none : `No statement is known that restores this: ${different.join('; ')}.`);
  }
  const changes = statements.filter(({ node }) => ROWS.some((kind) => kind in node));
  const unproven = [
    ...different,
    ...(changes.length > 0 ? ['the rows that the migration itself inserts, updates or deletes'] : []),
  ];
  const loses = effectsOf(statements).flatMap(({ effects }) =>
    effects.flatMap(({ loss }) => (loss === undefined ? [] : [[loss.table, loss.column].filter(Boolean).join('.')])),
  );
  const text = downText({ slug: name, why: '', transactional: true, up: [], down: ran, loses }, [], unproven);
  await writeFile(file, text, { flag: 'wx' });
  return { file, unproven };
}

const ROWS = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'DoStmt'];

/** Finds the statements that lead from the catalog after the migration to the one before it, by running them. */
async function draft(url: DatabaseUrl, earlier: readonly Migration[], migration: Migration) {
  await migrateUp(url, earlier);
  const before = await readCatalog(url);
  const schema = await introspectSchema(url);
  // The engine finds differences even between a database and its own description of it.
  const noise = new Set((await requiredStatements(url, schema)).up);
  await migrateUp(url, [...earlier, migration]);
  const changes = async () => compareCatalogs(before, await readCatalog(url));
  const ran: string[] = [];
  const run = async (client: ClientBase, statements: readonly string[]) => {
    for (const sql of statements) if (await succeeds(client, sql)) ran.push(sql);
  };
  // Prisma's engine does not know these, and they stand in the way of what it drops.
  const obstacles = droppingSql(await changes(), OBSTACLES);
  await withClient(url, (client) => run(client, obstacles));
  const { up } = await requiredStatements(url, schema);
  await withClient(url, async (client) => {
    for (const sql of up.filter((text) => !noise.has(text))) {
      await client.query(sql).catch((error: unknown) => {
        throw draftFailed(`${sql.split('\n', 1)[0]} fails: ${error instanceof Error ? error.message : error}.`);
      });
      ran.push(sql);
    }
  });
  const rest = droppingSql(await changes(), REST);
  await withClient(url, (client) => run(client, rest));
  const restored = restoringSql(await changes()).map((sql) => sql.replace(/;$/, ''));
  await withClient(url, (client) => run(client, restored));
  return { ran, left: await changes() };
}

async function succeeds(client: ClientBase, sql: string): Promise<boolean> {
  return client.query(sql).then(
    () => true,
    () => false,
  );
}

function readCatalog(url: DatabaseUrl): Promise<readonly CatalogObject[]> {
  return withClient(url, (client) => readObjects(client, { grants: false }));
}

type Drop = (change: CatalogChange, definition: string) => string | undefined;

const dropOf = (kind: string, relation: string | null, name: string | null): string | undefined =>
  relation === null || name === null ? undefined : `DROP ${kind} ${quoteIdentifier(name)} ON ${relation}`;

const OBSTACLES: Readonly<Record<string, Drop>> = {
  trigger: ({ relation, name }) => dropOf('TRIGGER', relation, name),
  policy: ({ relation, name }) => dropOf('POLICY', relation, name),
  relation: ({ relation }, definition) => {
    const kind = /^v\b/.test(definition) ? 'VIEW' : /^m\b/.test(definition) ? 'MATERIALIZED VIEW' : undefined;
    return kind === undefined ? undefined : `DROP ${kind} ${relation}`;
  },
  constraint: ({ relation, name }, definition) =>
    /^(CHECK|EXCLUDE)\b/.test(definition) && relation !== null && name !== null
      ? `ALTER TABLE ${relation} DROP CONSTRAINT ${quoteIdentifier(name)}`
      : undefined,
};

const REST: Readonly<Record<string, Drop>> = {
  index: ({ name }) => (name === null ? undefined : `DROP INDEX ${quoteIdentifier(name)}`),
  function: ({ object }) => `DROP ROUTINE ${object}`,
  extension: ({ object }) => `DROP EXTENSION ${quoteIdentifier(object)}`,
};

/** The statements that drop what the migration made, without what belongs to a table that goes as a whole. */
function droppingSql(changes: readonly CatalogChange[], drops: Readonly<Record<string, Drop>>): readonly string[] {
  const made = changes.filter(({ change }) => change === 'unexpected');
  const tables = new Set(
    made.flatMap(({ kind, actual = '', relation }) =>
      kind === 'relation' && /^[rp]\b/.test(actual) ? [relation] : [],
    ),
  );
  return made.flatMap((change) => {
    if (change.relation !== null && tables.has(change.relation)) return [];
    const sql = drops[change.kind]?.(change, change.actual ?? '');
    return sql === undefined ? [] : [sql];
  });
}

function hasDown(file: string): SuiteError {
  return new SuiteError('USAGE.HAS_DOWN', `${file} already exists`, {
    kind: 'usage',
    next: 'Edit the file, or remove it to have it drafted anew',
    meta: { file },
  });
}

function draftFailed(why: string): SuiteError {
  return new SuiteError('MIGRATION.DRAFT_FAILED', 'The down.sql cannot be drafted', {
    why: `${why} Nothing was written.`,
    next: 'Write down.sql by hand, or "-- irreversible: <reason>" as its first line',
  });
}
