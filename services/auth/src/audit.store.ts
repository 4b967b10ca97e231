import { rowIdInput, textInput, timeInput } from '@azora/db-core/input';
import { type Cursor, cursorInput, microsOf, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Auth } from './client';
import { readInput } from './errors';
import type { Prisma } from './generated/client';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;

export interface ReadAuditInput {
  /** Only entries about this user; null for the entries about no known user. */
  readonly userId?: string | null;
  readonly orgId?: string;
  readonly action?: string;
  /** Only entries at this time or later. */
  readonly from?: Date;
  /** Only entries before this time. */
  readonly to?: Date;
  /** Entries on a page: 50 by default, at most 500. */
  readonly limit?: number;
  /** `nextCursor` of the previous page. */
  readonly cursor?: string;
}

export interface AuditEntry {
  readonly id: string;
  readonly timestamp: Date;
  readonly userId: string | null;
  readonly orgId: string | null;
  readonly action: string;
  readonly resourceType: string | null;
  readonly resourceId: string | null;
  readonly details: Prisma.JsonValue;
  readonly metadata: Prisma.JsonValue;
  readonly ipAddress: string | null;
  readonly userAgent: string | null;
  /** The position in the chain of the user, from 1. */
  readonly seq: bigint;
  readonly hash: string;
}

export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** The cursor for the next page; null on the last page. */
  readonly nextCursor: string | null;
}

const readAuditInput = z.strictObject({
  userId: rowIdInput.nullish(),
  orgId: rowIdInput.optional(),
  action: textInput(100).optional(),
  from: timeInput.optional(),
  to: timeInput.optional(),
  limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
  cursor: cursorInput.optional(),
});

type Row = Omit<AuditEntry, 'seq'> & Cursor & { readonly seq: string };

/**
 * Reads a page of the audit log, newest entry first. Entries that are written between two calls do not shift the pages.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function readAudit(auth: Auth, input: ReadAuditInput = {}): Promise<AuditPage> {
  const filter = readInput(readAuditInput, input);
  const { rows, nextCursor } = pageOf(await auth.query<Row>(pageStatement(filter)), filter.limit);
  return { entries: rows.map(({ micros: _, seq, ...entry }) => ({ ...entry, seq: BigInt(seq) })), nextCursor };
}

/** Selects one row more than the page has, which shows whether another page follows. */
function pageStatement({ userId, orgId, action, from, to, limit, cursor }: z.infer<typeof readAuditInput>) {
  const conditions = [
    // The expression of audit_log_chain_key, so that the index serves it.
    ["coalesce(user_id, '') = ?", [userId === null ? '' : userId]],
    ['org_id = ?', [orgId]],
    ['action = ?', [action]],
    ['"timestamp" >= ?', [from]],
    ['"timestamp" < ?', [to]],
    [`("timestamp", id) < (${timeOfMicros('?')}, ?)`, [cursor?.micros, cursor?.id]],
  ] as const;
  const given = conditions.filter(([, values]) => values[0] !== undefined);
  const values: unknown[] = [];
  const sql = given.map(([text, parameters]) => {
    let next = 0;
    return text.replaceAll('?', () => `$${values.push(parameters[next++])}`);
  });
  return {
    text: `SELECT id, "timestamp", user_id AS "userId", org_id AS "orgId", action, resource_type AS "resourceType",
        resource_id AS "resourceId", details, metadata, ip_address AS "ipAddress", user_agent AS "userAgent", seq, hash,
        ${microsOf('"timestamp"')} AS micros
      FROM audit_log ${sql.length === 0 ? '' : `WHERE ${sql.join(' AND ')}`}
      ORDER BY "timestamp" DESC, id DESC LIMIT $${values.push(limit + 1)}`,
    values,
  };
}
