import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import type { Environment } from '../../system/child-environment';
import { lastLines, readLog } from '../../system/logs';
import { reasonOf } from '../../system/system-errors';
import type { Account } from '../embedded/account';
import { locatePlace, ownerOf, type Place } from '../embedded/place';
import { stopPlace } from '../embedded/postmaster';
import { startEmbedded } from '../embedded/server';
import {
  type ArchiveLayout,
  type ArchiveRecord,
  archiveLayout,
  createArchive,
  findRecord,
  foreignArchive,
  ifExists,
  notEnabled,
  writeRecord,
} from './archive-layout';
import { installPrograms } from './programs';
import { timelineOf } from './wal';

export interface WorkOptions {
  readonly home: string;
  /** The environment of the command; child processes get the few variables that every program needs. */
  readonly environment?: Environment | undefined;
  readonly onProgress: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface EnabledArchive {
  readonly directory: string;
  /** Whether any setting of the archive changed. */
  readonly changed: boolean;
  readonly restarted: boolean;
  /** The segment that was archived as a proof. */
  readonly segment: string;
}

/** The state of archiving as the server reports it. */
export interface ArchiverState {
  readonly isOn: boolean;
  readonly archivedCount: number;
  readonly failedCount: number;
  readonly lastFailed: string | null;
  readonly lastFailedAt: Date | null;
  /** Whether the latest attempt failed. */
  readonly isFailing: boolean;
}

/** A segment is archived at the latest this many seconds after its first change: that much is lost with the whole disk. */
const ARCHIVE_TIMEOUT_SECONDS = '60';
const SEGMENT_TIMEOUT_MS = 45_000;
const POLL_INTERVAL_MS = 25;
const LOG_BYTES = 4_096;

/**
 * Makes the embedded server archive its log, and archives a segment as a proof. The server restarts if it did not archive.
 * @throws {SuiteError} `PITR.FOREIGN_ARCHIVE`, `PITR.NO_RUNTIME`, `PITR.ARCHIVE_STALLED`, `EMBEDDED.…`
 */
export async function enableArchive(options: WorkOptions): Promise<EnabledArchive> {
  const { home, environment, onProgress, signal } = options;
  const { url } = await startEmbedded(options);
  const place = await locatePlace(home);
  const [layout, account] = [archiveLayout(place), await ownerOf(place)];
  const identity = await withClient(url, readIdentity);
  const record = await findRecord(layout);
  if (record !== undefined && record.systemId !== identity.systemId) throw foreignArchive(layout.directory);
  await createArchive(layout, account);
  const { archive } = await installPrograms(layout, account, environment);
  const changes = await withClient(url, (client) => changeSettings(client, archive));
  const restarted = changes.includes('archive_mode') || changes.includes('wal_level');
  if (restarted) {
    onProgress('restarting the embedded server');
    await stopPlace(place);
  }
  // The server is running again before the command ends.
  const { url: again } = await startEmbedded({ ...options, signal: undefined });
  await writeRecord(layout, identity, account);
  onProgress('archiving a first segment');
  const segment = await withClient(again, (client) => archiveNow(client, place, signal));
  return { directory: layout.directory, changed: changes.length > 0, restarted, segment };
}

/** The running server with its archive, which is on and belongs to this server. */
export interface OpenArchive {
  readonly url: DatabaseUrl;
  readonly place: Place;
  readonly layout: ArchiveLayout;
  readonly account: Account | undefined;
}

/** @throws {SuiteError} `PITR.NOT_ENABLED`, `PITR.FOREIGN_ARCHIVE` */
export async function openArchive(options: WorkOptions): Promise<OpenArchive> {
  const { url } = await startEmbedded(options);
  const place = await locatePlace(options.home);
  const [layout, account] = [archiveLayout(place), await ownerOf(place)];
  const record = await findRecord(layout);
  const [identity, { isOn }] = await withClient(url, async (client) => {
    return [await readIdentity(client), await readArchiver(client)] as const;
  });
  if (record === undefined || !isOn) throw notEnabled(layout.directory);
  if (record.systemId !== identity.systemId) throw foreignArchive(layout.directory);
  await writeRecord(layout, identity, account);
  return { url, place, layout, account };
}

/** Changes the settings that differ and returns their names. Those that need no restart take effect at once. */
async function changeSettings(client: Client, archiveCommand: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    "SELECT name, setting FROM pg_settings WHERE name LIKE 'archive%' OR name = 'wal_level'",
  );
  const found = new Map(rows.map(({ name, setting }) => [name, setting]));
  const wanted = new Map([
    ['archive_mode', found.get('archive_mode') === 'always' ? 'always' : 'on'],
    ['archive_command', archiveCommand],
    ['archive_timeout', ARCHIVE_TIMEOUT_SECONDS],
    // PostgreSQL refuses to start with an archive and wal_level = minimal.
    ['wal_level', found.get('wal_level') === 'logical' ? 'logical' : 'replica'],
  ]);
  const changes = [...wanted].filter(([name, value]) => found.get(name) !== value);
  for (const [name, value] of changes) {
    await client.query(`ALTER SYSTEM SET ${name} = ${client.escapeLiteral(value)}`);
  }
  await client.query('SELECT pg_reload_conf()');
  return changes.map(([name]) => name);
}

/** The identity of the server, and its current timeline. */
export async function readIdentity(client: Client): Promise<ArchiveRecord> {
  const { rows } = await client.query<{ system: string; segment: string; bytes: string }>(
    `SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
            pg_walfile_name(pg_current_wal_insert_lsn()) AS segment,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS bytes`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('the server did not report its identity');
  return { systemId: row.system, timeline: timelineOf(row.segment), segmentBytes: Number(row.bytes) };
}

export async function readArchiver(client: Client): Promise<ArchiverState> {
  const { rows } = await client.query<ArchiverState>(
    `SELECT current_setting('archive_mode') <> 'off' AS "isOn", archived_count::int AS "archivedCount",
            failed_count::int AS "failedCount", last_failed_wal AS "lastFailed", last_failed_time AS "lastFailedAt",
            coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS "isFailing"
     FROM pg_stat_archiver`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('pg_stat_archiver is empty');
  return row;
}

/**
 * Ends the current segment and waits until it is archived. A transaction is added first: recovery to a time ends at the
 * first commit after that time, and fails when the log has none.
 * @throws {SuiteError} `PITR.ARCHIVE_STALLED`; the reason of the signal when it was aborted
 */
export async function archiveNow(client: Client, place: Place, signal?: AbortSignal): Promise<string> {
  await client.query('SELECT pg_current_xact_id()');
  const { rows } = await client.query<{ segment: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS segment');
  const segment = rows[0]?.segment ?? '';
  await waitForSegment(place, segment, signal);
  return segment;
}

/** @throws {SuiteError} `PITR.ARCHIVE_STALLED`; the reason of the signal when it was aborted */
export async function waitForSegment(place: Place, segment: string, signal?: AbortSignal): Promise<void> {
  const file = path.join(archiveLayout(place).wal, segment);
  for (const deadline = Date.now() + SEGMENT_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_INTERVAL_MS)) {
    if (await ifExists(() => access(file).then(() => true))) return;
    signal?.throwIfAborted();
  }
  throw new SuiteError('PITR.ARCHIVE_STALLED', `${segment} was not archived within ${SEGMENT_TIMEOUT_MS / 1_000} s`, {
    why: await endOfLog(place),
    next: 'Check whether the disk is full, and run "npx azora-db pitr enable", which renews the archive command',
    meta: { segment },
  });
}

/** The last lines of the server's log; a log that cannot be read must not hide the stalled archive. */
async function endOfLog(place: Place): Promise<string> {
  try {
    const { size } = await stat(place.log);
    return lastLines(await readLog(place.log, Math.max(0, size - LOG_BYTES)));
  } catch (error) {
    return `The server's log cannot be read: ${reasonOf(error)}.`;
  }
}
