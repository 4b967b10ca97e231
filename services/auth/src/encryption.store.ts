import { SuiteError } from '@azora/db-core';
import { z } from 'zod';
import { writeAudit } from './audit';
import type { Auth } from './client';
import { newestKey, seal, unseal } from './encryption';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';

/** Every column that holds what `seal` gives, and what for. */
const SEALED_COLUMNS = [
  { table: 'mfa_settings', column: 'totp_secret', use: 'totp' },
  { table: 'oauth_providers', column: 'access_token', use: 'oauth_access' },
  { table: 'oauth_providers', column: 'refresh_token', use: 'oauth_refresh' },
] as const;
const DEFAULT_LIMIT = 1_000;
const PAGE = 100;

export interface RotateEncryptionInput {
  /** So many secrets are encrypted anew in one call at most; 1 to 100,000, without it 1000. */
  readonly limit?: number;
  readonly device?: Device;
}

export interface RotatedEncryption {
  readonly rotated: number;
  /** What no key of the handle opens; it stays as it is. */
  readonly unreadable: readonly UnreadableSecret[];
  /** Whether everything was looked at: with nothing unreadable, the older keys can go. */
  readonly done: boolean;
}

export interface UnreadableSecret {
  readonly table: string;
  readonly id: string;
  /** `AUTH.KEY_UNKNOWN` or `AUTH.CIPHERTEXT_INVALID`. */
  readonly code: string;
}

type Column = (typeof SEALED_COLUMNS)[number];

interface SealedRow {
  readonly id: string;
  readonly userId: string;
  readonly sealed: string;
}

type OldSecret = Column & SealedRow;

const rotateInput = z.strictObject({
  limit: z.int().min(1).max(100_000).default(DEFAULT_LIMIT),
  device: deviceInput,
});

/**
 * Encrypts secrets of older keys with the newest one, a row at a time and only if nobody changed it meanwhile. Any number
 * may run at once; call again until it is done.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.NO_ENCRYPTION_KEY`
 */
export async function rotateEncryption(auth: Auth, input: RotateEncryptionInput = {}): Promise<RotatedEncryption> {
  const { limit, device } = readInput(rotateInput, input);
  const unreadable: UnreadableSecret[] = [];
  let rotated = 0;
  for await (const secret of oldSecrets(auth)) {
    if (rotated === limit) return { rotated, unreadable, done: false };
    const plain = open(auth, secret);
    if (plain instanceof SuiteError) unreadable.push({ table: secret.table, id: secret.id, code: plain.code });
    else if (await replaceSecret(auth, secret, plain, device)) rotated += 1;
  }
  return { rotated, unreadable, done: true };
}

/** What is not encrypted with the newest key, in the order of the ids, so that what cannot be opened is met once. */
async function* oldSecrets(auth: Auth): AsyncGenerator<OldSecret> {
  const { version } = newestKey(auth.keyring);
  for (const place of SEALED_COLUMNS) {
    let rows: readonly SealedRow[] = [];
    do {
      rows = await auth.query<SealedRow>({
        text: `SELECT id, user_id AS "userId", ${place.column} AS sealed FROM ${place.table}
               WHERE id > $1 AND ${place.column} IS NOT NULL AND ${place.column} NOT LIKE $2 ORDER BY id LIMIT ${PAGE}`,
        values: [rows.at(-1)?.id ?? '', `v${version}.%`],
      });
      for (const row of rows) yield { ...place, ...row };
    } while (rows.length === PAGE);
  }
}

function open(auth: Auth, { userId, use, sealed }: OldSecret): string | SuiteError {
  try {
    return unseal(auth.keyring, { userId, use }, sealed);
  } catch (error) {
    if (error instanceof SuiteError) return error;
    throw error;
  }
}

/** False when the row was changed since it was read. */
function replaceSecret(auth: Auth, secret: OldSecret, plain: string, device: Device): Promise<boolean> {
  const { id, userId, table, column, use, sealed } = secret;
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    const fresh = seal(auth.keyring, { userId, use }, plain);
    const changed = await tx.$executeRawUnsafe(
      `UPDATE ${table} SET ${column} = $1, updated_at = $2 WHERE id = $3 AND ${column} = $4`,
      fresh,
      at,
      id,
      sealed,
    );
    if (changed === 0) return false;
    await writeAudit(tx, { userId, at, action: 'SECRET_REENCRYPTED', resourceType: table, resourceId: id, device });
    return true;
  });
}
