import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { cannotRead } from '../errors';

/** A file of a legacy folder. */
export interface LegacyFile {
  /** Relative to the folder, with `/`. */
  readonly name: string;
  readonly path: string;
}

/**
 * The files of a folder and of one folder inside it, by name.
 * @throws {SuiteError} `IMPORT.CANNOT_READ`
 */
export async function listFiles(folder: string, inner?: string): Promise<readonly LegacyFile[]> {
  const files = await filesIn(folder, '');
  const has =
    inner !== undefined && (await stat(path.join(folder, inner)).catch(() => undefined))?.isDirectory() === true;
  return has ? [...files, ...(await filesIn(folder, inner))] : files;
}

async function filesIn(folder: string, inner: string): Promise<readonly LegacyFile[]> {
  const place = path.join(folder, inner);
  try {
    const entries = await readdir(place, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map(({ name }) => ({ name: path.posix.join(inner, name), path: path.join(place, name) }))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  } catch (error) {
    throw cannotRead(place, error);
  }
}
