import { SuiteError } from '@azora/db-core';

export interface S3Location {
  readonly bucket: string;
  /** Of every key: '', or ends in a slash. */
  readonly prefix: string;
  /** For messages. */
  readonly text: string;
}

/** As S3 names its buckets: no `@`, colon or question mark, so no credentials and no options. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** The characters that S3 calls safe in keys, and `=`. */
const FOLDER = /^[\w!.*'()=-]+$/;

/**
 * Reads `s3://bucket/optional/prefix`.
 * @throws {SuiteError} `USAGE.BAD_LOCATION`
 */
export function parseS3Location(url: string): S3Location {
  const [bucket = '', ...rest] = url.replace(/^s3:\/\//i, '').split('/');
  if (!BUCKET.test(bucket)) throw badLocation('What stands after s3:// is not the name of a bucket.');
  const folders = rest.filter((folder) => folder !== '');
  if (folders.some((folder) => !FOLDER.test(folder) || folder === '.' || folder === '..')) {
    throw badLocation(`The prefix in the bucket ${bucket} may have letters, digits and ! _ . * ' ( ) = - only.`);
  }
  const prefix = folders.map((folder) => `${folder}/`).join('');
  return { bucket, prefix, text: `s3://${[bucket, ...folders].join('/')}` };
}

/** Does not tell the location: somebody may have put a password into it. */
export function badLocation(why: string): SuiteError {
  return new SuiteError('USAGE.BAD_LOCATION', 'Backups cannot be kept there', {
    kind: 'usage',
    why,
    next: 'Give a directory, or s3://bucket/prefix; credentials and endpoint are read from AWS_… variables',
  });
}
