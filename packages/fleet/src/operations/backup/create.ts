import { SuiteError } from '@azora/db-core';
import { hasDrifted } from '@azora/db-migrate';
import type { Compression } from '../../backup-store/compression';
import { KEY_FILE, makeSetKey, type Secret, type SetKey } from '../../backup-store/encryption';
import { chunksOf } from '../../backup-store/file';
import { filesOf, type Manifest } from '../../backup-store/manifest';
import { writeManifest } from '../../backup-store/set';
import { newSetId, type SetWriter, type Storage } from '../../backup-store/storage';
import { suiteVersion } from '../../config/registry';
import { maskOf } from '../../postgres/dump/mask';
import type { Reference, SchemaModel } from '../../schema/schema-model';
import type { Environment } from '../../system/child-environment';
import {
  countOf,
  doneRows,
  eachService,
  type FailedRow,
  type RunOptions,
  type ServiceRow,
  toSuiteError,
} from '../fleet';
import type { LeftOut, Target } from '../targets';
import { type BaseSets, findBaseSets } from './base-sets';
import { countReferences } from './data-state';
import { dumpDatabase, type RowFormat } from './dump';
import { type FrozenDatabase, type SnapshotTiming, withSnapshots } from './snapshots';

export interface BackupRequest {
  readonly storage: Storage;
  /** Encrypts the set; undefined for a set in plain text. */
  readonly secret: Secret | undefined;
  /** Replaces personal data with pseudonyms, and secrets with NULL or a keyed hash; undefined to store all values unchanged. */
  readonly mask: { readonly schemaModel: SchemaModel; readonly key: string } | undefined;
  /** References between services. The set records how many of their ids are orphans. */
  readonly references: readonly Reference[];
  /** Services whose server lacks an extension that they need, and that were never set up. */
  readonly leftOut?: readonly LeftOut[];
  /** Services whose server could not be started; the set is made without them. */
  readonly unavailable?: readonly FailedRow[];
  readonly fence: boolean;
  readonly allowDrift: boolean;
  /** Whether to store databases that have more than a set can carry. */
  readonly allowIncomplete: boolean;
  readonly format: RowFormat;
  readonly compression: Compression;
  /** Whether to store every table anew, instead of taking the files of unchanged tables over from earlier sets. */
  readonly full: boolean;
  /** Where pg_dump is looked for, when the format asks for it. */
  readonly environment: Environment;
  /** Reports a problem that does not change the result. */
  readonly log: (line: string) => void;
}

export interface BackupReport {
  readonly set: string;
  readonly location: string;
  readonly rows: readonly ServiceRow<DumpedService>[];
  /**
   * Undefined when no set was stored: no service succeeded, the storage failed, or the backup was interrupted. When only
   * some services failed, the set holds the others and names those.
   */
  readonly manifest: Manifest | undefined;
}

export interface DumpedService {
  readonly tables: number;
  /** Those whose files an earlier set stored. */
  readonly unchanged: number;
  readonly rows: number;
  /** The size of the rows as COPY text, and the size of the stored files. */
  readonly bytes: number;
  readonly storedBytes: number;
}

/**
 * Backs up all databases as one set. The snapshots are taken within milliseconds of each other; with a fence they agree
 * exactly. When some services fail, the set holds the others. It becomes visible only when it is complete.
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
    const base = await findBase(targets, request);
    const made = secret === undefined ? undefined : (base?.sealed ?? (await makeSetKey(secret)));
    if (made !== undefined) await writer.write(KEY_FILE, chunksOf(made.wrapped));
    return await withSnapshots(targets, { fence }, async (snapshots) => {
      const dumped = await dumpAll(snapshots.databases, request, { set, writer, key: made?.key, base }, options);
      const failed = [...(request.unavailable ?? []), ...snapshots.failed];
      const rows = [...failed, ...dumped.rows].toSorted((left, right) => (left.service < right.service ? -1 : 1));
      const report = { set, location: storage.location, rows: rows.map(summarize) };
      if (!isWorthStoring(rows)) {
        await abandon(writer, request);
        return { ...report, manifest: undefined };
      }
      for (const { service } of failedRows(dumped.rows)) await writer.remove(service);
      const manifest = manifestOf({ set, startedAt, request, timing: snapshots, rows, references: dumped.references });
      await writeManifest(writer, manifest, { key: made?.key, secret });
      await writer.finish();
      return { ...report, manifest };
    });
  } catch (error) {
    await abandon(writer, request);
    throw error;
  }
}

/** Undefined to store every table anew. Masked rows and archives are made anew each time. */
async function findBase(
  targets: readonly Target[],
  { storage, secret, mask, format, full }: BackupRequest,
): Promise<BaseSets | undefined> {
  if (full || mask !== undefined || format !== 'copy') return undefined;
  return findBaseSets(
    storage,
    secret,
    targets.map(({ service }) => service.name),
  );
}

/** Removes an unfinished set. A failure of that must not hide why the backup failed. */
async function abandon(writer: SetWriter, { storage, log }: BackupRequest): Promise<void> {
  try {
    await writer.abandon();
  } catch (error) {
    const { message, why = '' } = toSuiteError(error);
    log(`Could not remove the unfinished set from ${storage.location}: ${message}. ${why}`.trim());
    log('A later backup removes it');
  }
}

type DumpedRow = ServiceRow<{ readonly set: string; readonly entry: Manifest['databases'][number] }>;

/**
 * Whether at least one service succeeded, and the others failed by themselves. A storage that failed once may have lost
 * more, and an interrupted backup leaves nothing behind.
 */
function isWorthStoring(rows: readonly DumpedRow[]): boolean {
  if (rows.some(({ state }) => state === 'not-started' || state === 'interrupted')) return false;
  return doneRows(rows).length > 0 && failedRows(rows).every(({ error }) => error.code !== 'BACKUP.STORAGE_FAILED');
}

function failedRows(rows: readonly DumpedRow[]): readonly FailedRow[] {
  return rows.filter((row) => row.state === 'failed');
}

interface Dumped {
  readonly rows: readonly DumpedRow[];
  readonly references: Manifest['references'];
}

/** The new set, and the earlier ones whose files it uses. */
interface Files {
  readonly set: string;
  readonly writer: SetWriter;
  readonly key: SetKey | undefined;
  readonly base: BaseSets | undefined;
}

async function dumpAll(
  databases: readonly FrozenDatabase[],
  request: BackupRequest,
  files: Files,
  options: RunOptions,
): Promise<Dumped> {
  // Companions first: other clients of a companion wait until the transaction of the backup ends.
  const order = databases.toSorted((left, right) => rank(left) - rank(right));
  const { references, mask, log } = request;
  const counted = await countReferences(order, references, mask?.schemaModel, { signal: options.signal, log });
  return { rows: await dumpEach(order, request, files, options), references: counted };
}

function dumpEach(
  databases: readonly FrozenDatabase[],
  { storage, allowDrift, allowIncomplete, format, compression, mask, environment, log }: BackupRequest,
  { set, writer, key, base }: Files,
  { progress, signal }: RunOptions,
): Promise<readonly DumpedRow[]> {
  const items = databases.map((database) => ({ service: database.target.service, database }));
  return eachService(items, { progress, signal }, async ({ service, database }, onProgress) => {
    const drifted = (await hasDrifted(database.client)) === true;
    if (drifted && !allowDrift) throw hasDriftedSchema(service.name);
    const masking = mask && { of: maskOf(mask.schemaModel, service.name), key: mask.key };
    const options = {
      ...{ set, storage, writer, key, base: base?.databases.get(service.name), mask: masking, drifted },
      ...{ allowIncomplete, format, compression, environment, signal, onProgress, log },
    };
    const entry = await dumpDatabase(database, options);
    // Releases the locks: the tables of this database may be altered again.
    await database.client.query('ROLLBACK');
    const rows = entry.tables.reduce((sum, table) => sum + table.rows, 0);
    return { data: { set, entry }, detail: `${countOf(entry.tables.length, 'table')}, ${countOf(rows, 'row')}` };
  });
}

function rank({ target }: FrozenDatabase): number {
  return target.server === 'companion' ? 0 : 1;
}

function summarize(row: DumpedRow): ServiceRow<DumpedService> {
  if (row.state !== 'done') return row;
  const { set, entry } = row.data;
  const { tables } = entry;
  const sum = (of: (table: (typeof tables)[number]) => number) => tables.reduce((total, table) => total + of(table), 0);
  return {
    ...row,
    data: {
      tables: tables.length,
      unchanged: tables.filter(({ storedBy }) => storedBy !== set).length,
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
  readonly timing: SnapshotTiming;
  /** Sorted by service. */
  readonly rows: readonly DumpedRow[];
  readonly references: Manifest['references'];
}): Manifest {
  const { set, startedAt, request, timing, rows, references } = made;
  return {
    format: 4,
    id: set,
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    suiteVersion: suiteVersion(),
    masked: request.mask !== undefined,
    encryption: request.secret === undefined ? null : 'age',
    skewMs: timing.skewMs,
    fence: timing.fence,
    databases: doneRows(rows).map(({ data }) => data.entry),
    missing: missingOf(rows, request.leftOut ?? []),
    references,
  };
}

function missingOf(rows: readonly DumpedRow[], leftOut: readonly LeftOut[]): Manifest['missing'] {
  const failed = failedRows(rows).map(({ service, error }) => ({ service, code: error.code, reason: error.message }));
  const left = leftOut.map(({ service, missing }) => ({
    ...{ service, code: 'SERVER.MISSING_EXTENSION' },
    reason: `The server lacks an extension that ${service} needs: ${missing.join(', ')}`,
  }));
  return [...failed, ...left].sort((one, other) => (one.service < other.service ? -1 : 1));
}

function hasDriftedSchema(service: string): SuiteError {
  return new SuiteError('BACKUP.DRIFTED', `The schema of ${service} has drifted from its migrations`, {
    kind: 'finding',
    why: 'Later migrations may fail on a database that is restored from such a set.',
    next: 'Run "npx azora-db migrate drift" to see the difference, or back up anyway with --allow-drift',
    meta: { service },
  });
}
