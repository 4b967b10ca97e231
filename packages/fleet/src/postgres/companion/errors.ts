import { SuiteError } from '@azora/db-core';
import { reasonOf } from '../embedded/errors';

/** The companion's host ended while it started. */
export function startFailed(service: string, logFile: string, log: string): SuiteError {
  return new SuiteError('COMPANION.START_FAILED', `The companion server of ${service} did not start`, {
    why: log,
    next: `See ${logFile}; with a variable such as ${service.toUpperCase()}_DATABASE_URL no companion is needed`,
    meta: { service, log: logFile },
  });
}

/** The disk is full. */
export function diskFull(directory: string, log: string): SuiteError {
  return new SuiteError('COMPANION.DISK_FULL', `There is no space left for the companion server in ${directory}`, {
    why: log,
    next: 'Free some space, or set AZORA_HOME to a directory on another disk; what was committed is safe',
    meta: { directory },
  });
}

/** The companion is started, by this command or another, but does not answer. */
export function notReady(service: string, logFile: string, seconds: number, log: string): SuiteError {
  return new SuiteError('COMPANION.NOT_READY', `The companion server of ${service} was not ready after ${seconds} s`, {
    why: log,
    next: `Try again, and see ${logFile}`,
    meta: { service, log: logFile },
  });
}

/** A command that works on the companion's data, a restore or a removal, does not end. */
export function dataInUse(service: string, pid: number, seconds: number): SuiteError {
  return new SuiteError('COMPANION.IN_USE', `Another command works on the data of the companion server of ${service}`, {
    why: `Process ${pid} has not ended after ${seconds} s.`,
    next: 'Wait until it has, or end it: the next command then sweeps what it left',
    meta: { service, pid },
  });
}

/** The host did not end. */
export function stopFailed(service: string, pid: number, cause: unknown): SuiteError {
  return new SuiteError('COMPANION.STOP_FAILED', `The companion server of ${service} with pid ${pid} did not stop`, {
    why: `${reasonOf(cause)}.`,
    next: 'Run the command as the user who started it',
    meta: { service, pid },
    cause,
  });
}

/** The home cannot be written. */
export function homeUnusable(directory: string, cause: unknown): SuiteError {
  return new SuiteError('COMPANION.HOME_UNUSABLE', `${directory} cannot hold a companion server`, {
    kind: 'configuration',
    why: `${reasonOf(cause)}.`,
    next: 'Make it writable for you, or set AZORA_HOME to a directory that is',
    meta: { directory },
    cause,
  });
}
