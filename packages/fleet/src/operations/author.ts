import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import {
  compareCatalogs,
  type Migration,
  migrateDown,
  migrateUp,
  readMigrations,
  readObjects,
  withClient,
} from '@azora/db-migrate';
import { parseScript } from '../postgres/analysis/parse';
import { diffSchema } from '../postgres/schema-engine/diff';
import { type Draft, downText, draftMigrations, migrationOf, upText } from '../postgres/schema-engine/draft';
import { restoringSql } from '../postgres/schema-engine/restore';
import { readUnmanaged, withoutUnmanaged } from '../postgres/schema-engine/unmanaged';
import { withScratchDatabase } from '../postgres/scratch';
import { scratchPlace, type Target } from './targets';

export interface AuthorRequest {
  /** Words for the folder's name: `add_nickname`. */
  readonly slug: string;
  /** A sentence for the header. */
  readonly why: string;
  readonly now: Date;
}

export interface WrittenMigration {
  readonly name: string;
  readonly directory: string;
  readonly losses: readonly string[];
  /** What its down.sql does not bring back and a person must. */
  readonly unproven: readonly string[];
}

const SLUG = /^[a-z0-9]+(_[a-z0-9]+)*$/;
const RUN = { lockTimeoutMs: 60_000 };

/**
 * Writes the migrations that lead from the history to the service's schema.prisma, with their way back, which was run on a
 * scratch database; none when nothing is to be done. Nothing is written unless both ran.
 * @throws {SuiteError} `USAGE.BAD_SLUG`, `MIGRATION.SQL_FAILED` when what was drafted does not run
 */
export async function writeMigrations(target: Target, request: AuthorRequest): Promise<readonly WrittenMigration[]> {
  const { slug, why, now } = request;
  if (!SLUG.test(slug)) {
    throw new SuiteError('USAGE.BAD_SLUG', `${JSON.stringify(slug)} cannot be part of a folder's name`, {
      kind: 'usage',
      next: 'Use small letters, digits and underscores: add_nickname',
    });
  }
  const { migrationsPath, schemaPath } = target.service;
  const [files, schema] = await Promise.all([readMigrations(migrationsPath), readFile(schemaPath, 'utf8')]);
  return withScratchDatabase(scratchPlace(target), async (url) => {
    await migrateUp(url, files, RUN);
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
      // What was lost is restored by the first migration, which is the last to be undone.
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
  const clean = async (way: 'up' | 'down', sql: string) =>
    withoutUnmanaged(await parseScript({ file: `the engine's ${way}`, sql }), unmanaged, way);
  return draftMigrations(slug, why, await clean('up', up), await clean('down', down));
}

/** Runs the drafts up and down on the scratch database, and finds what the way back must restore beyond the engine's. */
async function proveDown(url: DatabaseUrl, files: readonly Migration[], made: readonly Migration[]) {
  const look = () => withClient(url, (client) => readObjects(client, { grants: false }));
  const before = await look();
  await migrateUp(url, [...files, ...made], RUN);
  await migrateDown(url, [...files, ...made], { ...RUN, steps: made.length });
  const restored = restoringSql(compareCatalogs(before, await look()));
  const ran: string[] = [];
  for (const sql of restored) {
    const worked = await withClient(url, (client) => client.query(sql)).then(
      () => true,
      () => false,
    );
    if (worked) ran.push(sql);
  }
  const left = compareCatalogs(before, await look());
  return { restored: ran, unproven: left.map(({ kind, object, change }) => `${kind} ${object} is ${change}`) };
}

/** Timestamps in UTC, later than every migration that is there. */
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

/** A folder appears with both files in it or not at all. */
async function writeFolders(migrationsPath: string, folders: readonly NewFiles[]): Promise<void> {
  const draft = await mkdtemp(path.join(path.dirname(migrationsPath), '.new-'));
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
