import { SuiteError } from '@azora/db-core';
import type { Migration } from './files';

/** Words without which no statement can begin or end a transaction; without them nothing has to be parsed. */
const TRANSACTION_WORDS = /\b(begin|start|commit|end|rollback|abort|prepare)\b/i;

/**
 * Splits SQL into its statements, with PostgreSQL's own parser.
 * @throws {SuiteError} `MIGRATION.UNPARSABLE` when it is not SQL
 */
export async function splitStatements({ sql, file }: Migration): Promise<readonly string[]> {
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  try {
    const bytes = Buffer.from(sql);
    return (parseSync(sql).stmts ?? []).map(({ stmt_location: start = 0, stmt_len: length }) =>
      bytes
        .subarray(start, length === undefined ? undefined : start + length)
        .toString('utf8')
        .trim(),
    );
  } catch (error) {
    throw new SuiteError('MIGRATION.UNPARSABLE', `${file} is not SQL that PostgreSQL could read`, {
      why: error instanceof Error ? error.message : String(error),
      next: 'Correct it; a file outside of a transaction is split into statements before any of them runs',
      meta: { file },
    });
  }
}

/**
 * Refuses SQL that begins or ends a transaction at its top level: what came before it would be committed without its
 * history row. SQL that does not parse passes, for the server will say where it is wrong.
 * @throws {SuiteError} `MIGRATION.HOLDS_TRANSACTION`
 */
export async function refuseTransactionStatements(sql: string, file: string): Promise<void> {
  if (!TRANSACTION_WORDS.test(sql)) return;
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  const found = readStatements(() => parseSync(sql).stmts ?? []).find(
    ({ stmt }) => stmt !== undefined && 'TransactionStmt' in stmt,
  );
  if (found === undefined) return;
  const line = Buffer.from(sql)
    .subarray(0, found.stmt_location ?? 0)
    .toString('utf8')
    .split('\n').length;
  throw new SuiteError('MIGRATION.HOLDS_TRANSACTION', `${file}:${line} begins or ends a transaction`, {
    why: 'The file runs in a transaction that also holds its history row.',
    next: 'Take BEGIN, COMMIT and ROLLBACK out, or make "-- no-transaction" the first line',
    meta: { file, line },
  });
}

function readStatements<Statement>(parse: () => readonly Statement[]): readonly Statement[] {
  try {
    return parse();
  } catch {
    return [];
  }
}
