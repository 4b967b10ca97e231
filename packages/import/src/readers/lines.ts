import { createReadStream } from 'node:fs';
import { cannotRead } from '../errors';

/** The longest record of a file. A longer one is rejected without being held in memory. */
export const RECORD_LIMIT_BYTES = 64 * 1024 * 1024;

const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** One line without its end. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** The offset of its first byte in the file. */
  readonly byte: number;
  /** Null for a line that is longer than {@link RECORD_LIMIT_BYTES}. */
  readonly bytes: Buffer | null;
  /** Whether a line feed ends it. The last line of a truncated file has none. */
  readonly isEnded: boolean;
}

/**
 * Reads a file in chunks, without a byte order mark. A chunk is only valid until the next one is asked for.
 * @throws {SuiteError} `IMPORT.CANNOT_READ`
 */
export async function* readChunks(file: string): AsyncGenerator<{ readonly byte: number; readonly bytes: Buffer }> {
  let byte = 0;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
      const bytes: Buffer = chunk;
      const mark = byte === 0 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
      if (bytes.length > mark) yield { byte: byte + mark, bytes: bytes.subarray(mark) };
      byte += bytes.length;
    }
  } catch (error) {
    throw cannotRead(file, error);
  }
}

/**
 * Reads the lines of a file, empty ones included, and holds one line in memory at a time.
 * @throws {SuiteError} `IMPORT.CANNOT_READ`
 */
export async function* readLines(file: string): AsyncGenerator<Line> {
  let number = 1;
  let start = 0;
  let parts: Buffer[] = [];
  let length = 0;
  const lineOf = (last: Buffer, isEnded: boolean): Line => {
    const total = length + last.length;
    if (total > RECORD_LIMIT_BYTES) return { number, byte: start, bytes: null, isEnded };
    const bytes = parts.length === 0 ? last : Buffer.concat([...parts, last], total);
    return { number, byte: start, bytes: bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes, isEnded };
  };
  for await (const { byte, bytes } of readChunks(file)) {
    if (length === 0 && number === 1) start = byte;
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      yield lineOf(bytes.subarray(from, end), true);
      parts = [];
      length = 0;
      number += 1;
      from = end + 1;
      start = byte + from;
    }
    const rest = bytes.subarray(from);
    length += rest.length;
    if (length > RECORD_LIMIT_BYTES) parts = [];
    // The stream reuses no chunk, so the rest of one may be kept without a copy.
    else if (rest.length > 0) parts.push(rest);
  }
  if (length > 0) yield lineOf(Buffer.alloc(0), false);
}
