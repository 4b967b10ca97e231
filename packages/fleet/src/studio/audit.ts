import { randomUUID } from 'node:crypto';
import os from 'node:os';
import { quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { AuditLog } from '../operations/studio/context';
import type { Statement, StatementResult } from './portal';

/** Who asked for an edit, as far as the studio knows. */
export interface Caller {
  readonly address: string | undefined;
  readonly agent: string | undefined;
}

export interface Edit {
  readonly statement: Statement;
  readonly result: StatementResult;
}

/** `UPDATE 3`, `INSERT 0 1`: what was done, and to how many rows. */
const TAG = /^(?<command>[A-Z ]+?)(?: \d+)??(?: (?<rows>\d+))?$/;
const CHANGES: readonly string[] = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'];
/** Of the columns that every audit log has. */
const LONGEST = { action: 100, resource_type: 50, resource_id: 255, ip_address: 45 } as const;

/**
 * Tells in the service's audit log what the transaction has changed, as a part of it: one entry for each statement, and
 * none when the transaction wrote nothing.
 */
export async function tellAudit(
  client: ClientBase,
  log: AuditLog,
  edits: readonly Edit[],
  caller: Caller,
): Promise<void> {
  const entries = await Promise.all(edits.map((edit) => entryOf(log, edit)));
  // A function that a SELECT calls may write too, so that PostgreSQL is asked: what writes has a transaction's number.
  await client.query(
    `INSERT INTO public.${quoteIdentifier(log.table)}
       (id, action, resource_type, resource_id, details, ip_address, user_agent)
     SELECT id, action, resource_type, resource_id, details, $2, $3
     FROM jsonb_to_recordset($1) AS entry (id text, action text, resource_type text, resource_id text, details jsonb)
     WHERE pg_current_xact_id_if_assigned() IS NOT NULL`,
    [JSON.stringify(entries), caller.address?.slice(0, LONGEST.ip_address) ?? null, caller.agent ?? null],
  );
}

async function entryOf(log: AuditLog, { statement, result }: Edit) {
  const { sql, parameters } = statement;
  const { command = 'UNKNOWN', rows } = TAG.exec(result.tag)?.groups ?? {};
  const table = CHANGES.includes(command) ? await targetOf(sql) : undefined;
  return {
    id: randomUUID(),
    action: `studio.${command.toLowerCase().replaceAll(' ', '-')}`.slice(0, LONGEST.action),
    resource_type: table?.slice(0, LONGEST.resource_type),
    resource_id: keyOf(log, table, result)?.slice(0, LONGEST.resource_id),
    details: {
      tool: 'azora-db studio',
      user: userName(),
      sql,
      parameters,
      rows: rows === undefined ? null : Number(rows),
    },
  };
}

/** The table that a statement changes, by its own words; undefined for words that only a newer server understands. */
async function targetOf(sql: string): Promise<string | undefined> {
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  const node = attempt(() => parseSync(sql).stmts?.[0]?.stmt);
  if (node === undefined) return undefined;
  if ('InsertStmt' in node) return node.InsertStmt.relation?.relname;
  if ('UpdateStmt' in node) return node.UpdateStmt.relation?.relname;
  if ('DeleteStmt' in node) return node.DeleteStmt.relation?.relname;
  if ('MergeStmt' in node) return node.MergeStmt.relation?.relname;
  return undefined;
}

/** The key of the row that came back, when it is one. */
function keyOf({ keys }: AuditLog, table: string | undefined, { rows }: StatementResult): string | undefined {
  const [row, ...others] = rows;
  const columns = keys.get(table ?? '') ?? [];
  if (row === undefined || others.length > 0 || columns.length === 0) return undefined;
  return columns.every((column) => column in row) ? columns.map((column) => String(row[column])).join(',') : undefined;
}

/** A container may run as a user that has no name. */
function userName(): string {
  return attempt(() => os.userInfo().username) ?? String(process.getuid?.() ?? 'unknown');
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
