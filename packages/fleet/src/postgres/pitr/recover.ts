import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { type DatabaseUrl, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { lastLines, readLog } from '../../system/logs';
import { reasonOf } from '../../system/system-errors';
import { type Account, giveTo } from '../embedded/account';
import type { Binaries } from '../embedded/binaries';
import type { Place } from '../embedded/place';
import { stopPlace } from '../embedded/postmaster';
import { launchUntilReady } from '../embedded/server';
import { readIdentity } from './archiver';
import { copyTree } from './copy';
import { recoveryFailed } from './errors';
import { writeOwned } from './programs';
import { type Target, targetText } from './target';
import { lsnText } from './wal';

/** Where a recovery came to. */
export interface Recovered {
  /** The last commit that is in it; null when the log had none after the base backup. */
  readonly lastCommitAt: string | null;
  readonly lsn: string;
  readonly timeline: number;
  readonly databases: number;
}

export interface Recovery {
  readonly target: Target;
  readonly timeline: number;
  readonly archiveCommand: string;
  readonly restoreCommand: string;
}

/** As long as a log takes to be replayed; a server that cannot go on ends by itself. */
const RECOVERY_TIMEOUT_MS = 12 * 3_600_000;
const CONFIGURATION = 'postgresql.auto.conf';
const RECOVERY_SETTING = /^\s*(archive_mode|archive_command|restore_command|recovery_\w+|hot_standby)\s*=/;

/** Copies a base backup to where a server can start on it. */
export async function copyBase(
  from: string,
  next: Place,
  account: Account | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  await copyTree(from, next.data, { account, signal });
  // A base backup keeps these two empty or not at all.
  for (const name of ['pg_wal/archive_status', 'pg_wal/summaries']) {
    const directory = path.join(next.data, name);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await giveTo(account, directory);
  }
}

/**
 * Starts a server on the copy, apart from the one that runs, lets it recover to the target and become a server of its
 * own, looks into each of its databases, and stops it.
 * @throws {SuiteError} `PITR.RECOVERY_FAILED`
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
    const { url } = await launchUntilReady(next, account, binaries, RECOVERY_TIMEOUT_MS);
    const recovered = await lookInto(url);
    await stopPlace(next);
    await writeOwned(configuration, settings, account);
    return recovered;
  } catch (error) {
    await stopPlace(next);
    const log = await readLog(next.log, 0).catch(() => '');
    throw recoveryFailed(targetText(recovery.target), log === '' ? reasonOf(error) : lastLines(log));
  } finally {
    await rm(next.log, { force: true });
  }
}

/** The port is noted in a file that a base backup does not have: URLs stay good. */
export async function keepPort(place: Place, next: Place, account: Account | undefined): Promise<void> {
  const [from, to] = [place, next].map(({ data }) => path.join(data, 'postmaster.opts'));
  if (from === undefined || to === undefined) return;
  await copyFile(from, to).then(
    () => giveTo(account, to),
    () => undefined,
  );
}

/** Those of the base backup, with the archive as it is now: its command may have changed since. */
async function settingsFor(configuration: string, archiveCommand: string): Promise<string> {
  const lines = (await readFile(configuration, 'utf8')).split('\n').filter((line) => !RECOVERY_SETTING.test(line));
  return `${lines.join('\n').trimEnd()}\n${lineOf('archive_mode', 'on')}${lineOf('archive_command', archiveCommand)}`;
}

function recoverySettings({ target, timeline, restoreCommand }: Recovery): string {
  const wanted: Record<string, string> = {
    restore_command: restoreCommand,
    recovery_target_timeline: String(timeline),
    recovery_target_action: 'promote',
    // Nobody is to read from it before it has come to its target.
    hot_standby: 'off',
  };
  // PostgreSQL reads its settings before it knows the abbreviations of zones, Z among them.
  if (target.kind === 'time') wanted['recovery_target_time'] = target.time.replace('Z', '+00');
  if (target.kind === 'lsn') {
    wanted['recovery_target_lsn'] = lsnText(target.lsn);
    // What pg_current_wal_lsn() gave is where the next record begins, which is not to be in it.
    wanted['recovery_target_inclusive'] = 'off';
  }
  return Object.entries(wanted)
    .map(([name, value]) => lineOf(name, value))
    .join('');
}

function lineOf(name: string, value: string): string {
  return `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`;
}

async function lookInto(url: DatabaseUrl): Promise<Recovered> {
  const { databases, ...recovered } = await withClient(url, async (client) => {
    const { timeline } = await readIdentity(client);
    const { rows } = await client.query<{ at: string | null; lsn: string; databases: string[] }>(
      `SELECT to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
              coalesce(pg_last_wal_replay_lsn(), pg_current_wal_lsn())::text AS lsn,
              (SELECT array_agg(datname::text) FROM pg_database WHERE datallowconn) AS databases`,
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the restored server does not say where it is');
    return { lastCommitAt: row.at, lsn: row.lsn, timeline, databases: row.databases };
  });
  for (const database of databases) {
    await withClient(withUrlParts(url, { database }), (client) => client.query('SELECT count(*) FROM pg_class'));
  }
  return { ...recovered, databases: databases.length };
}
