import { findDatabaseError, SuiteError } from '@azora/db-core';
import { toSuiteError } from '../operations/fleet';
import type { StudioAccess, StudioContext } from '../operations/studio/context';
import { type Caller, tellAudit } from './audit';
import { requireCompanionQuery } from './companion-query';
import type { TimeLimits } from './limits';
import { checkStatement, type Row, type Statement } from './portal';
import type { Diagnostic, StudioAnswer, StudioFault, StudioRequest } from './protocol';
import { redactServers } from './redact';
import { inTransaction } from './transaction';
import { refuseTransactionControl } from './transaction-control';

export interface Answered {
  readonly answer: StudioAnswer;
  /** Whether rows were left out, because there were more than an answer holds. */
  readonly isCut: boolean;
}

const INSUFFICIENT_PRIVILEGE = '42501';

export interface QueryOptions {
  readonly signal: AbortSignal;
  readonly limits: TimeLimits;
  readonly caller: Caller;
}

/** Answers one request of the page for a service's database; what the database refuses is part of the answer. */
export async function answerQuery(
  context: StudioContext,
  service: string,
  request: StudioRequest,
  options: QueryOptions,
): Promise<Answered> {
  const access = context.access.get(service);
  if (access === undefined) throw new Error(`no access to ${service}`);
  try {
    return await answer(context, access, request, options);
  } catch (error) {
    const fault = faultOf(error, access);
    return { answer: [{ ...fault, message: redactServers(context, fault.message) }], isCut: false };
  }
}

async function answer(
  context: StudioContext,
  access: StudioAccess,
  request: StudioRequest,
  options: QueryOptions,
): Promise<Answered> {
  if (request.procedure === 'sql-lint') return { answer: [null, await lint(access, request, options)], isCut: false };
  const statements = request.procedure === 'query' ? [request.query] : request.queries;
  const results = await run(context, access, { schema: request.schema, statements }, options);
  const rows = results.map((result) => result.rows);
  const isCut = results.some((result) => result.isCut);
  return { answer: [null, request.procedure === 'query' ? rows[0] : rows], isCut };
}

async function run(
  { reveal }: StudioContext,
  access: StudioAccess,
  { schema, statements }: { readonly schema: string | undefined; readonly statements: readonly Statement[] },
  options: QueryOptions,
): Promise<readonly { readonly rows: readonly Row[]; readonly isCut: boolean }[]> {
  const { audit } = access;
  if (statements.length > 1 && audit === undefined) throw readOnly();
  for (const { sql } of statements) {
    refuseTransactionControl(sql);
    if (access.kind === 'companion') await requireCompanionQuery(sql, reveal ? [] : access.hidden());
  }
  const request = { access, write: audit !== undefined, schema, ...options };
  return inTransaction(request, async ({ client, run: runOne }) => {
    const edits = [];
    for (const statement of statements) edits.push({ statement, result: await runOne(statement) });
    if (audit !== undefined) await tellAudit(client, audit, edits, options.caller);
    return edits.map(({ result }) => result);
  });
}

/** Whether the statement is one, and names what there is. */
async function lint(
  access: StudioAccess,
  { sql, schema, schemaVersion }: Extract<StudioRequest, { procedure: 'sql-lint' }>,
  options: QueryOptions,
): Promise<{ readonly diagnostics: readonly Diagnostic[]; readonly schemaVersion: string | undefined }> {
  const request = { access, write: false, schema, ...options };
  try {
    await inTransaction(request, ({ client }) => checkStatement(client, sql));
    return { diagnostics: [], schemaVersion };
  } catch (error) {
    const fault = findDatabaseError(error);
    if (fault === undefined) throw error;
    const from = Math.min(Math.max(0, positionOf(error) - 1), Math.max(0, sql.length - 1));
    const { message, sqlState: code } = fault;
    return {
      diagnostics: [{ from, to: from + 1, severity: 'error', message, code, source: 'postgresql' }],
      schemaVersion,
    };
  }
}

function positionOf(error: unknown): number {
  return Number((error as { readonly position?: string }).position ?? 1);
}

function faultOf(error: unknown, access: StudioAccess): StudioFault {
  if (error instanceof SuiteError) {
    const { code, message, why, next } = error;
    const text = why === undefined || code.startsWith('SERVER.') ? message : `${message}. ${why}`;
    return { name: 'SuiteError', message: text, code, ...(next === undefined ? {} : { next }) };
  }
  const fault = findDatabaseError(error);
  if (fault === undefined) return faultOf(toSuiteError(error), access);
  const { message, sqlState: code } = fault;
  const hint = code === INSUFFICIENT_PRIVILEGE && access.hidden().length > 0;
  return { name: 'DatabaseError', message, code, ...(hint ? { next: HIDDEN_HINT } : {}) };
}

const HIDDEN_HINT =
  'Name the columns that are to be read: * asks for those with personal data or secrets too, which are hidden. What the service may not change, the studio may not either';

function readOnly(): SuiteError {
  return new SuiteError('STUDIO.READ_ONLY', 'The studio only reads', {
    why: 'Several statements at once are a saving of edits.',
  });
}
