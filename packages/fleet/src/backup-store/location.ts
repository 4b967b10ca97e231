import { stat } from 'node:fs/promises';
import path from 'node:path';
import { isRecord, SuiteError } from '@azora/db-core';
import type { Environment } from '../system/child-environment';
import { codeOf } from '../system/system-errors';
import { directoryStorage } from './directory';
import type { S3Location } from './s3-bucket';
import { SET_ID, type Storage } from './storage';

/** A part of the path is a file, the path or a name in it is too long, or a chain of links has no end. */
const NEVER_A_DIRECTORY: ReadonlySet<string> = new Set(['ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);
/** At least two letters, because a single letter is a Windows drive. */
const SCHEME = /^([a-z][a-z0-9+.-]+):\/\//i;
/** The bucket names that S3 accepts. None has an `@`, a colon or a question mark: no credentials and no options. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const SEPARATOR = /[\\/]/;
/** The characters that S3 calls safe in keys, and `=`. */
const FOLDER = /^[\w!.*'()=-]+$/;

/**
 * Opens the place that keeps backup sets: `s3://bucket/prefix`, or a directory.
 * @param environment holds the `AWS_…` variables of the S3 client
 * @throws {SuiteError} `USAGE.BAD_LOCATION`, `BACKUP.NO_S3_CLIENT`
 */
export async function openStorage(location: string, environment: Environment): Promise<Storage> {
  // path.resolve('') is the working directory, where a script with an empty variable does not want its sets.
  if (location === '' || location.includes('\0')) throw badLocation('It is empty, or contains a NUL character.');
  const scheme = SCHEME.exec(location)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    const directory = path.resolve(location);
    await rejectOtherThanDirectory(directory);
    return directoryStorage(directory);
  }
  if (scheme !== 's3') throw badLocation(`${scheme}:// is not supported.`);
  const parsed = parseS3Location(location);
  const { s3Storage } = await loadS3();
  return s3Storage(parsed, environment);
}

/** A directory that does not exist yet is fine: the first backup creates it. */
async function rejectOtherThanDirectory(directory: string): Promise<void> {
  const isPossible = await stat(directory).then(
    (found) => found.isDirectory(),
    (error: unknown) => !NEVER_A_DIRECTORY.has(String(codeOf(error))),
  );
  if (!isPossible) throw badLocation('Its path leads to a file, or cannot be a path.');
}

/** The SDK takes a tenth of a second to load, and only buckets need it. */
async function loadS3() {
  try {
    return await import('./s3.js');
  } catch (error) {
    const isMissing = isRecord(error) && /_NOT_FOUND$/.test(String(error['code']));
    if (!isMissing || !/'@aws-sdk\//.test(String(error['message']))) throw error;
    throw new SuiteError('BACKUP.NO_S3_CLIENT', 'The S3 client is not installed', {
      kind: 'configuration',
      why: 'The AWS SDK is an optional peer dependency of @azora/db-fleet; only backup sets in a bucket need it.',
      next: 'Run "npm install @aws-sdk/client-s3 @aws-sdk/lib-storage", or keep backup sets in a directory',
      cause: error,
    });
  }
}

/**
 * Splits the path of a set, `<location>/<id>`, with the separators of any system. Undefined for a name without separators.
 * @throws {SuiteError} `BACKUP.UNKNOWN_SET` when the last part is not the id of a set
 */
export function splitSetPath(text: string): { readonly location: string; readonly set: string } | undefined {
  if (!SEPARATOR.test(text)) return undefined;
  // A shell adds a separator when it completes the name of a folder.
  const trimmed = text.replace(/[\\/]+$/, '');
  const end = Math.max(trimmed.lastIndexOf('/'), trimmed.lastIndexOf('\\'));
  const set = trimmed.slice(end + 1);
  if (!SET_ID.test(set)) throw notASet(text);
  const location = end === -1 ? '.' : trimmed.slice(0, end);
  // The root of a file system and of a Windows drive keep their separator.
  return { location: location === '' || location.endsWith(':') ? trimmed.slice(0, end + 1) : location, set };
}

/** Parses `s3://bucket/optional/prefix`. @throws {SuiteError} `USAGE.BAD_LOCATION` */
export function parseS3Location(url: string): S3Location {
  const [bucket = '', ...rest] = url.replace(/^s3:\/\//i, '').split('/');
  if (!BUCKET.test(bucket)) throw badLocation('The part after s3:// is not a valid bucket name.');
  const folders = rest.filter((folder) => folder !== '');
  if (folders.some((folder) => !FOLDER.test(folder) || folder === '.' || folder === '..')) {
    throw badLocation(`The prefix in the bucket ${bucket} may contain only letters, digits and ! _ . * ' ( ) = -.`);
  }
  const prefix = folders.map((folder) => `${folder}/`).join('');
  return { bucket, prefix, text: `s3://${[bucket, ...folders].join('/')}` };
}

/** Leaves the location out of every text: the URL may hold a password. */
function badLocation(why: string): SuiteError {
  return new SuiteError('USAGE.BAD_LOCATION', 'The location for backup sets is not valid', {
    kind: 'usage',
    why,
    next: 'Give a directory or s3://bucket/prefix; credentials and endpoint come from AWS_… variables',
  });
}

function notASet(text: string): SuiteError {
  return new SuiteError('BACKUP.UNKNOWN_SET', `There is no backup set at ${text}`, {
    kind: 'usage',
    why: 'The last part of the path must be the id of a set, such as 20260131T120000123Z-0a1b2c.',
    next: 'Name the folder of the set, which contains manifest.json',
    meta: { path: text },
  });
}
