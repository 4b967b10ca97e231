import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';

export interface Asset {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
  /** Its name changes with its content. */
  readonly isHashed: boolean;
}

/** By file name; what is not in here is not served. */
export type Assets = ReadonlyMap<string, Asset>;

/** The built page, in the checkout or in an installed package. */
export const PAGE_DIRECTORY = path.join(path.dirname(require.resolve('@azora/db-studio/package.json')), 'dist');

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  // LICENSE and NOTICE.
  '': 'text/plain; charset=utf-8',
};
const HASHED = /-[A-Z0-9]{8}\.(js|css)$/;
const NEEDED = ['page.js', 'page.css', 'env.js'];

/**
 * Reads the files of the page, once.
 * @throws {SuiteError} `STUDIO.NOT_BUILT`
 */
export async function readAssets(directory: string): Promise<Assets> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isFile() && path.extname(entry.name) in TYPES).map(({ name }) => name);
  const missing = NEEDED.filter((name) => !names.includes(name));
  if (missing.length > 0) throw notBuilt(directory, missing);
  const assets = await Promise.all(
    names.map(async (name): Promise<[string, Asset]> => {
      const body = await readFile(path.join(directory, name));
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
      return [name, { body, type: TYPES[path.extname(name)] ?? '', etag, isHashed: HASHED.test(name) }];
    }),
  );
  return new Map(assets);
}

function notBuilt(directory: string, missing: readonly string[]): SuiteError {
  return new SuiteError('STUDIO.NOT_BUILT', 'The page of the studio is not built', {
    kind: 'configuration',
    why: `${missing.join(', ')} not found in ${directory}.`,
    next: 'Run "npm run build"',
  });
}
