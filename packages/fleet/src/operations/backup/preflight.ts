import { stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { compareHistory, readMigrations, splitStatements, withClient } from '@azora/db-migrate';
import { readSetFile, textOf } from '../../backup-store/file';
import type { DatabaseEntry, Manifest } from '../../backup-store/manifest';
import type { OpenedSet } from '../../backup-store/set';
import { orAbsent } from '../../system/leftovers';
import { sizeText } from '../../system/quantities';
import type { Target } from '../targets';

/** Space for the restored database and for sorting while its indexes are built, relative to its size. */
const SPACE_FACTOR = 1.5;

/** A database of the set and its target. */
export interface Pair {
  readonly target: Target;
  readonly entry: DatabaseEntry;
}

/** Finds the database of each target in the set. @throws {SuiteError} `RESTORE.NOT_IN_SET` */
export function pairUp(targets: readonly Target[], { id, databases }: Manifest): readonly Pair[] {
  return targets.map((target) => {
    const entry = databases.find(({ service }) => service === target.service.name);
    if (entry !== undefined) return { target, entry };
    throw new SuiteError('RESTORE.NOT_IN_SET', `The backup set ${id} has no database of ${target.service.name}`, {
      kind: 'usage',
      next: `Name services of the set with --service: ${databases.map(({ service }) => service).join(', ')}`,
      meta: { set: id, service: target.service.name },
    });
  });
}

/**
 * Finds the reasons why a restore would fail later, before anything is changed.
 * @throws {SuiteError} `RESTORE.NEWER_THAN_CODE`, `RESTORE.OTHER_HISTORY`, `RESTORE.OLDER_SERVER`, `RESTORE.NO_SPACE`
 */
export async function requireRestorable(pairs: readonly Pair[], home: string): Promise<void> {
  await Promise.all(pairs.map(requireHistory));
  await Promise.all(pairs.map(requireServer));
  // The disks of other servers cannot be examined.
  const own = pairs.filter(({ target }) => target.server !== 'ordinary');
  const needed = own.reduce((sum, { entry }) => sum + entry.sizeBytes, 0) * SPACE_FACTOR;
  if (own.length > 0) await requireSpace(home, needed);
}

async function requireHistory({ target, entry }: Pair): Promise<void> {
  const { name, migrationsPath } = target.service;
  const rows = entry.migrations.map((it) => ({ ...it, id: '', finished: true, rolledBack: false, logs: null }));
  const { missing, edited } = compareHistory(await readMigrations(migrationsPath), rows);
  if (missing.length > 0) {
    throw new SuiteError('RESTORE.NEWER_THAN_CODE', `The database of ${name} in the set is newer than this checkout`, {
      kind: 'configuration',
      why: `The checkout has no file for the migration ${missing.join(', ')}.`,
      next: 'Check out the version of the code that made the backup, or a later one',
      meta: { service: name, migrations: missing },
    });
  }
  if (edited.length > 0) {
    throw new SuiteError(
      'RESTORE.OTHER_HISTORY',
      `The database of ${name} in the set was migrated by different files`,
      {
        kind: 'configuration',
        why: `In this checkout ${edited.join(', ')} differs from the file that was applied.`,
        next: 'Restore the migration files from version control',
        meta: { service: name, migrations: edited },
      },
    );
  }
}

async function requireServer({ target, entry }: Pair): Promise<void> {
  const version = await withClient(target.maintenance, async (client) => {
    const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
    return rows[0]?.version ?? '';
  });
  if (Number.parseInt(version, 10) >= Number.parseInt(entry.serverVersion, 10)) return;
  throw new SuiteError('RESTORE.OLDER_SERVER', `The server of ${target.service.name} is older than the backup set`, {
    kind: 'configuration',
    why: `The set comes from PostgreSQL ${entry.serverVersion}; the server runs ${version}.`,
    next: 'Restore on a server of the same major version or a later one',
    meta: { service: target.service.name, version },
  });
}

async function requireSpace(home: string, bytes: number): Promise<void> {
  const disk = await statfs(await existingPart(home));
  const free = disk.bavail * disk.bsize;
  if (free >= bytes) return;
  throw new SuiteError('RESTORE.NO_SPACE', `The disk of ${home} has too little free space`, {
    why: `A restore next to the live databases needs about ${sizeText(bytes)}; ${sizeText(free)} are free.`,
    next: 'Free some space, or restore fewer services at a time with --service',
    meta: { needed: bytes, free },
  });
}

/** The directory, or the nearest one above it that exists: the suite creates its own directory when it needs it. */
async function existingPart(directory: string): Promise<string> {
  const parent = path.dirname(directory);
  const found = await orAbsent(stat(directory));
  return found !== undefined || parent === directory ? directory : existingPart(parent);
}

const HNSW = /^CREATE INDEX \S+ ON (?:ONLY )?(?:\w+\.)?"?(\w+)"? USING hnsw .*vector\((\d+)\)/;
const MIB = 2 ** 20;
/** One element of a graph with pgvector's default m of 16: the vector, 32 neighbors of 16 bytes, and its own fields. */
const graphElementBytes = (dimensions: number): number => 4 * dimensions + 32 * 16 + 200;

/**
 * Warnings for vector indexes of the set whose graph does not fit into the server's `maintenance_work_mem`: building them
 * takes many times as long (pgvector's README, "Index Build Time"). The size is an estimate for all rows of the table.
 */
export async function warnOfSlowIndexes(set: OpenedSet, pairs: readonly Pair[]): Promise<readonly string[]> {
  const withVectors = pairs.filter(({ entry }) => entry.extensions.some(({ name }) => name === 'vector'));
  const warnings = await Promise.all(withVectors.map((pair) => slowIndexesOf(set, pair)));
  return warnings.flat();
}

async function slowIndexesOf(set: OpenedSet, { target, entry }: Pair): Promise<readonly string[]> {
  const postData = await readSetFile(set.storage, set.manifest.id, entry.schema.postData, set.key, textOf);
  const memory = await withClient(target.maintenance, async (client) => {
    const { rows } = await client.query<{ bytes: number }>(
      `SELECT pg_size_bytes(current_setting('maintenance_work_mem'))::float8 AS bytes`,
    );
    return rows[0]?.bytes ?? 0;
  });
  return splitStatements(postData).flatMap(({ text }) => {
    const [, table, dimensions] = HNSW.exec(text) ?? [];
    const rows = entry.tables.find(({ name }) => name === table)?.rows ?? 0;
    const needed = rows * graphElementBytes(Number(dimensions));
    if (table === undefined || needed <= memory) return [];
    const setting = `ALTER SYSTEM SET maintenance_work_mem = '${Math.ceil(needed / MIB)}MB'; SELECT pg_reload_conf();`;
    return [
      `warning: ${entry.service}: the vector index of ${table} (${dimensions} dimensions) needs about ${sizeText(needed)} and will be built slowly, because maintenance_work_mem is ${sizeText(memory)}; if the server has the memory, run there: ${setting}`,
    ];
  });
}
