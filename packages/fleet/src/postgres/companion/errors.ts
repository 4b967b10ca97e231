import { SuiteError } from '@azora/db-core';
import { reasonOf } from '../../system/system-errors';

/** COMPANION.START_FAILED: the companion's host process ended during its start. */
export function startFailed(service: string, logFile: string, log: string): SuiteError {
  return new SuiteError('COMPANION.START_FAILED', `The companion server of ${service} did not start`, {
    why: log,
    next: `Read ${logFile}; a service whose URL is set, such as ${service.toUpperCase()}_DATABASE_URL, needs no companion`,
    meta: { service, log: logFile },
  });
}

/** COMPANION.DISK_FULL: no space is left for the companion. */
export function diskFull(directory: string, log: string): SuiteError {
  return new SuiteError('COMPANION.DISK_FULL', `No space is left for the companion server in ${directory}`, {
    why: log,
    next: 'Free some space, or set AZORA_HOME to a directory on another disk; committed rows are safe',
    meta: { directory },
  });
}

/** COMPANION.NOT_READY: this command or another one started the companion, but it does not answer. */
export function notReady(service: string, logFile: string, seconds: number, log: string): SuiteError {
  return new SuiteError('COMPANION.NOT_READY', `The companion server of ${service} was not ready after ${seconds} s`, {
    why: log,
    next: `Try again, and read ${logFile}`,
    meta: { service, log: logFile },
  });
}

/** COMPANION.IN_USE: a command that works on the companion's data, a restore or a removal, does not end. */
export function dataInUse(service: string, pid: number, seconds: number): SuiteError {
  return new SuiteError('COMPANION.IN_USE', `Another command uses the data of the companion server of ${service}`, {
    why: `Process ${pid} has not ended after ${seconds} s.`,
    next: 'Wait until it has ended, or end it: the next command then removes its unfinished work',
    meta: { service, pid },
  });
}

/** COMPANION.STOP_FAILED: the host process did not end. */
export function stopFailed(service: string, pid: number, cause: unknown): SuiteError {
  return new SuiteError('COMPANION.STOP_FAILED', `The companion server of ${service} with pid ${pid} did not stop`, {
    why: `${reasonOf(cause)}.`,
    next: 'Run the command as the user who started the companion',
    meta: { service, pid },
    cause,
  });
}

/** COMPANION.HOME_UNUSABLE: the companion's directory cannot be written. */
export function homeUnusable(directory: string, cause: unknown): SuiteError {
  return new SuiteError('COMPANION.HOME_UNUSABLE', `A companion server cannot be kept in ${directory}`, {
    kind: 'configuration',
    why: `${reasonOf(cause)}.`,
    next: 'Make the directory writable, or set AZORA_HOME to one that is',
    meta: { directory },
    cause,
  });
}
