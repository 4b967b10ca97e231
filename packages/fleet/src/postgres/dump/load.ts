import { findDatabaseError, SuiteError } from '@azora/db-core';
import { type Statement, splitStatements } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { qualified, type Sequence } from './snapshot';

/** The statements that run after the rows are loaded. */
export interface PostData {
  /** Each depends only on its table and the rows, so that they can be built in parallel. */
  readonly indexes: readonly Statement[];
  /** In pg_dump's order. Foreign keys need the indexes, and triggers must not fire for the loaded rows. */
  readonly rest: readonly Statement[];
}

/**
 * Creates the tables and everything that they need. Owners and privileges are not part of a set.
 * @throws {SuiteError} `RESTORE.SQL_FAILED`
 */
export async function createTables(client: ClientBase, preData: string): Promise<void> {
  // Only the owner of an extension may comment on it, and the server provides the comment anyway.
  for (const statement of splitStatements(preData)) {
    if (startsWith(statement, 'comment on extension')) continue;
    await runStatement(client, statement);
  }
}

export function planPostData(postData: string): PostData {
  const statements = splitStatements(postData);
  const isIndex = (statement: Statement) =>
    /^CREATE (UNIQUE )?INDEX /.test(statement.text) ||
    /^ALTER TABLE ONLY \S+\s+ADD CONSTRAINT ("[^"]+"|\w+) (PRIMARY KEY|UNIQUE|EXCLUDE)/.test(statement.text);
  return { indexes: statements.filter(isIndex), rest: statements.filter((statement) => !isIndex(statement)) };
}

/** @throws {SuiteError} `RESTORE.SQL_FAILED` */
export async function runStatement(client: ClientBase, { text }: Statement): Promise<void> {
  try {
    await client.query(text);
  } catch (error) {
    throw statementFailed(text, error);
  }
}

/** Sets the sequences to their positions at the time of the backup. */
export async function setSequences(client: ClientBase, sequences: readonly Sequence[]): Promise<void> {
  if (sequences.length === 0) return;
  await client.query(
    `SELECT setval(format('%I.%I', schema, name), "lastValue", "isCalled")
     FROM jsonb_to_recordset($1) AS given (schema text, name text, "lastValue" bigint, "isCalled" boolean)`,
    [JSON.stringify(sequences)],
  );
}

/** Collects the planner's statistics for tables that autovacuum does not analyze soon. */
export async function analyze(
  client: ClientBase,
  tables: readonly { readonly schema: string; readonly name: string }[],
) {
  if (tables.length > 0)
    await client.query(`ANALYZE ${tables.map(({ schema, name }) => qualified(schema, name)).join(', ')}`);
}

function startsWith({ words }: Statement, text: string): boolean {
  return words.join(' ').startsWith(text);
}

function statementFailed(text: string, error: unknown): SuiteError {
  const found = findDatabaseError(error);
  const head = text.replace(/\s+/g, ' ').slice(0, 120);
  return new SuiteError('RESTORE.SQL_FAILED', `The server rejected a statement of the backup set: ${head}`, {
    why: found === undefined ? 'The connection was lost.' : `${found.message} (SQLSTATE ${found.sqlState}).`,
    next: 'Correct the cause and run the command again; the live databases are unchanged',
    meta: found === undefined ? {} : { sqlState: found.sqlState },
    cause: error,
  });
}
