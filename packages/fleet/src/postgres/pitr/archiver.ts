import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { lastLines, readLog } from '../../system/logs';
import type { Place } from '../embedded/place';
import type { ArchiveRecord } from './area';
import { areaOf } from './area';
import { archiveStalled } from './errors';
import { timelineOf } from './wal';

/** What the server says of its archiving. */
export interface ArchiverState {
  readonly isOn: boolean;
  readonly archivedCount: number;
  readonly failedCount: number;
  readonly lastFailed: string | null;
  readonly lastFailedAt: Date | null;
  /** Whether the newest attempt failed. */
  readonly isFailing: boolean;
}

const WAIT_MS = 45_000;
const POLL_MS = 25;
const LOG_BYTES = 4_096;

/** What tells this server from others, and where in its history it is. */
export async function readIdentity(client: Client): Promise<ArchiveRecord> {
  const { rows } = await client.query<{ system: string; segment: string; bytes: string }>(
    `SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
            pg_walfile_name(pg_current_wal_insert_lsn()) AS segment,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS bytes`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('the server did not say which it is');
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
 * Ends the current segment and waits until it is archived. A transaction of our own goes first: recovery to a time ends
 * at the first commit after it, and fails when the log has none.
 * @throws {SuiteError} `PITR.ARCHIVE_STALLED`
 */
export async function archiveNow(client: Client, place: Place): Promise<string> {
  await client.query('SELECT pg_current_xact_id()');
  const { rows } = await client.query<{ segment: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS segment');
  const segment = rows[0]?.segment ?? '';
  await waitForSegment(place, segment);
  return segment;
}

/** @throws {SuiteError} `PITR.ARCHIVE_STALLED` */
export async function waitForSegment(place: Place, segment: string): Promise<void> {
  const file = path.join(areaOf(place).wal, segment);
  for (const deadline = Date.now() + WAIT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    if (existsSync(file)) return;
  }
  const size = (await stat(place.log).catch(() => ({ size: 0 }))).size;
  const log = await readLog(place.log, Math.max(0, size - LOG_BYTES)).catch(() => '');
  throw archiveStalled(segment, WAIT_MS / 1_000, lastLines(log));
}
