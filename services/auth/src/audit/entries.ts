import { newId } from '@azora/db-core';
import type { Auth, AuthTransaction } from '../client';
import type { Prisma } from '../generated/client';
import type { Device } from '../input';

/** Facts of an entry: names, counts and ids; never a secret, a token or an address. */
export type AuditDetails = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

export interface AuditEntryInput {
  /** Null when the entry concerns no known user. */
  readonly userId: string | null;
  readonly orgId?: string | undefined;
  /** What happened, such as USER_LOGIN. */
  readonly action: string;
  readonly resourceType?: string;
  readonly resourceId?: string;
  readonly details?: AuditDetails | undefined;
  readonly device?: Device | undefined;
  /** Whether a lock of the password ended as well: an entry before this one says so. */
  readonly unlocked?: boolean | undefined;
}

/**
 * Appends an entry to the audit log in the transaction that it describes, at the database's time. The entry locks the head of the account's
 * chain until the transaction ends, and each call moves the head, so call it once, at the end.
 */
export async function writeAudit(tx: AuthTransaction, input: AuditEntryInput): Promise<void> {
  const { userId, orgId = null, action, resourceType = null, resourceId = null, details = {}, device = {} } = input;
  const entry: Prisma.AuditLogCreateManyInput = {
    id: newId(),
    userId,
    orgId,
    action,
    resourceType,
    resourceId,
    details,
    ipAddress: device.ipAddress ?? null,
    userAgent: device.userAgent ?? null,
  };
  const ended = { action: 'ACCOUNT_UNLOCKED', resourceType: 'user', resourceId: userId, details: { lock: 'password' } };
  const data = input.unlocked === true ? [{ id: newId(), userId, ...ended }, entry] : [entry];
  await tx.auditLog.createMany({ data });
}

/** Appends an entry to the audit log in a transaction of its own. */
export async function writeEntry(auth: Auth, input: AuditEntryInput): Promise<void> {
  const { userId, action, resourceType = null, resourceId = null, details = {}, device = {} } = input;
  await auth.query({
    text: 'SELECT write_audit_entry($1, $2, $3, $4, $5, $6, $7)',
    values: [
      userId,
      action,
      resourceType,
      resourceId,
      JSON.stringify(details),
      device.ipAddress ?? null,
      device.userAgent ?? null,
    ],
  });
}
