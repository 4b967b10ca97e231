import { SuiteError } from '@azora/db-core';

export function fileMissing(set: string, file: string): SuiteError {
  return new SuiteError('BACKUP.NO_FILE', `The set ${set} lacks ${file}`, {
    kind: 'finding',
    why: 'Its manifest names the file.',
    next: 'Use another set, or another copy of this one',
    meta: { set, file },
  });
}

export function fileDamaged(set: string, file: string, why: string): SuiteError {
  return new SuiteError('BACKUP.DAMAGED', `${file} of the set ${set} is damaged`, {
    kind: 'finding',
    why,
    next: 'Use another set, or another copy of this one',
    meta: { set, file },
  });
}

export function setUnknown(set: string, known: readonly string[], location: string): SuiteError {
  const newest = known.at(-1);
  return new SuiteError('BACKUP.UNKNOWN_SET', `There is no set ${set} in ${location}`, {
    kind: 'usage',
    next:
      newest === undefined
        ? 'Make one with "npm run db:backup"'
        : `The newest is ${newest}; "azora-db backup list" shows all`,
    meta: { set, location },
  });
}

/** Passes on what is the suite's already, or is not of the file system. */
export function storageFailed(location: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof SuiteError || code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  return new SuiteError('BACKUP.STORAGE_FAILED', `The backup directory ${location} cannot be used`, {
    why: isFull ? 'No space is left on its disk.' : `${message}.`,
    next: isFull
      ? 'Free some, remove old sets with "azora-db backup prune", or use --out'
      : 'Correct its rights, or use --out',
    meta: { location, code },
    cause: error,
  });
}
