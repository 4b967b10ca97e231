import { findDatabaseError, SuiteError } from '@azora/db-core';
import { type Statement, splitStatements } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { qualified, type Sequence } from './snapshot';

/** What is made after the rows are there. */
export interface PostData {
  /** Each needs nothing but its table and its rows: they may be built side by side. */
  readonly indexes: readonly Statement[];
  /** Foreign keys need the indexes; triggers must not see the rows come. In pg_dump's order. */
  readonly rest: readonly Statement[];
}

/**
 * Makes everything that rows go into. Rights and owners are not part of it.
 * @throws {SuiteError} `RESTORE.SQL_FAILED`
 */
export async function createTables(client: ClientBase, preData: string): Promise<void> {
  // An extension belongs to the server, and so does what it says of itself: only its owner may comment on it.
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

/** Puts the sequences where they stood. */
export async function setSequences(client: ClientBase, sequences: readonly Sequence[]): Promise<void> {
  if (sequences.length === 0) return;
  await client.query(
    `SELECT setval(format('%I.%I', schema, name), "lastValue", "isCalled")
     FROM jsonb_to_recordset($1) AS given (schema text, name text, "lastValue" bigint, "isCalled" boolean)`,
    [JSON.stringify(sequences)],
  );
}

/** The tables of the database whose rows the planner knows nothing of yet. */
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
  const fault = findDatabaseError(error);
  const head = text.replace(/\s+/g, ' ').slice(0, 120);
  return new SuiteError('RESTORE.SQL_FAILED', `The server refused a statement of the set: ${head}`, {
    why: fault === undefined ? 'The connection was lost.' : `${fault.message} (SQLSTATE ${fault.sqlState}).`,
    next: 'Nothing was swapped: the live database is as it was',
    meta: fault === undefined ? {} : { sqlState: fault.sqlState },
    cause: error,
  });
}
