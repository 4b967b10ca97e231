import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { type DatabaseUrl, SuiteError, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { lastLines, readLog } from '../../system/logs';
import { reasonOf } from '../../system/system-errors';
import { type Account, giveTo } from '../embedded/account';
import type { Binaries } from '../embedded/binaries';
import type { Place } from '../embedded/place';
import { stopPlace } from '../embedded/postmaster';
import { launchUntilReady } from '../embedded/server';
import { ifExists, writeOwned } from './archive-layout';
import { readIdentity } from './archiver';
import { copyTree } from './copy';
import { type Target, targetText } from './plan';
import { type Lsn, lsnText, parseLsn } from './wal';

/** The result of a recovery. */
export interface Recovered {
  /** The time of the last recovered commit; null when the log had none after the base backup. */
  readonly lastCommitAt: string | null;
  readonly lsn: string;
  readonly timeline: number;
  readonly databases: number;
}

export interface Recovery {
  readonly target: Target;
  /** The end of the archived log that the recovery can reach. */
  readonly end: Lsn;
  readonly segmentBytes: number;
  readonly timeline: number;
  readonly archiveCommand: string;
  readonly restoreCommand: string;
  /** Once aborted, the recovery is stopped. */
  readonly signal?: AbortSignal | undefined;
}

/** Long enough to replay any log. A server that cannot continue ends by itself. */
const RECOVERY_TIMEOUT_MS = 12 * 3_600_000;
const CONFIGURATION = 'postgresql.auto.conf';
const RECOVERY_SETTING = /^\s*(archive_mode|archive_command|restore_command|recovery_\w+|hot_standby)\s*=/;

/** Copies a base backup, so that a server can start on the copy. */
export async function copyBase(
  from: string,
  next: Place,
  account: Account | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  await copyTree(from, next.data, { account, signal });
  // A base backup may lack these two directories.
  for (const name of ['pg_wal/archive_status', 'pg_wal/summaries']) {
    const directory = path.join(next.data, name);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await giveTo(account, directory);
  }
}

/**
 * Starts a separate server on the copy, lets it recover to the target and end recovery, reads from each of its databases,
 * and stops it.
 * @throws {SuiteError} `PITR.RECOVERY_FAILED`; the reason of the signal when it was aborted
 */
export async function recover(
  next: Place,
  account: Account | undefined,
  binaries: Binaries,
  recovery: Recovery,
): Promise<Recovered> {
  const configuration = path.join(next.data, CONFIGURATION);
  const settings = await settingsFor(configuration, recovery.archiveCommand);
  try {
    await writeOwned(configuration, settings + recoverySettings(recovery), account);
    await writeOwned(path.join(next.data, 'recovery.signal'), '', account);
    const { url } = await launchUntilReady(next, account, binaries, {
      timeoutMs: RECOVERY_TIMEOUT_MS,
      signal: recovery.signal,
    });
    const recovered = await inspect(url);
    refuseShort(recovered, recovery);
    await stopPlace(next);
    await writeOwned(configuration, settings, account);
    await rm(next.log, { force: true });
    return recovered;
  } catch (error) {
    const log = await logOf(next);
    const problems = [log === '' ? reasonOf(error) : lastLines(log), ...(await stopAfterFailure(next))];
    recovery.signal?.throwIfAborted();
    throw recoveryFailed(targetText(recovery.target), problems.join('\n'), error);
  }
}

/** Empty when the server wrote no log. The caller reports its own error then. */
async function logOf(next: Place): Promise<string> {
  try {
    return (await ifExists(() => readLog(next.log, 0))) ?? '';
  } catch (error) {
    return `The log of the copy cannot be read: ${reasonOf(error)}.`;
  }
}

/** Returns further problems instead of throwing them: the failed recovery is the one to report. */
async function stopAfterFailure(next: Place): Promise<readonly string[]> {
  try {
    await stopPlace(next);
    await rm(next.log, { force: true });
    return [];
  } catch (error) {
    return [`The copy in ${next.data} could not be cleaned up: ${reasonOf(error)}.`];
  }
}

/** Without a target, PostgreSQL takes the first record that is not valid for the end of the log, and says nothing. */
function refuseShort({ lsn }: Recovered, { target, end, segmentBytes }: Recovery): void {
  const isWhole = target.kind === 'time' || (target.kind === 'lsn' && target.lsn < end);
  if (isWhole || parseLsn(lsn) > end - BigInt(segmentBytes)) return;
  throw new Error(`The log ends at ${lsn}, but the archive reaches ${lsnText(end)}: a segment is damaged`);
}

function recoveryFailed(target: string, log: string, cause: unknown): SuiteError {
  return new SuiteError('PITR.RECOVERY_FAILED', `Recovery did not reach ${target}`, {
    why: log,
    next: 'Choose another point ("npx azora-db pitr status" shows which); the server and its data are unchanged',
    meta: { target },
    cause,
  });
}

/** Keeps the port, which is in a file that a base backup does not have, so that URLs stay valid. */
export async function keepPort(place: Place, next: Place, account: Account | undefined): Promise<void> {
  const [from, to] = [place, next].map(({ data }) => path.join(data, 'postmaster.opts'));
  if (from === undefined || to === undefined) return;
  const copied = await ifExists(() => copyFile(from, to).then(() => true));
  if (copied) await giveTo(account, to);
}

/** The settings of the base backup with the current archive command, which may have changed since. */
async function settingsFor(configuration: string, archiveCommand: string): Promise<string> {
  const lines = (await readFile(configuration, 'utf8')).split('\n').filter((line) => !RECOVERY_SETTING.test(line));
  return `${lines.join('\n').trimEnd()}\n${lineOf('archive_mode', 'on')}${lineOf('archive_command', archiveCommand)}`;
}

function recoverySettings({ target, end, timeline, restoreCommand }: Recovery): string {
  const wanted: Record<string, string> = {
    restore_command: restoreCommand,
    recovery_target_timeline: String(timeline),
    recovery_target_action: 'promote',
    // No session may read from the server before it has reached the target.
    hot_standby: 'off',
  };
  // PostgreSQL parses this setting before it knows time zone abbreviations such as Z.
  if (target.kind === 'time') wanted['recovery_target_time'] = target.time.replace('Z', '+00');
  // The end of the archive is reached without a target: no record begins there that could stop the recovery.
  if (target.kind === 'lsn' && target.lsn < end) {
    wanted['recovery_target_lsn'] = lsnText(target.lsn);
    // pg_current_wal_lsn() returned the start of the next record, which must not be replayed.
    wanted['recovery_target_inclusive'] = 'off';
  }
  return Object.entries(wanted)
    .map(([name, value]) => lineOf(name, value))
    .join('');
}

function lineOf(name: string, value: string): string {
  return `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`;
}

async function inspect(url: DatabaseUrl): Promise<Recovered> {
  const { databases, ...recovered } = await withClient(url, async (client) => {
    const { timeline } = await readIdentity(client);
    const { rows } = await client.query<{ at: string | null; lsn: string; databases: string[] }>(
      `SELECT to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
              coalesce(pg_last_wal_replay_lsn(), pg_current_wal_lsn())::text AS lsn,
              (SELECT array_agg(datname::text) FROM pg_database WHERE datallowconn) AS databases`,
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the restored server did not report its position');
    return { lastCommitAt: row.at, lsn: row.lsn, timeline, databases: row.databases };
  });
  for (const database of databases) {
    await withClient(withUrlParts(url, { database }), (client) => client.query('SELECT count(*) FROM pg_class'));
  }
  return { ...recovered, databases: databases.length };
}
