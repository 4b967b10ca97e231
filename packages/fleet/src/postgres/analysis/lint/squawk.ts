import { rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { lineStarts } from '@azora/db-migrate';
import { ProgramError, runProgram } from '../../../system/children';
import { reasonOf } from '../../../system/system-errors';
import { makeTemporary } from '../../../system/temporary';
import type { Direction } from './rules';

/** The rules of squawk 2.61 that this suite uses. */
export const SQUAWK_RULES: readonly string[] = [
  'adding-field-with-default',
  'adding-foreign-key-constraint',
  'adding-not-nullable-field',
  'adding-required-field',
  'adding-serial-primary-key-field',
  'ban-alter-domain-with-add-constraint',
  'ban-create-domain-with-constraint',
  'ban-drop-column',
  'ban-drop-database',
  'ban-drop-not-null',
  'ban-drop-table',
  'ban-truncate-cascade',
  'ban-uncommitted-transaction',
  'changing-column-type',
  'constraint-missing-not-valid',
  'disallowed-unique-constraint',
  'identifier-too-long',
  'prefer-repack',
  'prefer-timestamp-tz',
  'renaming-column',
  'renaming-table',
  'require-concurrent-index-deletion',
  'require-concurrent-partition-detach',
  'require-concurrent-reindex',
  'transaction-nesting',
];

/** Squawk's finding for a file that its own parser cannot read. Its other rules find nothing there. */
export const SQUAWK_SYNTAX_ERROR = 'syntax-error';

/** The rules of squawk that do not fit this suite. */
export const EXCLUDED_SQUAWK_RULES: readonly string[] = [
  // A migration runs in one transaction with its history row, so IF NOT EXISTS would only hide a wrong state. Outside of a
  // transaction, the history shows a migration that is half done.
  'prefer-robust-stmts',
  // A change of rows may take long; only the wait for locks must be short, which lock-timeout-missing checks.
  'require-statement-timeout',
  // Our lock-timeout-missing sees which tables are new, and knows that only the runner runs down.sql.
  'require-lock-timeout',
  // Replaced by our index-not-concurrent and concurrent-in-transaction: squawk takes a file of one statement as outside of
  // a transaction, and every table made IF NOT EXISTS as new.
  'require-concurrent-index-creation',
  'ban-concurrent-index-creation-in-transaction',
  // The types are chosen in schema.prisma; Prisma writes Int, VarChar(n) and autoincrement() with these.
  'prefer-bigint-over-int',
  'prefer-bigint-over-smallint',
  'prefer-identity',
  'prefer-text-field',
  // Hashes and country codes have a fixed length, and CHECK constraints that reject values padded with blanks.
  'ban-char-field',
  // Prisma writes a new enum value without its position.
  'require-enum-value-ordering',
];

/** The input of squawk. */
export interface SquawkInput {
  readonly sql: string;
  readonly transactional: boolean;
}

export interface SquawkFinding {
  readonly rule: string;
  readonly level: 'warning' | 'error';
  /** The place in the file, in UTF-16 units. */
  readonly offset: number;
  readonly end: number;
  readonly message: string;
  readonly help: string | null;
}

const BOM = '\uFEFF';

/** A configuration file beside the copies keeps squawk from using one of a parent folder. */
const CONFIG = [
  `excluded_rules = ${JSON.stringify(EXCLUDED_SQUAWK_RULES)}`,
  'pg_version = "15"',
  'assume_in_transaction = true',
  '',
].join('\n');

/**
 * Runs squawk once on copies of all files; returns the findings of each file, in its order. A copy has no byte order mark,
 * which squawk does not know, and none of the comments that silence squawk without a reason.
 * @throws {SuiteError} `LINT.NO_SQUAWK`, `LINT.SQUAWK_FAILED`; the reason of the signal, which ends squawk
 */
export async function runSquawk(
  inputs: readonly SquawkInput[],
  signal?: AbortSignal,
): Promise<readonly (readonly SquawkFinding[])[]> {
  const program = findSquawk();
  if (inputs.length === 0) return [];
  const folder = await makeTemporary('lint');
  try {
    await writeFile(path.join(folder, '.squawk.toml'), CONFIG);
    await Promise.all(inputs.map((input, at) => writeFile(path.join(folder, `${at}.sql`), copyOf(input))));
    const reports = reportsOf(await run(program, folder, signal));
    const byFile = new Map<string, Report[]>();
    for (const report of reports) {
      const others = byFile.get(report.file);
      if (others === undefined) byFile.set(report.file, [report]);
      else others.push(report);
    }
    return inputs.map(({ sql }, at) => placed(byFile.get(`${at}.sql`) ?? [], sql));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function copyOf({ sql, transactional }: SquawkInput): string {
  const text = withoutMark(sql).replace(/squawk-(?=ignore|disable)/gi, 'squawk_');
  // The only setting of a single file; at the end it does not move any line.
  return transactional ? text : `${text}\n-- squawk-disable-assume-in-transaction\n`;
}

/** Squawk expands the pattern itself, because thousands of names do not fit a command line on Windows. */
async function run(program: string, cwd: string, signal: AbortSignal | undefined): Promise<string> {
  const [ran] = await Promise.allSettled([runProgram(program, ['--reporter', 'json', '*.sql'], { cwd, signal })]);
  signal?.throwIfAborted();
  const error: unknown = ran.status === 'rejected' ? ran.reason : undefined;
  const { stdout, stderr } = ran.status === 'fulfilled' ? ran.value : printedBy(error);
  // Squawk exits with 1 when it finds something and when it fails; only a failure prints no list.
  if (stdout.startsWith('[')) return stdout;
  throw squawkFailed(stderr.trim() || (error === undefined ? 'Squawk printed nothing.' : reasonOf(error)), error);
}

function printedBy(error: unknown): { readonly stdout: string; readonly stderr: string } {
  return error instanceof ProgramError ? error : { stdout: '', stderr: '' };
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
    throw squawkFailed('The output of squawk is incomplete.', error);
  }
}

function placed(reports: readonly Report[], sql: string): readonly SquawkFinding[] {
  if (reports.length === 0) return [];
  const text = withoutMark(sql);
  const mark = sql.length - text.length;
  const starts = lineStarts(text);
  // Squawk counts lines from 0, and columns from 0 in bytes of UTF-8.
  const offsetOf = (line: number, column: number) => {
    const start = starts[line] ?? text.length;
    const bytes = Buffer.from(text.slice(start, starts[line + 1]));
    return mark + start + bytes.subarray(0, column).toString().length;
  };
  return reports.map(({ level, message, help, rule_name: rule, ...at }) => ({
    rule,
    level: level === 'Error' ? 'error' : 'warning',
    offset: offsetOf(at.line, at.column),
    end: offsetOf(at.line_end, at.column_end),
    message,
    help,
  }));
}

function withoutMark(sql: string): string {
  return sql.startsWith(BOM) ? sql.slice(1) : sql;
}

function squawkFailed(why: string, cause: unknown): SuiteError {
  return new SuiteError('LINT.SQUAWK_FAILED', 'Squawk failed', {
    why,
    next: 'Run "npm install" again; if squawk still fails, run "npx squawk --version" to see the error',
    cause,
  });
}

/**
 * The path of the squawk program. npm installs the package for this system as an optional dependency of squawk-cli.
 * @throws {SuiteError} `LINT.NO_SQUAWK`
 */
export function findSquawk(system = `${process.platform}-${process.arch}`): string {
  const name = `@squawk-cli/${system}`;
  const program = system.startsWith('win32') ? 'squawk.exe' : 'squawk';
  try {
    return createRequire(require.resolve('squawk-cli/package.json')).resolve(`${name}/bin/${program}`);
  } catch (cause) {
    throw new SuiteError('LINT.NO_SQUAWK', `The package ${name} is not installed`, {
      kind: 'configuration',
      why: 'It contains squawk, which lints the migrations. It is an optional dependency, which npm skips with --omit=optional, and it exists for Linux and macOS on x64 and arm64, and for Windows on x64.',
      next: 'Run "npm install --include=optional", or lint on one of these systems',
      meta: { package: name },
      cause,
    });
  }
}

/** These rules protect programs that use the dropped object; a down.sql drops what its own migration made. */
const NOT_IN_DOWN: ReadonlySet<string> = new Set([
  'ban-drop-column',
  'ban-drop-not-null',
  'ban-drop-table',
  'renaming-column',
  'renaming-table',
  // A down.sql restores objects that were linted when they were made.
  'ban-create-domain-with-constraint',
  'prefer-timestamp-tz',
  // A down.sql restores constraints in the transaction of the whole step.
  'constraint-missing-not-valid',
]);

/** These rules are for tables in use; squawk does not always see that a table is new. */
const EXISTING_TABLES_ONLY: ReadonlySet<string> = new Set([
  'adding-field-with-default',
  'adding-foreign-key-constraint',
  'adding-not-nullable-field',
  'adding-required-field',
  'adding-serial-primary-key-field',
  'ban-drop-column',
  'ban-drop-not-null',
  'ban-drop-table',
  'ban-truncate-cascade',
  'changing-column-type',
  'constraint-missing-not-valid',
  'disallowed-unique-constraint',
  'renaming-column',
  'renaming-table',
  'require-concurrent-index-deletion',
]);

/** Advice for rules without advice of squawk. */
const HELP: Readonly<Record<string, string>> = {
  'ban-drop-column': 'Drop it one release after the code stops using it, and give that reason above the statement.',
  'ban-drop-table': 'Drop it one release after the code stops using it, and give that reason above the statement.',
  'ban-drop-not-null': 'First release the code that handles NULL, and give that reason above the statement.',
  'changing-column-type': 'Add a column of the new type, fill it, move the code to it, then drop the old column.',
  'renaming-column': 'Keep the name in the database and use @map, or add a column, fill it, and move the code to it.',
  'renaming-table': 'Keep the name in the database and use @@map.',
  [SQUAWK_SYNTAX_ERROR]:
    'PostgreSQL can parse the statement, but squawk cannot. Check its locks yourself, and give that reason above it.',
};

/** Whether a rule of squawk applies to a statement of that direction. */
export function concerns(rule: string, direction: Direction, onlyNew: boolean): boolean {
  return !(direction === 'down' && NOT_IN_DOWN.has(rule)) && !(onlyNew && EXISTING_TABLES_ONLY.has(rule));
}

/** The advice for a finding of squawk. */
export function helpFor(rule: string, help: string | null): string {
  return help ?? HELP[rule] ?? 'See the rule in the documentation of squawk.';
}
