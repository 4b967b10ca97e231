import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { draftName, isAbandoned, isDraft, syncDirectory } from '../../system/atomic-files';
import { isFileError, reasonOf } from '../../system/system-errors';
import { giveTo } from '../embedded/account';
import { locatePlace } from '../embedded/place';
import {
  type ArchiveLayout,
  type ArchiveRecord,
  archiveLayout,
  getRecord,
  ifExists,
  unwritable,
  writeOwned,
} from './archive-layout';
import { archiveNow, type OpenArchive, openArchive, readIdentity, type WorkOptions, waitForSegment } from './archiver';
import { copyTree } from './copy';
import { isSegment, segmentIndex } from './wal';

/** The content of `base.json`. */
export interface BaseBackup {
  readonly id: string;
  readonly systemId: string;
  readonly timeline: number;
  readonly startLsn: string;
  /** The first segment that a restore needs. */
  readonly startSegment: string;
  /** The earliest point in the log, and the earliest time, to which the backup can be restored. */
  readonly stopLsn: string;
  readonly stoppedAt: string;
  readonly bytes: number;
  readonly tookMs: number;
}

const DESCRIPTION = 'base.json';
/** Files that a server creates when it starts: its lock, its port, its session state. */
const LEFT_OUT = /^(postmaster\.(pid|opts)|current_logfiles|backup_manifest|postgresql\.auto\.conf\.tmp)$/;
/** The content of directories that must exist but are empty. pg_wal has two subdirectories. */
const EMPTIED =
  /^(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\/(?!(archive_status|summaries)$)/;
const ANYWHERE = /(^|\/)(pgsql_tmp[^/]*|pg_internal\.init(\.\d+)?)$/;
/** A draft of a segment is written within moments. An older one was left by a killed archiver. */
const ABANDONED_AFTER_MS = 3_600_000;

/**
 * Copies the data of the running server, and waits until the log that makes the copy consistent is archived.
 * @throws {SuiteError} `PITR.NOT_ENABLED`, `PITR.ARCHIVE_STALLED`, `PITR.TABLESPACES`, `PITR.UNWRITABLE`; the reason of the
 *   signal when it was aborted
 */
export async function takeBase(options: WorkOptions): Promise<BaseBackup> {
  const archive = await openArchive(options);
  const { base } = archive.layout;
  await removeAbandoned(base);
  const id = new Date().toISOString().replace(/[-:.]/g, '');
  const draft = path.join(base, await draftName(id, 'part'));
  try {
    await mkdir(draft, { mode: 0o700 });
    await giveTo(archive.account, draft);
    const taken = await withClient(archive.url, (client) => backUp(client, archive, id, draft, options));
    await rename(draft, path.join(base, id));
    await syncDirectory(base);
    return taken;
  } catch (error) {
    await removeDraft(draft, options);
    throw isFileError(error) ? unwritable(base, error) : error;
  }
}

/** Removes a directory after a failure. When that fails too, it only says so: the first error is the one to report. */
export async function removeDraft(directory: string, { onProgress }: WorkOptions): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    onProgress(`could not remove ${directory}: ${reasonOf(error)}. Remove it by hand`);
  }
}

/** Removes all but the newest base backups, and the log that only those need. */
export async function pruneArchive({ home }: Pick<WorkOptions, 'home'>, keep: number): Promise<PrunedArchive> {
  const layout = archiveLayout(await locatePlace(home));
  return pruneBases(layout, await getRecord(layout), keep);
}

/** Uses PostgreSQL's low-level backup functions, which require one session from beginning to end. */
async function backUp(
  client: Client,
  { place, account }: OpenArchive,
  id: string,
  draft: string,
  { onProgress, signal }: WorkOptions,
): Promise<BaseBackup> {
  await refuseTablespaces(client);
  const begun = Date.now();
  onProgress(`copying ${place.data}`);
  await client.query('SELECT pg_backup_start($1, fast => true)', [`azora-db ${id}`]);
  const data = path.join(draft, 'data');
  const bytes = await copyTree(place.data, data, { account, signal, isLeftOut });
  const stop = await stopBackup(client);
  await writeOwned(path.join(data, 'backup_label'), stop.label, account);
  if (stop.tablespaces !== '') await writeOwned(path.join(data, 'tablespace_map'), stop.tablespaces, account);
  onProgress('waiting until the log of the backup is archived');
  await waitForSegment(place, stop.segment, signal);
  await archiveNow(client, place, signal);
  const { systemId, timeline } = await readIdentity(client);
  const [, startLsn = '', startSegment = ''] =
    /^START WAL LOCATION: (\S+) \(file ([0-9A-F]{24})\)/m.exec(stop.label) ?? [];
  const base: BaseBackup = {
    ...{ id, systemId, timeline, startLsn, startSegment, stopLsn: stop.lsn, stoppedAt: stop.time },
    ...{ bytes, tookMs: Date.now() - begun },
  };
  await writeOwned(path.join(draft, DESCRIPTION), `${JSON.stringify(base, null, 2)}\n`, account);
  return base;
}

interface Stop {
  readonly lsn: string;
  readonly segment: string;
  readonly label: string;
  readonly tablespaces: string;
  readonly time: string;
}

async function stopBackup(client: Client): Promise<Stop> {
  const { rows } = await client.query<Stop>(
    `SELECT lsn::text, pg_walfile_name(lsn) AS segment, labelfile AS label, spcmapfile AS tablespaces,
            to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time
     FROM pg_backup_stop(wait_for_archive => false)`,
  );
  const [stop] = rows;
  if (stop === undefined) throw new Error('pg_backup_stop returned nothing');
  return stop;
}

async function refuseTablespaces(client: Client): Promise<void> {
  const { rows } = await client.query<{ spcname: string }>(
    "SELECT spcname FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')",
  );
  const names = rows.map(({ spcname }) => spcname);
  if (names.length === 0) return;
  throw new SuiteError('PITR.TABLESPACES', 'The embedded server has tablespaces outside its data directory', {
    kind: 'configuration',
    why: `A restored copy would write to the same directories: ${names.join(', ')}.`,
    next: 'Move their tables to pg_default and drop the tablespaces',
    meta: { tablespaces: names },
  });
}

function isLeftOut(file: string): boolean {
  const name = file.replaceAll(path.sep, '/');
  return LEFT_OUT.test(name) || EMPTIED.test(name) || ANYWHERE.test(name);
}

/** Removes the incomplete copies of killed processes. */
async function removeAbandoned(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    if (await isAbandoned(base, name)) await rm(path.join(base, name), { recursive: true, force: true });
  }
}

/** The complete base backups, oldest first by their place in the log, whose timelines and positions only grow: a clock can go back. */
export async function listBases({ base }: ArchiveLayout): Promise<readonly BaseBackup[]> {
  const names = ((await ifExists(() => readdir(base))) ?? []).filter((name) => !isDraft(name)).sort();
  const bases = await Promise.all(
    names.map(async (name) => JSON.parse(await readFile(path.join(base, name, DESCRIPTION), 'utf8')) as BaseBackup),
  );
  return bases.toSorted((one, other) => (one.startSegment < other.startSegment ? -1 : 1));
}

export interface PrunedArchive {
  readonly bases: readonly string[];
  readonly segments: number;
}

async function pruneBases(layout: ArchiveLayout, record: ArchiveRecord, keep: number): Promise<PrunedArchive> {
  const bases = await listBases(layout);
  const removed = bases.slice(0, Math.max(0, bases.length - keep));
  for (const { id } of removed) {
    // Renamed to a draft first: an incomplete removal is not a base backup, and the next base backup removes it.
    const draft = path.join(layout.base, await draftName(id, 'part'));
    await rename(path.join(layout.base, id), draft);
    await rm(draft, { recursive: true, force: true });
  }
  const starts = bases.slice(removed.length).map((base) => segmentIndex(base.startSegment, record.segmentBytes));
  const first = starts.reduce((least, start) => (start < least ? start : least), starts[0] ?? 0n);
  let segments = 0;
  for (const name of await readdir(layout.wal)) {
    const file = path.join(layout.wal, name);
    const isDraftOfDead = name.includes('.part-') && Date.now() - (await stat(file)).mtimeMs > ABANDONED_AFTER_MS;
    // The name of a segment also begins the names of its .backup and .partial files.
    const segment = name.slice(0, 24);
    if (!isDraftOfDead && !(isSegment(segment) && segmentIndex(segment, record.segmentBytes) < first)) continue;
    await rm(file, { force: true });
    segments += name === segment ? 1 : 0;
  }
  return { bases: removed.map(({ id }) => id), segments };
}
