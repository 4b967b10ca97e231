import { statfs } from 'node:fs/promises';
import { SuiteError } from '@azora/db-core';
import { compareHistory, readMigrations, withClient } from '@azora/db-migrate';
import type { DatabaseEntry, Manifest } from '../../backup-store/manifest';
import type { Target } from '../targets';

/** A restored database with its old neighbour, and what sorting for indexes takes. */
const ROOM = 1.5;

export interface Pair {
  readonly target: Target;
  readonly entry: DatabaseEntry;
}

/** Which database of the set goes where. @throws {SuiteError} `RESTORE.NOT_IN_SET` */
export function pairUp(targets: readonly Target[], { id, databases }: Manifest): readonly Pair[] {
  return targets.map((target) => {
    const entry = databases.find(({ service }) => service === target.service.name);
    if (entry !== undefined) return { target, entry };
    throw new SuiteError('RESTORE.NOT_IN_SET', `The set ${id} holds nothing of ${target.service.name}`, {
      kind: 'usage',
      next: `It holds ${databases.map(({ service }) => service).join(', ')}; name some of them with --service`,
      meta: { set: id, service: target.service.name },
    });
  });
}

/**
 * Finds out what would make a restore fail later, before anything is begun.
 * @throws {SuiteError} `RESTORE.NEWER_THAN_CODE`, `RESTORE.OTHER_HISTORY`, `RESTORE.OLDER_SERVER`, `RESTORE.NO_SPACE`
 */
export async function requireRestorable(pairs: readonly Pair[], home: string): Promise<void> {
  await Promise.all(pairs.map(requireHistory));
  await Promise.all(pairs.map(requireServer));
  // Other servers' disks cannot be seen from here.
  const own = pairs.filter(({ target }) => target.server !== 'ordinary');
  const needed = own.reduce((sum, { entry }) => sum + entry.sizeBytes, 0) * ROOM;
  if (own.length > 0) await requireSpace(home, needed);
}

async function requireHistory({ target, entry }: Pair): Promise<void> {
  const { name, migrationsPath } = target.service;
  const rows = entry.migrations.map((it) => ({ ...it, id: '', finished: true, rolledBack: false, logs: null }));
  const { missing, edited } = compareHistory(await readMigrations(migrationsPath), rows);
  if (missing.length > 0) {
    throw new SuiteError('RESTORE.NEWER_THAN_CODE', `The set's ${name} is newer than this checkout`, {
      kind: 'configuration',
      why: `No file here is the migration ${missing.join(', ')}.`,
      next: 'Check out the version with which the set was made, or a later one',
      meta: { service: name, migrations: missing },
    });
  }
  if (edited.length > 0) {
    throw new SuiteError('RESTORE.OTHER_HISTORY', `The set's ${name} was migrated by other files`, {
      kind: 'configuration',
      why: `Here ${edited.join(', ')} is not what was applied.`,
      next: 'Restore the files from version control',
      meta: { service: name, migrations: edited },
    });
  }
}

async function requireServer({ target, entry }: Pair): Promise<void> {
  const version = await withClient(target.maintenance, async (client) => {
    const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
    return rows[0]?.version ?? '';
  });
  if (Number.parseInt(version, 10) >= Number.parseInt(entry.serverVersion, 10)) return;
  throw new SuiteError('RESTORE.OLDER_SERVER', `The server of ${target.service.name} is older than the set`, {
    kind: 'configuration',
    why: `The set is from PostgreSQL ${entry.serverVersion}, the server is ${version}.`,
    next: 'Restore on the same major version or a later one',
    meta: { service: target.service.name, version },
  });
}

async function requireSpace(home: string, bytes: number): Promise<void> {
  const disk = await statfs(home);
  const free = disk.bavail * disk.bsize;
  if (free >= bytes) return;
  const megabytes = (count: number) => `${Math.ceil(count / 1024 / 1024).toLocaleString('en')} MB`;
  throw new SuiteError('RESTORE.NO_SPACE', `The disk of ${home} has too little room`, {
    why: `A restore beside the live databases takes about ${megabytes(bytes)}; ${megabytes(free)} are free.`,
    next: 'Free some, or restore fewer services at a time with --service',
    meta: { needed: bytes, free },
  });
}
