import { randomBytes } from 'node:crypto';
import { newId } from '@azora/db-core';
import { idInput, rowIdInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { type Keyring, keyVersionOf, openSecret, sealSecret } from './encryption';
import { noEncryptionKey, readInput, webhookNotFound } from './errors';
import { keyInput, longText, shortText } from './input';
import { callFor, findRow, listRows, valueFor, type Webhook } from './rows';

export interface CreateWebhookInput {
  /** An auth.User, who owns the webhook. */
  readonly userId: string;
  /** Beginning with https:, unless the deliveries allow its network. */
  readonly url: string;
  /** What it receives, such as `error`: 1 to 50 types. */
  readonly eventTypes: readonly string[];
  readonly workspaceId?: string;
  readonly name?: string;
  readonly description?: string;
  readonly idempotencyKey: string;
}

export interface WebhookInput {
  readonly webhookId: string;
  /** The owner. */
  readonly by: string;
}

export interface UpdateWebhookInput extends WebhookInput {
  readonly url?: string;
  readonly eventTypes?: readonly string[];
  /** Null removes it. */
  readonly name?: string | null;
  readonly description?: string | null;
  /** False cancels what waits for the webhook; true switches it on again, without its earlier failures. */
  readonly active?: boolean;
}

export interface ListWebhooksInput extends PageInput {
  readonly userId: string;
}

export interface NewWebhook {
  /** Verifies the signatures, as `whsec_` and base64. A repeat of the call returns it again. */
  readonly secret: string;
  readonly webhook: Webhook;
}

export interface Reseal {
  /** Secrets that were encrypted, or encrypted again with the newest key. */
  readonly sealed: number;
  /** Webhooks whose secret no key of the handle decrypts. */
  readonly unreadable: readonly string[];
}

/** The specification asks for 24 to 64 bytes. */
const SECRET_BYTES = 24;

const urlInput = textInput(2_000)
  .refine((text) => /^https?:\/\/\S+$/.test(text) && URL.canParse(text), 'is not a web address')
  .refine(
    (text) => !URL.canParse(text) || new URL(text).username + new URL(text).password === '',
    'contains a password',
  );
const typesInput = z.array(textInput(100)).min(1).max(50);
const createInput = z.strictObject({
  userId: idInput,
  url: urlInput,
  eventTypes: typesInput,
  workspaceId: idInput.optional(),
  name: shortText.optional(),
  description: longText.optional(),
  idempotencyKey: keyInput,
});
const oneInput = z.strictObject({ webhookId: rowIdInput, by: rowIdInput });
const updateInput = oneInput.extend({
  url: urlInput.optional(),
  eventTypes: typesInput.optional(),
  name: shortText.nullable().optional(),
  description: longText.nullable().optional(),
  active: z.boolean().optional(),
});
const listInput = z.strictObject({ userId: rowIdInput, ...pageFields });

function newSecret(): string {
  return `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
}

/**
 * Makes a webhook, once per key, and returns the secret that signs its deliveries. The database has it encrypted only.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`, `DEBATE.NO_ENCRYPTION_KEY`, `DEBATE.WEBHOOK_NOT_FOUND`
 */
export async function createWebhook(debate: Debate, input: CreateWebhookInput): Promise<NewWebhook> {
  const { idempotencyKey, ...body } = readInput(createInput, input);
  const id = newId();
  const secret = newSecret();
  const values = [idempotencyKey, id, sealSecret(debate.keyring, id, secret), JSON.stringify(body)];
  const webhook = await callFor<Webhook>(debate, 'SELECT * FROM create_webhook($1, $2, $3, $4)', values);
  if (webhook.id === id) return { secret, webhook };
  // An earlier call made it; it may have been deleted since.
  const [stored] = await debate.query<{ readonly secret: string }>({
    text: 'SELECT secret FROM webhook_configs WHERE id = $1',
    values: [webhook.id],
  });
  if (stored === undefined) throw webhookNotFound({});
  return { secret: openSecret(debate.keyring, webhook.id, stored.secret), webhook };
}

const UPDATE = 'SELECT * FROM update_webhook($1, $2, $3, $4)';

/**
 * Changes a webhook; fields that are absent stay.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.WEBHOOK_NOT_FOUND`
 */
export async function updateWebhook(debate: Debate, input: UpdateWebhookInput): Promise<Webhook> {
  const { webhookId, by, ...changes } = readInput(updateInput, input);
  return callFor(debate, UPDATE, [webhookId, by, null, JSON.stringify(changes)]);
}

/**
 * Gives a webhook a new secret, which signs every delivery from now on.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.WEBHOOK_NOT_FOUND`, `DEBATE.NO_ENCRYPTION_KEY`
 */
export async function rotateWebhookSecret(debate: Debate, input: WebhookInput): Promise<NewWebhook> {
  const { webhookId, by } = readInput(oneInput, input);
  const secret = newSecret();
  const values = [webhookId, by, sealSecret(debate.keyring, webhookId, secret), '{}'];
  return { secret, webhook: await callFor<Webhook>(debate, UPDATE, values) };
}

/**
 * Deletes a webhook and what waits for it.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.WEBHOOK_NOT_FOUND`
 */
export async function deleteWebhook(debate: Debate, input: WebhookInput): Promise<Webhook> {
  const { webhookId, by } = readInput(oneInput, input);
  return callFor(debate, 'SELECT * FROM delete_webhook($1, $2)', [webhookId, by]);
}

/**
 * A webhook of a person, with the state of its deliveries.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.WEBHOOK_NOT_FOUND`
 */
export async function getWebhook(debate: Debate, input: WebhookInput): Promise<Webhook> {
  const { webhookId, by } = readInput(oneInput, input);
  const found = await findRow<Webhook>(debate, 'webhook_configs', { id: webhookId, user_id: by });
  if (found === undefined) throw webhookNotFound({ webhookId });
  return found;
}

/**
 * A page of the webhooks of a person, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listWebhooks(debate: Debate, input: ListWebhooksInput): Promise<Page<Webhook>> {
  const { userId, limit, cursor } = readInput(listInput, input);
  return listRows<Webhook>(debate, { table: 'webhook_configs', where: { user_id: userId }, limit, cursor });
}

const BATCH = 500;

/**
 * Encrypts every secret of a webhook with the newest key: those of older keys, and those that an import has brought as they were. Call it
 * after an import, and after a change of keys; when it returns without `unreadable`, the old keys can go.
 * @throws {SuiteError} `DEBATE.NO_ENCRYPTION_KEY`
 */
export async function resealWebhooks(debate: Debate): Promise<Reseal> {
  const { keyring } = debate;
  if (keyring === undefined) throw noEncryptionKey();
  let [after, sealed] = ['', 0];
  const unreadable: string[] = [];
  for (;;) {
    const rows = await debate.query<SecretRow>({ text: SECRETS, values: [after, BATCH] });
    for (const row of rows.filter(({ secret }) => keyVersionOf(secret) !== keyring.newest)) {
      const plain = plainSecret(keyring, row);
      if (plain === undefined) unreadable.push(row.id);
      else if (await reseal(debate, row, plain)) sealed += 1;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < BATCH) return { sealed, unreadable };
    after = last.id;
  }
}

const SECRETS = 'SELECT id, secret FROM webhook_configs WHERE id > $1 ORDER BY id LIMIT $2';

interface SecretRow {
  readonly id: string;
  readonly secret: string;
  readonly [column: string]: unknown;
}

/** The secret as it signs; undefined if no key decrypts it. */
function plainSecret(keyring: Keyring, { id, secret }: SecretRow): string | undefined {
  if (keyVersionOf(secret) === undefined) return secret;
  try {
    return openSecret(keyring, id, secret);
  } catch {
    return undefined;
  }
}

function reseal(debate: Debate, { id, secret }: SecretRow, plain: string): Promise<boolean> {
  const values = [id, secret, sealSecret(debate.keyring, id, plain)];
  return valueFor(debate, 'SELECT reseal_webhook($1, $2, $3) AS value', values);
}
