import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { draftName, isAbandoned, syncDirectory } from '../../system/atomic-files';
import { isFileError } from '../../system/system-errors';
import { giveTo } from '../embedded/account';
import { locatePlace } from '../embedded/place';
import { archiveNow, readIdentity, waitForSegment } from './archiver';
import { type Area, areaOf, getRecord } from './area';
import { type BaseBackup, DESCRIPTION, type PrunedArchive, pruneBases } from './bases';
import { copyTree } from './copy';
import { type OpenArchive, openArchive, type WorkOptions } from './enable';
import { hasTablespaces, unwritable } from './errors';
import { writeOwned } from './programs';

export interface BaseOptions extends WorkOptions {
  readonly signal?: AbortSignal;
}

/** What a new start makes anew: its lock, its port, what it keeps of sessions. */
const LEFT_OUT = /^(postmaster\.(pid|opts)|current_logfiles|backup_manifest|postgresql\.auto\.conf\.tmp)$/;
/** Directories that have to be there, and are empty; pg_wal has two of its own. */
const EMPTIED =
  /^(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\/(?!(archive_status|summaries)$)/;
const ANYWHERE = /(^|\/)(pgsql_tmp[^/]*|pg_internal\.init(\.\d+)?)$/;

/**
 * Copies the running server's data to restore from, and waits until the log that makes the copy consistent is archived.
 * @throws {SuiteError} `PITR.NOT_ENABLED`, `PITR.ARCHIVE_STALLED`, `PITR.TABLESPACES`, `PITR.UNWRITABLE`
 */
export async function takeBase(options: BaseOptions): Promise<BaseBackup> {
  const archive = await openArchive(options);
  await sweepBases(archive.area);
  const id = new Date().toISOString().replace(/[-:.]/g, '');
  const draft = path.join(archive.area.base, await draftName(id, 'part'));
  try {
    await mkdir(draft, { mode: 0o700 });
    await giveTo(archive.account, draft);
    const base = await withClient(archive.url, (client) => backUp(client, archive, id, draft, options));
    await rename(draft, path.join(archive.area.base, id));
    await syncDirectory(archive.area.base);
    return base;
  } catch (error) {
    throw isFileError(error) ? unwritable(archive.area.base, error) : error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Removes base backups but the newest so many, and the log that only they needed. */
export async function pruneArchive({ home }: Pick<BaseOptions, 'home'>, keep: number): Promise<PrunedArchive> {
  const area = areaOf(await locatePlace(home));
  return pruneBases(area, await getRecord(area), keep);
}

/** By PostgreSQL's low-level interface, which wants one session from beginning to end. */
async function backUp(
  client: Client,
  { place, account }: OpenArchive,
  id: string,
  draft: string,
  { onProgress, signal }: BaseOptions,
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
  onProgress('waiting until its log is archived');
  await waitForSegment(place, stop.segment);
  await archiveNow(client, place);
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
  if (rows.length > 0) throw hasTablespaces(rows.map(({ spcname }) => spcname));
}

function isLeftOut(file: string): boolean {
  const name = file.replaceAll(path.sep, '/');
  return LEFT_OUT.test(name) || EMPTIED.test(name) || ANYWHERE.test(name);
}

/** Removes what killed processes left half-copied. */
async function sweepBases(area: Area): Promise<void> {
  for (const name of await readdir(area.base)) {
    if (await isAbandoned(name)) await rm(path.join(area.base, name), { recursive: true, force: true });
  }
}
