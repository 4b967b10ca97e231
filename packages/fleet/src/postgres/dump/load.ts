import { type DatabaseErrorFacts, findDatabaseError, isConnectionLoss, SuiteError } from '@azora/db-core';
import { type Statement, splitStatements } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { qualified, type Sequence } from './snapshot';

/** Statements of post-data that run together, after those of the stages before it. */
export interface PostDataStage {
  /** Each depends only on the rows and on what earlier stages made, so that they can be built in parallel. */
  readonly indexes: readonly Statement[];
  /** In pg_dump's order, after the indexes. Foreign keys need them, and triggers must not fire for the loaded rows. */
  readonly rest: readonly Statement[];
}

/**
 * Creates the tables and everything that they need.
 * @throws {SuiteError} `RESTORE.SQL_FAILED`
 */
export async function createTables(client: ClientBase, preData: string): Promise<void> {
  // Only the owner of an extension may comment on it, and the server provides the comment anyway.
  for (const statement of splitStatements(preData)) {
    if (startsWith(statement, 'comment on extension')) continue;
    await runStatement(client, statement);
  }
}

const NAME = /(?:\w+|"(?:[^"]|"")+")/.source;
const INDEX = new RegExp(
  `^(CREATE (UNIQUE )?INDEX |ALTER TABLE ONLY ${NAME}\\.${NAME}\\s+ADD CONSTRAINT ${NAME} (PRIMARY KEY|UNIQUE|EXCLUDE))`,
);
/** Statements that make nothing which an index could need. */
const NO_INPUT_OF_INDEXES =
  /^(ALTER TABLE |ALTER INDEX |ALTER EVENT TRIGGER |COMMENT ON |CREATE STATISTICS |CREATE (CONSTRAINT |EVENT )?TRIGGER |CREATE POLICY |CREATE PUBLICATION |ALTER PUBLICATION )/;

/**
 * Splits the statements of post-data into stages, so that indexes are built first and in parallel where that is proven to be
 * safe. An index that follows anything else, such as a materialized view that groups by a primary key, begins a new stage:
 * pg_dump's order is the order of dependencies.
 */
export function planPostData(postData: string): readonly PostDataStage[] {
  const stages: { readonly indexes: Statement[]; readonly rest: Statement[] }[] = [{ indexes: [], rest: [] }];
  for (const statement of splitStatements(postData)) {
    const isIndex = INDEX.test(statement.text);
    const stage = stages.at(-1);
    if (stage === undefined) continue;
    if (!isIndex) stage.rest.push(statement);
    else if (stage.rest.every(({ text }) => NO_INPUT_OF_INDEXES.test(text))) stage.indexes.push(statement);
    else stages.push({ indexes: [statement], rest: [] });
  }
  return stages;
}

/** @throws {SuiteError} `RESTORE.SQL_FAILED` */
export async function runStatement(client: ClientBase, { text }: Pick<Statement, 'text'>): Promise<void> {
  try {
    await client.query(text);
  } catch (error) {
    // A server that ended says nothing about the statement.
    const found = findDatabaseError(error);
    if (found === undefined || isConnectionLoss(error)) throw error;
    throw statementFailed(text, found, error);
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

function statementFailed(text: string, found: DatabaseErrorFacts, error: unknown): SuiteError {
  const head = text.replace(/\s+/g, ' ').slice(0, 120);
  return new SuiteError('RESTORE.SQL_FAILED', `The server rejected a statement of the backup set: ${head}`, {
    why: `${found.message} (SQLSTATE ${found.sqlState}).`,
    next: 'Correct the cause and run the command again; the live databases are unchanged',
    meta: { sqlState: found.sqlState },
    cause: error,
  });
}
