import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import { type Migration, migrateDown, migrateUp, readMigrations, withClient } from '@azora/db-migrate';
import { parseScript } from '../../postgres/analysis/parse';
import { readUnmanaged } from '../../postgres/analysis/unmanaged';
import { diffSchema, withoutUnmanaged } from '../../postgres/schema-engine/diff';
import {
  type Draft,
  downText,
  draftMigrations,
  migrationOf,
  restoringSql,
  upText,
} from '../../postgres/schema-engine/draft';
import { withScratchDatabase } from '../../postgres/scratch';
import { compareCatalogs, readObjects } from '../../postgres/verify/catalog';
import { draftName } from '../../system/atomic-files';
import { scratchPlace, type Target } from '../targets';

export interface NewMigrationRequest {
  /** The end of the folder's name: `add_nickname`. */
  readonly slug: string;
  /** The reason, for the header of migration.sql. */
  readonly why: string;
  readonly now: Date;
}

export interface WrittenMigration {
  readonly name: string;
  readonly directory: string;
  readonly losses: readonly string[];
  /** The differences that down.sql does not revert, and that a person must complete. */
  readonly unproven: readonly string[];
}

const SLUG = /^[a-z0-9]+(_[a-z0-9]+)*$/;

/**
 * Writes the migrations, each with its down.sql, that change the service's database to match schema.prisma. Writes nothing
 * when they match, or when a draft fails on a scratch database.
 * @throws {SuiteError} `USAGE.BAD_SLUG`, `MIGRATION.SQL_FAILED` when a draft fails
 */
export async function writeMigrations(
  target: Target,
  request: NewMigrationRequest,
): Promise<readonly WrittenMigration[]> {
  const { slug, why, now } = request;
  if (!SLUG.test(slug)) {
    throw new SuiteError('USAGE.BAD_SLUG', `${JSON.stringify(slug)} cannot be part of a folder name`, {
      kind: 'usage',
      next: 'Use lowercase letters, digits and underscores, such as add_nickname',
    });
  }
  const { migrationsPath, schemaPath } = target.service;
  const [files, schema] = await Promise.all([readMigrations(migrationsPath), readFile(schemaPath, 'utf8')]);
  return withScratchDatabase(scratchPlace(target), async (url) => {
    await migrateUp(url, files);
    const drafts = await draft(url, schema, slug, why);
    if (drafts.length === 0) return [];
    const names = namesOf(drafts, files, now);
    const texts = await Promise.all(drafts.map(upText));
    const made = drafts.map((it, at) =>
      migrationOf(migrationsPath, names[at] ?? '', texts[at] ?? '', downText(it, [], []), it.transactional),
    );
    const { restored, unproven } = await proveDown(url, files, made);
    const written = made.map(({ name, sql }, at): NewFiles => {
      const it = drafts[at] as Draft;
      // The first migration is reverted last, so its down.sql restores the objects that were lost.
      return { name, sql, down: at === 0 ? downText(it, restored, unproven) : downText(it, [], []) };
    });
    await writeFolders(migrationsPath, written);
    return written.map(({ name, sql }, at) => ({
      name,
      directory: path.join(migrationsPath, name),
      losses: [...sql.matchAll(/^-- DATA LOSS: (.*)$/gm)].map(([, loss = '']) => loss),
      unproven: at === 0 ? unproven : [],
    }));
  });
}

async function draft(url: DatabaseUrl, schema: string, slug: string, why: string): Promise<readonly Draft[]> {
  const { up, down } = await diffSchema(url, schema);
  if (up === '') return [];
  const unmanaged = await withClient(url, readUnmanaged);
  const clean = async (direction: 'up' | 'down', sql: string) =>
    withoutUnmanaged(await parseScript({ file: `the schema engine's ${direction}.sql`, sql }), unmanaged, direction);
  return draftMigrations(slug, why, await clean('up', up), await clean('down', down));
}

/** Applies and reverts the drafts on the scratch database, and finds the SQL that down.sql needs beyond the engine's. */
async function proveDown(url: DatabaseUrl, files: readonly Migration[], made: readonly Migration[]) {
  const readCatalog = () => withClient(url, (client) => readObjects(client, { grants: false }));
  const before = await readCatalog();
  await migrateUp(url, [...files, ...made]);
  await migrateDown(url, [...files, ...made], { steps: made.length });
  const restored = restoringSql(compareCatalogs(before, await readCatalog()));
  const ran: string[] = [];
  for (const sql of restored) {
    const worked = await withClient(url, (client) => client.query(sql)).then(
      () => true,
      () => false,
    );
    if (worked) ran.push(sql);
  }
  const left = compareCatalogs(before, await readCatalog());
  return { restored: ran, unproven: left.map(({ kind, object, change }) => `${kind} ${object} is ${change}`) };
}

/** Timestamps in UTC, later than every existing migration. */
function namesOf(drafts: readonly Draft[], files: readonly Migration[], now: Date): readonly string[] {
  const newest = Number(files.at(-1)?.name.slice(0, 14) ?? 0);
  const stamp = Number(now.toISOString().replaceAll(/\D/g, '').slice(0, 14));
  const first = Math.max(stamp, newest + 1);
  return drafts.map(({ slug }, at) => `${first + at}_${slug}`);
}

interface NewFiles {
  readonly name: string;
  readonly sql: string;
  readonly down: string;
}

/** Each folder appears with both files in it, or not at all. */
async function writeFolders(migrationsPath: string, folders: readonly NewFiles[]): Promise<void> {
  const draft = path.join(path.dirname(migrationsPath), await draftName('', 'new'));
  await mkdir(draft);
  try {
    for (const { name, sql, down } of folders) {
      await mkdir(path.join(draft, name));
      await writeFile(path.join(draft, name, 'migration.sql'), sql);
      await writeFile(path.join(draft, name, 'down.sql'), down);
      await rename(path.join(draft, name), path.join(migrationsPath, name));
    }
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
