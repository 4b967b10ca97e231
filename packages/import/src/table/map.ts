import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { z } from 'zod';
import { cannotRead } from '../errors';

const NAME = z.string().regex(/^[a-z][a-z0-9_-]*$/, 'must be a name in lower case');

/** Where the value of a column comes from: a field of the record, or one value for every row. */
const COLUMN = z.union([
  z.string().min(1),
  z.strictObject({
    field: z.string().min(1),
    /** How the text of the field is read; `text` takes it as it is. */
    as: z.enum(['text', 'integer', 'number', 'boolean', 'time', 'json']).default('text'),
    required: z.boolean().default(false),
  }),
  z.strictObject({ value: z.string().nullable() }),
]);

const MAP = z
  .strictObject({
    /** Relative to the mapping file. */
    source: z.string().min(1),
    format: z.enum(['csv', 'jsonl', 'json', 'sqlite']),
    /** Of a CSV file. */
    delimiter: z.string().length(1).default(','),
    /** Of a SQLite file. */
    sourceTable: z.string().min(1).optional(),
    service: NAME,
    table: NAME,
    /** The columns that identify a row. They need a unique index. */
    key: z.array(NAME).min(1),
    columns: z.record(NAME, COLUMN),
  })
  .superRefine((map, context) => {
    for (const name of map.key.filter((it) => !(it in map.columns))) {
      context.addIssue({ code: 'custom', path: ['key'], message: `${name} is not one of the columns` });
    }
    if (map.format === 'sqlite' && map.sourceTable === undefined) {
      context.addIssue({ code: 'custom', path: ['sourceTable'], message: 'a SQLite file needs the name of a table' });
    }
  });

/** What moves the records of a file into a table. docs/IMPORT-LEGACY-DATA.md describes the file. */
export type TableMap = z.output<typeof MAP>;
export type MappedColumn = z.output<typeof COLUMN>;

/**
 * Reads a mapping file; its source becomes an absolute path.
 * @throws {SuiteError} `IMPORT.CANNOT_READ`, `IMPORT.INVALID_MAP`
 */
export async function readTableMap(file: string): Promise<TableMap> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw cannotRead(file, error);
  }
  const parsed = MAP.safeParse(parsedJson(file, text));
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the document'}: ${issue.message}`);
    throw invalidMap(file, `${issues.join('; ')}.`, 'Correct the file; docs/IMPORT-LEGACY-DATA.md has an example');
  }
  return { ...parsed.data, source: path.resolve(path.dirname(file), parsed.data.source) };
}

function parsedJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidMap(file, 'It is not valid JSON.', 'Correct the file; docs/IMPORT-LEGACY-DATA.md has an example');
  }
}

/** The mapping cannot be used. */
export function invalidMap(file: string, why: string, next: string): SuiteError {
  return new SuiteError('IMPORT.INVALID_MAP', `${file} is not a mapping that can be used`, {
    kind: 'usage',
    why,
    next,
    meta: { file },
  });
}
