import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { cannotRead, nodeErrorCode, sourceChanged } from './errors';

/** The content of the files of a source: equal digests mean that an interrupted import can continue where it was. */
export interface Digest {
  readonly value: string;
  /** @throws {SuiteError} `IMPORT.SOURCE_CHANGED` if a file was written to since the digest was made */
  requireUnchanged(): Promise<void>;
}

/**
 * Hashes files, whose absence is part of the digest.
 * @throws {SuiteError} `IMPORT.CANNOT_READ`
 */
export async function digestFiles(files: readonly string[]): Promise<Digest> {
  const states = await Promise.all(files.map(stateOf));
  const hash = createHash('sha256');
  for (const [at, file] of files.entries()) {
    hash.update(`${states[at] === 'absent' ? 'absent' : 'file'}\0`);
    if (states[at] !== 'absent') await update(hash, file);
  }
  const value = hash.digest('hex');
  const requireUnchanged = async () => {
    for (const [at, file] of files.entries()) {
      if ((await stateOf(file)) !== states[at]) throw sourceChanged(file);
    }
  };
  return { value, requireUnchanged };
}

async function update(hash: ReturnType<typeof createHash>, file: string): Promise<void> {
  try {
    await pipeline(createReadStream(file), async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) hash.update(chunk);
      hash.update('\0');
    });
  } catch (error) {
    throw cannotRead(file, error);
  }
}

async function stateOf(file: string): Promise<string> {
  try {
    const { size, mtimeNs, ino } = await stat(file, { bigint: true });
    return `${size} ${mtimeNs} ${ino}`;
  } catch (error) {
    if (nodeErrorCode(error) === 'ENOENT') return 'absent';
    throw cannotRead(file, error);
  }
}
