import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { findSquawk } from './squawk-binary';
import { EXCLUDED_SQUAWK_RULES } from './squawk-rules';

/** A file for squawk. */
export interface SquawkInput {
  readonly sql: string;
  readonly transactional: boolean;
}

export interface SquawkFinding {
  readonly rule: string;
  readonly level: 'warning' | 'error';
  /** In the file, in UTF-16 units. */
  readonly offset: number;
  readonly end: number;
  readonly message: string;
  readonly help: string | null;
}

/** A finding per line of a big fleet. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
const BOM = '\uFEFF';

/** Its own in the folder of the files, so that none of a folder above is found. */
const CONFIG = [
  `excluded_rules = ${JSON.stringify(EXCLUDED_SQUAWK_RULES)}`,
  'pg_version = "15"',
  'assume_in_transaction = true',
  '',
].join('\n');

/**
 * Runs squawk once over copies of all files: the findings of each, in its order. A copy has no byte order mark, which
 * squawk does not know, and none of squawk's own comments that silence it without a reason.
 * @throws {SuiteError} `LINT.NO_SQUAWK`, `LINT.SQUAWK_FAILED`
 */
export async function runSquawk(inputs: readonly SquawkInput[]): Promise<readonly (readonly SquawkFinding[])[]> {
  const program = findSquawk();
  if (inputs.length === 0) return [];
  const folder = await mkdtemp(path.join(os.tmpdir(), 'azora-lint-'));
  try {
    await writeFile(path.join(folder, '.squawk.toml'), CONFIG);
    await Promise.all(inputs.map((input, at) => writeFile(path.join(folder, `${at}.sql`), copyOf(input))));
    const reports = reportsOf(await run(program, folder));
    return inputs.map(({ sql }, at) => reports.filter(({ file }) => file === `${at}.sql`).map((it) => placed(it, sql)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function copyOf({ sql, transactional }: SquawkInput): string {
  const text = withoutMark(sql).replace(/squawk-(?=ignore|disable)/gi, 'squawk_');
  // The one switch of a single file; at its end no line moves.
  return transactional ? text : `${text}\n-- squawk-disable-assume-in-transaction\n`;
}

/** The pattern is squawk's to expand: thousands of names would not fit a command line of Windows. */
function run(program: string, cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd, maxBuffer: MAX_OUTPUT_BYTES, windowsHide: true };
    execFile(program, ['--reporter', 'json', '*.sql'], options, (error, stdout, stderr) => {
      // It exits with 1 when it finds something, and when it fails: then there is no list.
      if (stdout.startsWith('[')) resolve(stdout);
      else reject(squawkFailed(stderr.trim() || error?.message || 'It printed nothing.', error));
    });
  });
}

interface Report {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly line_end: number;
  readonly column_end: number;
  readonly level: string;
  readonly message: string;
  readonly help: string | null;
  readonly rule_name: string;
}

function reportsOf(output: string): readonly Report[] {
  try {
    return JSON.parse(output) as readonly Report[];
  } catch (error) {
    throw squawkFailed('What it printed is cut.', error);
  }
}

function placed({ level, message, help, rule_name: rule, ...at }: Report, sql: string): SquawkFinding {
  const text = withoutMark(sql);
  const mark = sql.length - text.length;
  return {
    rule,
    level: level === 'Error' ? 'error' : 'warning',
    offset: mark + offsetOf(text, at.line, at.column),
    end: mark + offsetOf(text, at.line_end, at.column_end),
    message,
    help,
  };
}

/** Squawk counts lines from 0, and columns from 0 in bytes of UTF-8. */
function offsetOf(sql: string, line: number, column: number): number {
  let start = 0;
  for (let left = line; left > 0; left -= 1) start = sql.indexOf('\n', start) + 1;
  const end = sql.indexOf('\n', start);
  const bytes = Buffer.from(sql.slice(start, end === -1 ? undefined : end));
  return start + bytes.subarray(0, column).toString().length;
}

function withoutMark(sql: string): string {
  return sql.startsWith(BOM) ? sql.slice(1) : sql;
}

function squawkFailed(why: string, cause: unknown): SuiteError {
  return new SuiteError('LINT.SQUAWK_FAILED', 'squawk did not run', {
    why,
    next: 'Run "npm install" again; if it still fails, run "npx squawk --version" to see what is wrong',
    cause,
  });
}
