import { SuiteError } from '@azora/db-core';
import { reasonOf } from '../../system/system-errors';

/** The services are on a server that is not ours to archive. */
export function notEmbedded(source: string): SuiteError {
  return new SuiteError('PITR.NOT_EMBEDDED', 'Point-in-time recovery is for the embedded server only', {
    kind: 'configuration',
    why: `The services are on the server of ${source}, whose files and settings this tool does not touch.`,
    next: 'Use scripts/pitr for the server of docker-compose.yml; elsewhere pgBackRest, WAL-G or what the provider has',
    meta: { source },
  });
}

/** There is no archive yet. */
export function notEnabled(directory: string): SuiteError {
  return new SuiteError('PITR.NOT_ENABLED', 'The embedded server does not archive its write-ahead log', {
    kind: 'configuration',
    why: `There is no archive in ${directory}.`,
    next: 'Run "azora-db pitr enable", then "azora-db pitr base"',
    meta: { directory },
  });
}

/** The archive is of a server that is gone. */
export function foreignArchive(directory: string): SuiteError {
  return new SuiteError('PITR.FOREIGN_ARCHIVE', `The archive in ${directory} is of another server`, {
    kind: 'configuration',
    why: 'The embedded server was made anew since, and the logs of two servers do not go together.',
    next: 'Move that directory away, or remove it if nothing of the former server is needed',
    meta: { directory },
  });
}

/** The server's account can run neither node nor a copy of it. */
export function noRuntime(node: string, reason: string): SuiteError {
  return new SuiteError('PITR.NO_RUNTIME', "The server's account cannot run the archive's script", {
    kind: 'configuration',
    why: `${reason}.`,
    next: 'Install Node where every account can run it, such as in /usr/bin',
    meta: { node },
  });
}

/** The server does not get a segment into the archive. */
export function archiveStalled(segment: string, seconds: number, log: string): SuiteError {
  return new SuiteError('PITR.ARCHIVE_STALLED', `${segment} was not archived within ${seconds} s`, {
    why: log,
    next: 'Run "azora-db pitr enable", which renews the command; see also whether the disk is full',
    meta: { segment },
  });
}

/** Copying the data directory does not cover tablespaces elsewhere. */
export function hasTablespaces(names: readonly string[]): SuiteError {
  return new SuiteError('PITR.TABLESPACES', 'The embedded server has tablespaces outside of its data', {
    kind: 'configuration',
    why: `A restored copy would write into the same directories: ${names.join(', ')}.`,
    next: 'Move their tables to pg_default and drop them',
    meta: { tablespaces: names },
  });
}

/** No room, or no right, for a base backup or a restored copy. */
export function unwritable(directory: string, cause: unknown): SuiteError {
  return new SuiteError('PITR.UNWRITABLE', `${directory} cannot be written`, {
    why: `${reasonOf(cause)}.`,
    next: 'Free some space there (a restore needs as much as the data); nothing of the server was changed',
    meta: { directory },
    cause,
  });
}

/** `--to` is neither a time, nor a place in the log, nor latest. */
export function badTarget(text: string): SuiteError {
  return new SuiteError('PITR.BAD_TARGET', `${JSON.stringify(text)} is no point to restore to`, {
    kind: 'usage',
    why: 'It must be a time with its zone (2026-01-31T12:00:00Z, 2026-01-31T12:00:00.5+01:00), an LSN (0/1A2B3C8) or latest.',
    next: 'See "azora-db pitr status" for what one can restore to',
    meta: { target: text },
  });
}

/** No base backup is older than the point. */
export function beforeFirstBase(target: string, first: string | undefined): SuiteError {
  return new SuiteError('PITR.TARGET_BEFORE_BASE', `No base backup is older than ${target}`, {
    kind: 'usage',
    why: first === undefined ? 'There is none on this timeline.' : `The first one can be restored from ${first} on.`,
    next: 'Choose a later point; "azora-db pitr base" makes a base backup for the time to come',
    meta: { target, first: first ?? null },
  });
}

/** The point is later than all that there is. */
export function afterEnd(target: string, end: string): SuiteError {
  return new SuiteError('PITR.TARGET_AFTER_END', `${target} is after the end of the archive`, {
    kind: 'usage',
    why: `It reaches to ${end}.`,
    next: 'Choose an earlier point, or --to latest',
    meta: { target, end },
  });
}

/** `--timeline` names one that is not in the archive. */
export function unknownTimeline(timeline: number, known: readonly number[]): SuiteError {
  return new SuiteError('PITR.UNKNOWN_TIMELINE', `The archive has no timeline ${timeline}`, {
    kind: 'usage',
    why: `There are: ${known.join(', ')}.`,
    next: 'Leave --timeline out to restore along the present one',
    meta: { timeline, known },
  });
}

/** Another restore is at it. */
export function busy(directory: string): SuiteError {
  return new SuiteError('PITR.BUSY', 'Another restore of the embedded server is running', {
    why: `It works in ${directory}.`,
    next: 'Wait until it has ended',
    meta: { directory },
  });
}

/** The copy did not get to the point; the server was not touched. */
export function recoveryFailed(target: string, log: string): SuiteError {
  return new SuiteError('PITR.RECOVERY_FAILED', `The restored copy did not get to ${target}`, {
    why: log,
    next: 'Choose another point ("azora-db pitr status"); the server and its data are as they were',
    meta: { target },
  });
}

/** Ctrl-C came while files were copied. */
export function interrupted(): SuiteError {
  return new SuiteError('PITR.INTERRUPTED', 'Interrupted: what was copied so far is removed', {
    why: 'The server and its data are as they were.',
    next: 'Run the command again',
  });
}
