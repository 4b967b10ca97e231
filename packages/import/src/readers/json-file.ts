import type { SourceItem } from '../source';
import { readJsonDocument } from './json-document';
import { readJsonLines } from './json-lines';
import { parseJson } from './json-text';
import { readLines } from './lines';

/** The lines that tell the form of a file. One of them may be broken. */
const TELLING_LINES = 2;

/**
 * Reads a JSON file in either form: JSON lines if its name ends with `.jsonl`, or if one of its first two lines is a whole object
 * and not the only line; otherwise one document.
 * @param name the file in positions
 * @throws {SuiteError} `IMPORT.CANNOT_READ`
 */
export async function* readJsonFile(file: string, name: string): AsyncGenerator<SourceItem> {
  const hasLines = name.endsWith('.jsonl') || (await looksLikeLines(file));
  yield* hasLines ? readJsonLines(file, name) : readJsonDocument(file, name);
}

async function looksLikeLines(file: string): Promise<boolean> {
  let seen = 0;
  let isTold = false;
  for await (const { bytes } of readLines(file)) {
    if (bytes !== null && bytes.length === 0) continue;
    if (isTold && seen > 0) return true;
    // A document that is an array begins like this, and its elements may be lines.
    if (bytes === null || bytes.toString('latin1', 0, 100).trimStart()[0] !== '{') return false;
    seen += 1;
    isTold ||= isObject(bytes);
    if (isTold && seen === TELLING_LINES) return true;
    if (seen === TELLING_LINES) return false;
  }
  return false;
}

function isObject(bytes: Buffer): boolean {
  try {
    parseJson(bytes);
    return true;
  } catch {
    return false;
  }
}
