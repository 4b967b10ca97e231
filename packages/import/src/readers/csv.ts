import { Readable } from 'node:stream';
import { isRecord } from '@azora/db-core';
import { CsvError, parse } from 'csv-parse';
import { Rejection, type SourceItem, toReject } from '../source';
import { decodeText } from './json-text';
import { RECORD_LIMIT_BYTES, readChunks } from './lines';

/**
 * Reads the records of a CSV file with a header line (RFC 4180). An empty unquoted field is null. A record that cannot be read is
 * one reject.
 * @param name the file in positions
 * @throws {SuiteError} `IMPORT.CANNOT_READ`
 */
export async function* readCsv(file: string, name: string, delimiter: string): AsyncGenerator<SourceItem> {
  /** The records that the parser could not read, with the number of good ones before them: it is ahead of its reader. */
  const skipped: { readonly error: CsvError; readonly after: number }[] = [];
  let parsed = 0;
  const parser = parse({
    delimiter,
    columns: headerOf,
    info: true,
    // The parser would replace invalid bytes; Latin-1 keeps every byte, and each field is decoded by itself.
    encoding: 'latin1',
    max_record_size: RECORD_LIMIT_BYTES,
    skip_records_with_error: true,
    on_skip: (error) => {
      if (error !== undefined) skipped.push({ error, after: parsed });
    },
    on_record: (item) => {
      parsed += 1;
      return item;
    },
    cast: (field, { quoting, header }) => (field === '' && !quoting && !header ? null : field),
  });
  const source = Readable.from(bytesOf(file));
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let record = 0;
  let good = 0;
  const rejectsBefore = function* (count: number): Generator<SourceItem> {
    for (let next = skipped[0]; next !== undefined && next.after < count; next = skipped[0]) {
      skipped.shift();
      record += 1;
      const { code, lines } = next.error;
      const position = { file: name, record, ...(typeof lines === 'number' ? { line: lines } : {}) };
      yield { position, code: 'INVALID_CSV', reason: `The CSV record is not valid (${code})` };
    }
  };
  try {
    for await (const item of parser) {
      good += 1;
      yield* rejectsBefore(good);
      record += 1;
      yield itemOf(item, { file: name, record });
    }
    yield* rejectsBefore(Number.POSITIVE_INFINITY);
  } catch (error) {
    const position = { file: name, record: record + 1 };
    if (error instanceof CsvError) {
      yield { position, code: 'INVALID_CSV', reason: `The CSV file is not valid (${error.code})` };
    } else yield toReject(error, position);
  } finally {
    source.destroy();
  }
}

function headerOf(names: readonly string[]): string[] {
  const header = names.map((name) => decodeText(Buffer.from(name, 'latin1')));
  if (new Set(header).size < header.length)
    throw new Rejection('INVALID_CSV', 'Two columns of the CSV file have the same name');
  return header;
}

function numberIn(item: unknown, name: string): number {
  const { info } = isRecord(item) ? item : {};
  const value = isRecord(info) ? info[name] : undefined;
  return typeof value === 'number' ? value : 0;
}

function itemOf(item: unknown, place: { readonly file: string; readonly record: number }): SourceItem {
  const { record } = isRecord(item) ? item : {};
  // The parser counts up to the end of the record.
  const position = { ...place, line: numberIn(item, 'lines') };
  try {
    return { position, value: isRecord(record) ? decodeFields(record) : {} };
  } catch (error) {
    return toReject(error, position);
  }
}

/** The parser would take a byte order mark as a reason to decode the file itself, so it never sees one. */
async function* bytesOf(file: string): AsyncGenerator<Buffer> {
  for await (const { bytes } of readChunks(file)) yield bytes;
}

function decodeFields(record: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(
    Object.entries(record).map(([key, field]) => [
      key,
      typeof field === 'string' ? decodeText(Buffer.from(field, 'latin1')) : null,
    ]),
  );
}
