import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Auth } from './client';
import { readInput } from './errors';
import type { Prisma } from './generated/client';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;

export interface ReadAuditInput {
  /** Entries about this user; null for those about nobody. */
  readonly userId?: string | null;
  readonly orgId?: string;
  readonly action?: string;
  /** Entries at or after, and before, these moments. */
  readonly from?: Date;
  readonly to?: Date;
  /** Entries on a page, 50 without it, 500 at most. */
  readonly limit?: number;
  /** Where the last page ended. */
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
  /** Its place in the chain of the user, from 1. */
  readonly seq: bigint;
  readonly hash: string;
}

export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** For the next page; null on the last one. */
  readonly nextCursor: string | null;
}

interface Cursor {
  readonly micros: string;
  readonly id: string;
}

const cursorInput = z
  .string()
  .max(500)
  .transform((text, context): Cursor => {
    const [, micros, id] = /^(-?\d{1,18}) (.+)$/su.exec(Buffer.from(text, 'base64url').toString()) ?? [];
    if (micros !== undefined && idInput.safeParse(id).success) return { micros, id: id ?? '' };
    context.addIssue({ code: 'custom', message: 'is no cursor' });
    return z.NEVER;
  });

const readAuditInput = z.strictObject({
  userId: idInput.nullish(),
  orgId: idInput.optional(),
  action: textInput(100).optional(),
  from: z.date().optional(),
  to: z.date().optional(),
  limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
  cursor: cursorInput.optional(),
});

type Row = Omit<AuditEntry, 'seq'> & { readonly seq: string; readonly micros: string };

/**
 * A page of the audit log, the newest entry first. Entries that are written meanwhile do not shift the pages.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function readAudit(auth: Auth, input: ReadAuditInput = {}): Promise<AuditPage> {
  const filter = readInput(readAuditInput, input);
  const rows = await auth.query<Row>(pageStatement(filter));
  const page = rows.slice(0, filter.limit);
  const last = rows.length > page.length ? page.at(-1) : undefined;
  return {
    entries: page.map(({ micros: _, seq, ...entry }) => ({ ...entry, seq: BigInt(seq) })),
    nextCursor: last === undefined ? null : Buffer.from(`${last.micros} ${last.id}`).toString('base64url'),
  };
}

/** One more than a page, to know whether another follows. The name says which conditions there are. */
function pageStatement({ userId, orgId, action, from, to, limit, cursor }: z.infer<typeof readAuditInput>) {
  const conditions = [
    // As in the index of the chains.
    ['user', "coalesce(user_id, '') = ?", [userId === null ? '' : userId]],
    ['org', 'org_id = ?', [orgId]],
    ['action', 'action = ?', [action]],
    ['from', '"timestamp" >= ?', [from]],
    ['to', '"timestamp" < ?', [to]],
    // Whole microseconds, as PostgreSQL keeps them: a Date has milliseconds only.
    [
      'after',
      `("timestamp", id) < (timestamptz 'epoch' + ?::bigint * interval '1 microsecond', ?)`,
      [cursor?.micros, cursor?.id],
    ],
  ] as const;
  const given = conditions.filter(([, , values]) => values[0] !== undefined);
  const values: unknown[] = [];
  const sql = given.map(([, text, parameters]) => {
    let next = 0;
    return text.replaceAll('?', () => `$${values.push(parameters[next++])}`);
  });
  return {
    text: `SELECT id, "timestamp", user_id AS "userId", org_id AS "orgId", action, resource_type AS "resourceType",
        resource_id AS "resourceId", details, metadata, ip_address AS "ipAddress", user_agent AS "userAgent", seq, hash,
        (extract(epoch FROM "timestamp") * 1000000)::bigint AS micros
      FROM audit_log ${sql.length === 0 ? '' : `WHERE ${sql.join(' AND ')}`}
      ORDER BY "timestamp" DESC, id DESC LIMIT $${values.push(limit + 1)}`,
    values,
  };
}
