import { randomUUID } from 'node:crypto';
import os from 'node:os';
import { isRecord, quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { AuditLog } from '../operations/studio/rights';
import type { Statement, StatementResult } from './statement';

/** The client that sent an edit, as far as the studio knows. */
export interface Caller {
  readonly address: string | undefined;
  readonly agent: string | undefined;
}

export interface Edit {
  readonly statement: Statement;
  readonly result: StatementResult;
}

const TOOL = 'azora-db studio';
/** A command tag: `UPDATE 3`, `INSERT 0 1`. */
const TAG = /^(?<command>[A-Z ]+?)(?: \d+)??(?: (?<rows>\d+))?$/;
const CHANGES: readonly string[] = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'];
/** Lengths of the columns that every audit log has. */
const MAX_LENGTHS = { action: 100, resource_type: 50, resource_id: 255, ip_address: 45 } as const;

/**
 * Writes one entry for each statement to the service's audit log, in the same transaction. A transaction that wrote
 * nothing gets no entry.
 */
export async function recordEdits(
  client: ClientBase,
  log: AuditLog,
  edits: readonly Edit[],
  caller: Caller,
): Promise<void> {
  const entries = await Promise.all(edits.map((edit) => entryOf(log, edit)));
  // A SELECT may call a function that writes. PostgreSQL assigns a transaction id at the first write.
  await client.query(
    `INSERT INTO public.${quoteIdentifier(log.table)}
       (id, action, resource_type, resource_id, details, ip_address, user_agent)
     SELECT id, action, resource_type, resource_id, details, $2, $3
     FROM jsonb_to_recordset($1) AS entry (id text, action text, resource_type text, resource_id text, details jsonb)
     WHERE pg_current_xact_id_if_assigned() IS NOT NULL`,
    [JSON.stringify(entries), caller.address?.slice(0, MAX_LENGTHS.ip_address) ?? null, caller.agent ?? null],
  );
}

/** An action of the page that is not a statement, and what it concerns. */
export interface Action {
  readonly action: string;
  readonly resource: { readonly type: string; readonly id: string };
}

/** Writes an entry for an action of the page to the audit log of nexus, in the transaction of the action. */
export async function recordAction(client: ClientBase, { action, resource }: Action, caller: Caller): Promise<void> {
  await client.query(
    `INSERT INTO public.audit_logs (id, action, resource_type, resource_id, details, ip_address, user_agent)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      ...[randomUUID(), action, resource.type, resource.id.slice(0, MAX_LENGTHS.resource_id)],
      JSON.stringify({ tool: TOOL, user: userName() }),
      ...[caller.address?.slice(0, MAX_LENGTHS.ip_address) ?? null, caller.agent ?? null],
    ],
  );
}

async function entryOf(log: AuditLog, { statement, result }: Edit) {
  const { sql, parameters } = statement;
  const { command = 'UNKNOWN', rows } = TAG.exec(result.tag)?.groups ?? {};
  const table = CHANGES.includes(command) ? await targetOf(sql) : undefined;
  return {
    id: randomUUID(),
    action: `studio.${command.toLowerCase().replaceAll(' ', '-')}`.slice(0, MAX_LENGTHS.action),
    resource_type: table?.slice(0, MAX_LENGTHS.resource_type),
    resource_id: keyOf(log, table, result)?.slice(0, MAX_LENGTHS.resource_id),
    details: {
      tool: TOOL,
      user: userName(),
      sql,
      parameters,
      rows: rows === undefined ? null : Number(rows),
    },
  };
}

/** The table that a statement changes; undefined for syntax of a server newer than the parser. */
async function targetOf(sql: string): Promise<string | undefined> {
  const { loadModule, parseSync, SqlError } = await import('libpg-query');
  await loadModule();
  const node = attempt(
    () => parseSync(sql).stmts?.[0]?.stmt,
    (error) => error instanceof SqlError,
  );
  if (node === undefined) return undefined;
  if ('InsertStmt' in node) return node.InsertStmt.relation?.relname;
  if ('UpdateStmt' in node) return node.UpdateStmt.relation?.relname;
  if ('DeleteStmt' in node) return node.DeleteStmt.relation?.relname;
  if ('MergeStmt' in node) return node.MergeStmt.relation?.relname;
  return undefined;
}

/** The primary key of the row that came back, if exactly one did. */
function keyOf({ keys }: AuditLog, table: string | undefined, { rows }: StatementResult): string | undefined {
  const [row, ...others] = rows;
  const columns = keys.get(table ?? '') ?? [];
  if (row === undefined || others.length > 0 || columns.length === 0) return undefined;
  return columns.every((column) => column in row) ? columns.map((column) => String(row[column])).join(',') : undefined;
}

/** The numeric id where the user has no name, which is common in containers. */
function userName(): string {
  const name = attempt(
    () => os.userInfo().username,
    (error) => isRecord(error) && error['syscall'] === 'uv_os_get_passwd',
  );
  return name ?? String(process.getuid?.() ?? 'unknown');
}

/** Returns the result of `work`, or undefined for an expected error. */
function attempt<Result>(work: () => Result, isExpected: (error: unknown) => boolean): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (isExpected(error)) return undefined;
    throw error;
  }
}
