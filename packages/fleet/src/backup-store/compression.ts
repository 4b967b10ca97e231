import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import { SuiteError } from '@azora/db-core';
import { codeOf } from '../system/system-errors';

/** How a backup compresses rows. A set may hold files of both kinds, because it takes files of earlier sets over. */
export type Compression = 'gzip' | 'zstd';

/** The last of zlib's fast levels: a third of the time of level 6, pg_dump's, for files that are a tenth larger. */
const GZIP_LEVEL = 3;
/** The output of zlib's thread per call. Its default of 16 KiB costs a thread switch each. */
const CHUNK_BYTES = 256 * 1024;

/** The part of `node:zlib` that Node.js has from 22.15 on. The types are those of the oldest version that the suite supports. */
interface Zstd {
  readonly createZstdCompress: (options: { readonly chunkSize: number }) => Transform;
  readonly createZstdDecompress: (options: { readonly chunkSize: number }) => Transform;
}

/** The end of the name of a file with rows. */
export function suffixOf(compression: Compression): string {
  return compression === 'gzip' ? '.gz' : '.zst';
}

/** Undefined for a file that is not compressed, by its name. @throws {SuiteError} `BACKUP.NO_ZSTD` */
export function compressorFor(name: string): Transform | undefined {
  if (name.endsWith('.gz')) return zlib.createGzip({ level: GZIP_LEVEL, chunkSize: CHUNK_BYTES });
  return name.endsWith('.zst') ? requireZstd().createZstdCompress({ chunkSize: CHUNK_BYTES }) : undefined;
}

/** Undefined for a file that is not compressed, by its name. @throws {SuiteError} `BACKUP.NO_ZSTD` */
export function decompressorFor(name: string): Transform | undefined {
  if (name.endsWith('.gz')) return zlib.createGunzip({ chunkSize: CHUNK_BYTES });
  return name.endsWith('.zst') ? requireZstd().createZstdDecompress({ chunkSize: CHUNK_BYTES }) : undefined;
}

/** Whether the error of a decompressor says that its input is damaged. */
export function isDamage(error: unknown): boolean {
  return /^(Z_|ZSTD_)/.test(String(codeOf(error)));
}

/** @throws {SuiteError} `BACKUP.NO_ZSTD` */
export function requireZstd(of: Partial<Zstd> = zlib as Partial<Zstd>): Zstd {
  const { createZstdCompress, createZstdDecompress } = of;
  if (createZstdCompress !== undefined && createZstdDecompress !== undefined) {
    return { createZstdCompress, createZstdDecompress };
  }
  throw new SuiteError('BACKUP.NO_ZSTD', `Node.js ${process.versions.node} has no zstd`, {
    kind: 'configuration',
    why: 'zstd is part of Node.js from 22.15 on.',
    next: 'Use Node.js 22.15 or later; a backup can use --compression gzip instead',
    meta: { node: process.versions.node },
  });
}
