import path from 'node:path';
import { directoryStorage } from './directory';
import { badLocation } from './s3-location';
import type { Storage } from './storage';

/** Two letters at least: one is a drive of Windows. */
const SCHEME = /^([a-z][a-z0-9+.-]+):\/\//i;

/**
 * Where backup sets are kept: `s3://bucket/prefix`, otherwise a directory.
 * @throws {SuiteError} `USAGE.BAD_LOCATION`
 */
export async function openStorage(location: string): Promise<Storage> {
  const scheme = SCHEME.exec(location)?.[1]?.toLowerCase();
  if (scheme === undefined) return directoryStorage(path.resolve(location));
  if (scheme !== 's3') throw badLocation(`${scheme}:// is not known.`);
  // The SDK takes a tenth of a second to load, and few need it.
  const { s3Storage } = await import('./s3.js');
  return s3Storage(location);
}
