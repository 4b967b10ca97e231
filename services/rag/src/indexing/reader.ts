import type * as Reader from '@azora/code';
import { readerMissing } from '../errors';

/** The functions that read source trees. */
export type CodeReader = typeof Reader;

/**
 * Names how files are cut into chunks and read into nodes and edges. It changes whenever the same file gives others, so that the next index
 * reads all files again.
 */
export const READER_VERSION = 'code-2';

/**
 * Loads the optional package that reads source trees.
 * @throws {SuiteError} `RAG.READER_MISSING`
 */
export async function loadReader(): Promise<CodeReader> {
  try {
    return await import('@azora/code');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw readerMissing(error);
  }
}
