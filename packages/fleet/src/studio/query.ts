import { findDatabaseError, SuiteError } from '@azora/db-core';
import { offsetOfCharacter } from '@azora/db-migrate';
import { z } from 'zod';
import type { StudioAccess } from '../operations/studio/access';
import type { StudioContext } from '../operations/studio/context';
import { type Caller, type Edit, recordEdits } from './audit';
import { requireCompanionQuery } from './companion-query';
import { conflict, type QueryError, queryErrorOf, readOnly } from './errors';
import { isExactText, NOT_EXACT } from './sql-text';
import { checkStatement, type Statement, type StatementResult } from './statement';
import { inTransaction, refuseTransactionControl, type TimeLimits } from './transaction';

/** Statements that one request may save together. */
const MAX_STATEMENTS = 500;
/** The studio judges SQL before it sends it, so the text must reach the server as it was judged. */
const sql = z.string().refine(isExactText, NOT_EXACT);
const Query = z.object({
  sql: sql.min(1),
  parameters: z
    .array(z.unknown().refine((value) => typeof value !== 'string' || isExactText(value), NOT_EXACT))
    .default([]),
});
const schema = z.string().min(1).max(63).refine(isExactText, NOT_EXACT).optional();

/** A request for one database as @prisma/studio-core sends it. Other fields that it sends are dropped. */
export const PageRequest = z.discriminatedUnion('procedure', [
  z.object({ procedure: z.literal('query'), query: Query, schema }),
  z.object({ procedure: z.literal('transaction'), queries: z.array(Query).min(1).max(MAX_STATEMENTS), schema }),
  z.object({
    procedure: z.literal('sql-lint'),
    sql,
    schema,
    schemaVersion: z.string().optional(),
  }),
]);

export type PageRequest = z.infer<typeof PageRequest>;

/** In the format of @prisma/studio-core: an error of the database is part of an answer with status 200. */
export type QueryAnswer = readonly [QueryError] | readonly [null, unknown];

export interface Answered {
  readonly answer: QueryAnswer;
  /** Whether the answer leaves out rows, because there were more than it may hold. */
  readonly isCut: boolean;
}

export interface QueryOptions {
  readonly signal: AbortSignal;
  readonly limits: TimeLimits;
  readonly caller: Caller;
}

/** Answers one request of the page to a service's database. A rejected statement is an answer; a bug throws. */
export async function answerQuery(
  context: StudioContext,
  service: string,
  request: PageRequest,
  options: QueryOptions,
): Promise<Answered> {
  const access = context.access.get(service);
  if (access === undefined) throw new Error(`The service ${service} has no access`);
  try {
    if (request.procedure === 'sql-lint') return { answer: [null, await lint(access, request, options)], isCut: false };
    const statements = request.procedure === 'query' ? [request.query] : request.queries;
    const isEdit = request.procedure === 'transaction';
    const results = await run(context, access, { schema: request.schema, statements, isEdit }, options);
    const rows = results.map((result) => result.rows);
    const isCut = results.some((result) => result.isCut);
    return { answer: [null, request.procedure === 'query' ? rows[0] : rows], isCut };
  } catch (error) {
    return { answer: [queryErrorOf(context, access, error)], isCut: false };
  }
}

interface Statements {
  readonly schema: string | undefined;
  readonly statements: readonly Statement[];
  /** Whether each statement saves a row as the page saw it. */
  readonly isEdit: boolean;
}

/** The command tag of an edit whose row was not as the page saw it. */
const WITHOUT_ROWS = /^(UPDATE|DELETE) 0$/;

async function run(
  { reveal }: StudioContext,
  access: StudioAccess,
  { schema, statements, isEdit }: Statements,
  options: QueryOptions,
): Promise<readonly StatementResult[]> {
  const { audit } = access;
  if (statements.length > 1 && audit === undefined) throw readOnly();
  for (const { sql } of statements) {
    refuseTransactionControl(sql);
    if (access.kind === 'companion') await requireCompanionQuery(sql, reveal ? [] : access.hidden());
  }
  const request = { access, write: audit !== undefined, schema, ...options };
  return inTransaction(request, async ({ client, run: runOne }) => {
    const edits: Edit[] = [];
    for (const statement of statements) {
      const result = await runOne(statement);
      if (isEdit && WITHOUT_ROWS.test(result.tag)) throw conflict();
      edits.push({ statement, result });
    }
    if (audit !== undefined) await recordEdits(client, audit, edits, options.caller);
    return edits.map(({ result }) => result);
  });
}

interface Diagnostic {
  readonly from: number;
  readonly to: number;
  readonly severity: 'error';
  readonly message: string;
  readonly code: string;
  readonly source: 'postgresql';
}

/** Whether the text is one valid statement whose names exist. */
async function lint(
  access: StudioAccess,
  { sql, schema, schemaVersion }: Extract<PageRequest, { procedure: 'sql-lint' }>,
  options: QueryOptions,
): Promise<{ readonly diagnostics: readonly Diagnostic[]; readonly schemaVersion: string | undefined }> {
  const request = { access, write: false, schema, ...options };
  try {
    await inTransaction(request, ({ client }) => checkStatement(client, sql));
    return { diagnostics: [], schemaVersion };
  } catch (error) {
    const found = findDatabaseError(error);
    if (error instanceof SuiteError || found === undefined) throw error;
    const from = Math.min(offsetOfError(sql, error), Math.max(0, sql.length - 1));
    const { message, sqlState: code } = found;
    return {
      diagnostics: [{ from, to: from + 1, severity: 'error', message, code, source: 'postgresql' }],
      schemaVersion,
    };
  }
}

/** PostgreSQL counts characters from 1; the editor counts UTF-16 units from 0. */
function offsetOfError(sql: string, error: unknown): number {
  const position = Number((error as { readonly position?: string }).position ?? 1);
  return offsetOfCharacter(sql, position);
}
