import { newId } from '@azora/db-core';
import { idInput, type JsonObject, jsonObjectInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Nexus } from './client';
import { readInput } from './errors';
import { type AuditEntry, callFor, listRows } from './rows';

const MAX_DETAILS = 16_384;

export interface RecordAuditInput {
  /** The person whom it is about. */
  readonly userId?: string;
  /** Lower-case words with dots and hyphens, such as profile.viewed. */
  readonly action: string;
  readonly resourceType?: string;
  readonly resourceId?: string;
  /** A JSON object of at most 16384 characters. */
  readonly details?: JsonObject;
  readonly ipAddress?: string;
  readonly userAgent?: string;
}

export interface ListAuditInput extends PageInput {
  readonly userId?: string;
  readonly action?: string;
}

const actionInput = z
  .string()
  .max(100)
  .regex(/^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$/, 'is not lower-case words with dots and hyphens');
const recordInput = z.strictObject({
  userId: idInput.optional(),
  action: actionInput,
  resourceType: textInput(50).optional(),
  resourceId: textInput(255).optional(),
  details: jsonObjectInput(MAX_DETAILS, 'characters').default({}),
  ipAddress: z.union([z.ipv4(), z.ipv6()]).optional(),
  userAgent: textInput(1_000).optional(),
});
const listInput = z.strictObject({ userId: idInput.optional(), action: actionInput.optional(), ...pageFields });

/**
 * Appends an entry to the audit log; the database dates it, and nobody changes or deletes it. The functions of the store that change a
 * profile or erase a person append their own.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function recordAudit(nexus: Nexus, input: RecordAuditInput): Promise<AuditEntry> {
  const { userId, action, resourceType, resourceId, details, ipAddress, userAgent } = readInput(recordInput, input);
  const values = [userId, action, resourceType, resourceId, JSON.stringify(details), ipAddress, userAgent];
  return callFor(
    nexus,
    `INSERT INTO audit_logs (id, user_id, action, resource_type, resource_id, details, ip_address, user_agent)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *`,
    [newId(), ...values.map((value) => value ?? null)],
  );
}

/**
 * A page of the audit log, newest first.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function listAudit(nexus: Nexus, input: ListAuditInput = {}): Promise<Page<AuditEntry>> {
  const { userId, action, limit, cursor } = readInput(listInput, input);
  return listRows<AuditEntry>(nexus, { from: 'audit_logs', where: { user_id: userId, action }, limit, cursor });
}
