import { newId } from '@azora/db-core';
import { rowIdInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { openSecret } from './encryption';
import { noEncryptionKey, readInput, webhookNotFound } from './errors';
import { dataInput, mostInput } from './input';
import { findRow, listRows, valueFor, type WebhookDelivery } from './rows';
import type { PruneInput } from './stream.store';
import { post } from './webhook/post';
import { signWebhook } from './webhook/signature';
import { type HostResolver, isNetwork, networksOf, systemResolver, type TargetRules } from './webhook/target';
import type { WebhookInput } from './webhooks.store';

export interface QueueWebhooksInput {
  /** Names the message for its receivers. A message that is queued twice with one id is sent once. */
  readonly messageId: string;
  /** Webhooks that ask for this type get the message. */
  readonly eventType: string;
  /** At most 16,384 characters as JSON. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Whose webhooks: those of a person, or those of a workspace. */
  readonly to: { readonly userId: string } | { readonly workspaceId: string };
}

export interface DeliverWebhooksInput {
  /** 1 to 1000 deliveries; 100 when absent. */
  readonly limit?: number;
  /** How many are sent at the same time, 1 to 100; 10 when absent. */
  readonly concurrency?: number;
  /** Milliseconds that a receiver has to answer, at most a minute; 15 seconds when absent. */
  readonly timeoutMs?: number;
  /** Milliseconds, at most an hour, after which another worker may send what this one has not finished; 5 minutes when absent. */
  readonly leaseMs?: number;
  /** Networks in CIDR notation that webhooks may reach although they are not public, also without TLS. */
  readonly allowNetworks?: readonly string[];
  /** Finds the addresses of a host; the resolver of the system when absent. */
  readonly resolve?: HostResolver;
}

export interface WebhookRun {
  readonly delivered: number;
  /** They are tried again, after 30 s, 2, 8, 32 and 128 minutes. */
  readonly retried: number;
  /** They are given up after six attempts. */
  readonly failed: number;
  /** Webhooks that were switched off, by ten failures in a row or the answer 410. */
  readonly disabled: number;
  /** Why a message reached no receiver. */
  readonly errors: readonly { readonly webhookId: string; readonly messageId: string; readonly error: unknown }[];
}

export interface ListWebhookDeliveriesInput extends PageInput, WebhookInput {}

const queueInput = z.strictObject({
  // The specification forbids the dot, which separates the parts that are signed.
  messageId: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/, 'is not an id of letters, digits, _ and -'),
  eventType: textInput(100),
  data: dataInput,
  to: z.union([z.strictObject({ userId: rowIdInput }), z.strictObject({ workspaceId: rowIdInput })]),
});
const deliverInput = z.strictObject({
  limit: z.int().min(1).max(1_000).default(100),
  concurrency: z.int().min(1).max(100).default(10),
  timeoutMs: z.int().min(1).max(60_000).default(15_000),
  leaseMs: z.int().min(1_000).max(3_600_000).default(300_000),
  allowNetworks: z.array(z.string().refine(isNetwork, 'is not a network such as 10.1.0.0/16')).max(100).default([]),
  resolve: z
    .custom<HostResolver>((value) => typeof value === 'function', 'is not a function')
    .default(() => systemResolver),
});
const listInput = z.strictObject({ webhookId: rowIdInput, by: rowIdInput, ...pageFields });
const pruneInput = z.strictObject({ limit: mostInput });

/**
 * Queues a message for each active webhook of a person or a workspace that asks for its type, and returns their number; once per message id.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`
 */
export async function queueWebhooks(debate: Debate, input: QueueWebhooksInput): Promise<number> {
  const { messageId, eventType, data, to } = readInput(queueInput, input);
  const values = [messageId, JSON.stringify({ ...to, eventType, body: JSON.stringify({ type: eventType, data }) })];
  return valueFor(debate, 'SELECT queue_webhooks($1, $2) AS value', values);
}

interface Claimed {
  readonly webhook_id: string;
  readonly message_id: string;
  readonly url: string;
  readonly secret: string;
  readonly body: string;
  readonly sent_at: Date;
  readonly [column: string]: unknown;
}

/**
 * Sends what is due: claims deliveries, signs and posts them as Standard Webhooks specifies, and records the outcomes. Call it again and again,
 * in any number of processes; each delivery is with one of them at a time. A process that dies leaves its claim to others when the lease
 * ends, so a receiver may get a message twice, with the same id. Only public addresses are reached, by TLS; redirects are failures.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.NO_ENCRYPTION_KEY`
 */
export async function deliverWebhooks(debate: Debate, input: DeliverWebhooksInput = {}): Promise<WebhookRun> {
  const { limit, concurrency, timeoutMs, leaseMs, allowNetworks, resolve } = readInput(deliverInput, input);
  if (debate.keyring === undefined) throw noEncryptionKey();
  const rules: TargetRules = { allowed: networksOf(allowNetworks), resolve };
  const claimId = newId();
  const claimed = await debate.query<Claimed>({
    text: 'SELECT * FROM claim_webhook_deliveries($1, $2, $3::interval)',
    values: [claimId, limit, `${leaseMs} milliseconds`],
  });
  const counts = new Map<string, number>();
  const errors: { readonly webhookId: string; readonly messageId: string; readonly error: unknown }[] = [];
  const waiting = claimed.values();
  const work = async () => {
    for (const row of waiting) {
      const { secret, status = null, error } = await send(debate, row, timeoutMs, rules);
      if (error !== undefined) errors.push({ webhookId: row.webhook_id, messageId: row.message_id, error });
      // A key that is missing here is no failure of the receiver: another worker may have it when the claim has lapsed.
      if (secret === undefined) continue;
      const isDelivered = status !== null && status >= 200 && status < 300;
      const values = [claimId, row.webhook_id, row.message_id, isDelivered, status];
      const outcome = await valueFor<string>(debate, FINISH, values);
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, claimed.length) }, work));
  const countOf = (outcome: string) => counts.get(outcome) ?? 0;
  return {
    delivered: countOf('delivered'),
    retried: countOf('pending'),
    failed: countOf('failed'),
    disabled: countOf('disabled'),
    errors,
  };
}

const FINISH = 'SELECT finish_webhook_delivery($1, $2, $3, $4, $5) AS value';

interface Attempt {
  /** Undefined if no key decrypts it. */
  readonly secret?: string;
  /** Of the response, if there was one. */
  readonly status?: number;
  readonly error?: unknown;
}

async function send(debate: Debate, row: Claimed, timeoutMs: number, rules: TargetRules): Promise<Attempt> {
  let secret: string | undefined;
  try {
    secret = openSecret(debate.keyring, row.webhook_id, row.secret);
    const timestamp = Math.floor(row.sent_at.getTime() / 1_000);
    const { message_id: messageId, url, body } = row;
    const headers = {
      'content-type': 'application/json',
      'webhook-id': messageId,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signWebhook(secret, { messageId, timestamp, body }),
    };
    const status = await post({ url, headers, body, timeoutMs }, rules);
    return status <= 599 ? { secret, status } : { secret, error: new Error('the response has no known status') };
  } catch (error) {
    return secret === undefined ? { error } : { secret, error };
  }
}

/**
 * A page of the deliveries to a webhook, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.WEBHOOK_NOT_FOUND`
 */
export async function listWebhookDeliveries(
  debate: Debate,
  input: ListWebhookDeliveriesInput,
): Promise<Page<WebhookDelivery>> {
  const { webhookId, by, limit, cursor } = readInput(listInput, input);
  const owned = await findRow(debate, 'webhook_configs', { id: webhookId, user_id: by });
  if (owned === undefined) throw webhookNotFound({ webhookId });
  const where = { webhook_id: webhookId };
  return listRows<WebhookDelivery>(debate, { table: 'webhook_deliveries', where, key: 'message_id', limit, cursor });
}

/**
 * Deletes deliveries that have ended and are older than 30 days, and returns their number.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function pruneWebhookDeliveries(debate: Debate, input: PruneInput = {}): Promise<number> {
  const { limit } = readInput(pruneInput, input);
  return valueFor(debate, "SELECT prune_webhook_deliveries('30 days', $1) AS value", [limit]);
}
