import { type SourceItem, toReject } from '../source';
import { asRecord, parseJson } from './json-text';
import { RECORD_LIMIT_BYTES, readLines } from './lines';

const BLANK = /^[ \t\r]*$/;

/**
 * Reads one JSON object a line. A line that cannot be read is one reject with its line and the byte of the error; blank lines
 * are skipped.
 * @param name the file in positions
 * @throws {SuiteError} `IMPORT.CANNOT_READ`
 */
export async function* readJsonLines(file: string, name: string): AsyncGenerator<SourceItem> {
  let record = 0;
  for await (const { number, byte, bytes, isEnded } of readLines(file)) {
    if (bytes !== null && bytes.length < 100 && BLANK.test(bytes.toString('latin1'))) continue;
    record += 1;
    const position = { file: name, record, line: number, byte };
    if (bytes === null) {
      yield { position, code: 'TOO_LONG', reason: `The line is longer than ${RECORD_LIMIT_BYTES} bytes` };
      continue;
    }
    try {
      yield { position, value: asRecord(parseJson(bytes)) };
    } catch (error) {
      const reject = toReject(error, position);
      const isTruncated = !isEnded && reject.code === 'INVALID_JSON';
      yield isTruncated ? { ...reject, reason: `${reject.reason}; it is the last line, and nothing ends it` } : reject;
    }
  }
}
