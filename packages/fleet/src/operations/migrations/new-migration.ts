import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import { type Migration, migrateDown, migrateUp, readMigrations, withClient } from '@azora/db-migrate';
import { withDependants } from '../../postgres/schema-engine/dependants';
import {
  type Draft,
  downText,
  irreversibleText,
  migrationOf,
  restoringSql,
  upText,
} from '../../postgres/schema-engine/draft';
import { requiredStatements } from '../../postgres/schema-engine/required';
import { draftMigrations } from '../../postgres/schema-engine/split';
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
 * @throws {SuiteError} `USAGE.BAD_SLUG`, `MIGRATION.DRAFT_FAILED`
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
    const drafts = await draftMigrations(slug, why, await requiredStatements(url, schema));
    if (drafts.length === 0) return [];
    const names = namesOf(drafts, files, now);
    const texts = await Promise.all(drafts.map(upText));
    const madeWith = (written: readonly Draft[]) =>
      written.map((it, at) =>
        migrationOf(migrationsPath, names[at] ?? '', texts[at] ?? '', downText(it, [], []), it.transactional),
      );
    const { complete, restored, unproven, refused } = await prove(url, files, drafts, madeWith);
    const written = complete.map((it, at): NewFiles => {
      const [name = '', sql = ''] = [names[at], texts[at]];
      if (at === refused?.at) return { name, sql, down: irreversibleText(it, refused.reason) };
      // The first migration is reverted last, so its down.sql restores the objects that were lost.
      return { name, sql, down: at === 0 ? downText(it, restored, unproven) : downText(it, [], []) };
    });
    await writeFolders(migrationsPath, written);
    return written.map(({ name, sql }, at) => ({
      name,
      directory: path.join(migrationsPath, name),
      losses: [...sql.matchAll(/^-- DATA LOSS: (.*)$/gm)].map(([, loss = '']) => loss),
      unproven: at === refused?.at ? [`it is irreversible: ${refused.reason}`] : at === 0 ? unproven : [],
    }));
  });
}

interface Proven {
  readonly complete: readonly Draft[];
  readonly restored: readonly string[];
  readonly unproven: readonly string[];
  /** The draft that PostgreSQL refuses to revert. */
  readonly refused?: { readonly at: number; readonly reason: string };
}

/** Applies and reverts the drafts on the scratch database, and finds the SQL that down.sql needs beyond the engine's. */
async function prove(
  url: DatabaseUrl,
  files: readonly Migration[],
  drafts: readonly Draft[],
  madeWith: (drafts: readonly Draft[]) => readonly Migration[],
): Promise<Proven> {
  const readCatalog = () => withClient(url, (client) => readObjects(client, { grants: false }));
  const before = await readCatalog();
  await migrateUp(url, [...files, ...madeWith(drafts)]).catch(throwDraftFailed);
  const complete = await withClient(url, async (client) => {
    const downs: Draft[] = [];
    for (const draft of drafts) downs.push({ ...draft, down: await withDependants(client, draft.down) });
    return downs;
  });
  const made = [...files, ...madeWith(complete)];
  for (let at = complete.length - 1; at >= 0; at -= 1) {
    const reason = await migrateDown(url, made, { steps: 1 }).then(() => undefined, reasonOf);
    if (reason !== undefined) return { complete, restored: [], unproven: [], refused: { at, reason } };
  }
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
  const unproven = left.map(({ kind, object, change }) => `${kind} ${object} is ${change}`);
  return { complete, restored: ran, unproven };
}

/** PostgreSQL's message about a statement of a draft. */
function reasonOf(error: unknown): string {
  if (!(error instanceof SuiteError) || error.code !== 'MIGRATION.SQL_FAILED') throw error;
  return (/ failed: (.*)$/s.exec(error.message)?.[1] ?? error.message).replace(/\s+/g, ' ');
}

/** The file that the runner's error names was never written. */
function throwDraftFailed(error: unknown): never {
  const reason = reasonOf(error);
  const [, ...excerpt] = (error instanceof SuiteError ? (error.why ?? '') : '').split('\n');
  throw new SuiteError(
    'MIGRATION.DRAFT_FAILED',
    `The migration that schema.prisma needs cannot be drafted: ${reason}`,
    {
      why: `The draft fails on an empty database, and nothing was written.\n${excerpt.join('\n')}\n`,
      next: 'Write the migration by hand: migration.sql and down.sql in a folder of their own',
      cause: error,
    },
  );
}

/** Timestamps in UTC, later than every existing migration. */
function namesOf(drafts: readonly Draft[], files: readonly Migration[], now: Date): readonly string[] {
  // Prisma's 0_init sorts before all others and has no timestamp.
  const newest = Math.max(0, ...files.map(({ name }) => Number(/^\d{14}/.exec(name)?.[0] ?? 0)));
  const stamp = Number(now.toISOString().replaceAll(/\D/g, '').slice(0, 14));
  const first = Math.max(stamp, newest + 1);
  return drafts.map(({ slug }, at) => `${first + at}_${slug}`);
}

export interface NewFiles {
  readonly name: string;
  readonly sql: string;
  readonly down: string;
}

/** Each folder appears with both files in it, or not at all. */
export async function writeFolders(migrationsPath: string, folders: readonly NewFiles[]): Promise<void> {
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
