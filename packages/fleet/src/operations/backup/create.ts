import { SuiteError } from '@azora/db-core';
import { hasDrifted } from '@azora/db-migrate';
import { KEY_FILE, makeSetKey, type Secret, type SetKey } from '../../backup-store/encryption';
import { chunksOf } from '../../backup-store/file';
import { filesOf, type Manifest } from '../../backup-store/manifest';
import { writeManifest } from '../../backup-store/set';
import { newSetId } from '../../backup-store/set-id';
import type { SetWriter, Storage } from '../../backup-store/storage';
import { suiteVersion } from '../../config/registry';
import type { SchemaModel } from '../../schema/schema-model';
import { countOf } from '../count';
import { doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import type { Target } from '../targets';
import { dumpDatabase, type RowFormat } from './dump';
import { maskOf } from './mask';
import { type FrozenDatabase, type Taken, withSnapshots } from './snapshots';

export interface BackupRequest {
  readonly storage: Storage;
  /** With which the set is encrypted; undefined for one that is not. */
  readonly secret: Secret | undefined;
  /** For pseudonyms instead of personal data, empty values instead of secrets; undefined for everything as it is. */
  readonly mask: { readonly schemaModel: SchemaModel; readonly key: string } | undefined;
  readonly fence: boolean;
  readonly allowDrift: boolean;
  readonly format: RowFormat;
}

export interface BackupReport {
  readonly set: string;
  readonly location: string;
  readonly rows: readonly ServiceRow<DumpedService>[];
  /** Undefined when a service failed: then there is no set. */
  readonly manifest: Manifest | undefined;
}

export interface DumpedService {
  readonly tables: number;
  readonly rows: number;
  /** As COPY's text, and as stored. */
  readonly bytes: number;
  readonly storedBytes: number;
}

/**
 * Stores all databases as one set, each in the state that it had at the same moment. A set is there whole or not at all.
 * @throws {SuiteError} `BACKUP.…`, `SERVER.…`
 */
export async function backUpFleet(
  targets: readonly Target[],
  request: BackupRequest,
  options: RunOptions,
): Promise<BackupReport> {
  const startedAt = new Date();
  const set = newSetId(startedAt);
  const { storage, secret, fence } = request;
  const writer = await storage.begin(set);
  try {
    const made = secret === undefined ? undefined : await makeSetKey(secret);
    if (made !== undefined) await writer.write(KEY_FILE, chunksOf(made.wrapped));
    return await withSnapshots(targets, { fence }, async (databases, taken) => {
      const rows = await dumpAll(databases, request, { writer, key: made?.key }, options);
      const report = { set, location: storage.location, rows };
      const entries = doneRows(rows).map(({ data }) => data.entry);
      const shown = rows.map(summarize);
      if (entries.length < rows.length) {
        await writer.abandon();
        return { ...report, rows: shown, manifest: undefined };
      }
      const manifest = manifestOf({ set, startedAt, request, taken, entries });
      await writeManifest(writer, manifest, made?.key);
      await writer.finish();
      return { ...report, rows: shown, manifest };
    });
  } catch (error) {
    // What stays is swept by the next backup; the reason of the failure must not be lost over it.
    await writer.abandon().catch(() => undefined);
    throw error;
  }
}

type DumpedRow = ServiceRow<{ readonly entry: Manifest['databases'][number] }>;

function dumpAll(
  databases: readonly FrozenDatabase[],
  { allowDrift, format, mask }: BackupRequest,
  { writer, key }: { readonly writer: SetWriter; readonly key: SetKey | undefined },
  options: RunOptions,
): Promise<readonly DumpedRow[]> {
  // The companion's users wait for as long as its transaction lasts.
  const order = databases.toSorted((left, right) => rank(left) - rank(right));
  const items = order.map((database) => ({ service: database.target.service, database }));
  return eachService(items, options, async ({ service, database }, tell) => {
    const drifted = (await hasDrifted(database.client)) === true;
    if (drifted && !allowDrift) throw hasOtherCatalog(service.name);
    const masking = mask && { of: maskOf(mask.schemaModel, service.name), key: mask.key };
    const { signal } = options;
    const entry = await dumpDatabase(database, { writer, key, mask: masking, drifted, format, signal, tell });
    // Its part is done: its tables may be altered again.
    await database.client.query('ROLLBACK');
    const rows = entry.tables.reduce((sum, table) => sum + table.rows, 0);
    return { data: { entry }, detail: `${countOf(entry.tables.length, 'table')}, ${countOf(rows, 'row')}` };
  });
}

function rank({ target }: FrozenDatabase): number {
  return target.server === 'companion' ? 0 : 1;
}

function summarize(row: DumpedRow): ServiceRow<DumpedService> {
  if (row.state !== 'done') return row;
  const { entry } = row.data;
  const { tables } = entry;
  const sum = (of: (table: (typeof tables)[number]) => number) => tables.reduce((total, table) => total + of(table), 0);
  return {
    ...row,
    data: {
      tables: tables.length,
      rows: sum(({ rows }) => rows),
      bytes: sum(({ bytes }) => bytes),
      storedBytes: filesOf([entry]).reduce((total, { bytes }) => total + bytes, 0),
    },
  };
}

function manifestOf(made: {
  readonly set: string;
  readonly startedAt: Date;
  readonly request: BackupRequest;
  readonly taken: Taken;
  readonly entries: Manifest['databases'];
}): Manifest {
  const { set, startedAt, request, taken, entries } = made;
  return {
    format: 1,
    id: set,
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    suiteVersion: suiteVersion(),
    masked: request.mask !== undefined,
    encryption: request.secret === undefined ? null : 'age',
    skewMs: taken.skewMs,
    fence: taken.fence,
    databases: entries.toSorted((left, right) => (left.service < right.service ? -1 : 1)),
  };
}

function hasOtherCatalog(service: string): SuiteError {
  return new SuiteError('BACKUP.DRIFTED', `The database of ${service} is not as its migrations made it`, {
    kind: 'usage',
    why: 'A set that is restored could not be migrated on with certainty.',
    next: 'See "azora-db migrate drift", or store it as it is with --allow-drift',
    meta: { service },
  });
}
