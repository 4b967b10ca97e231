import { SuiteError } from '@azora/db-core';
import { z } from 'zod';
import { writeAudit } from './audit/entries';
import type { Auth } from './client';
import { decryptSecret, encryptSecret, newestKey } from './encryption/encryption';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';

/** Every column with ciphertexts of `encryptSecret`, and their use. */
const ENCRYPTED_COLUMNS = [
  // An enrollment that waits has another use, and ends within ten minutes.
  { table: 'mfa_settings', column: 'totp_secret', use: 'totp', only: 'totp_enabled' },
  { table: 'oauth_providers', column: 'access_token', use: 'oauth_access', only: 'true' },
  { table: 'oauth_providers', column: 'refresh_token', use: 'oauth_refresh', only: 'true' },
] as const;
const DEFAULT_LIMIT = 1_000;
const PAGE = 100;

export interface RotateEncryptionInput {
  /** The most secrets that one call re-encrypts: 1 to 100,000, by default 1000. */
  readonly limit?: number;
  readonly device?: Device;
}

export interface RotatedEncryption {
  readonly rotated: number;
  /** Secrets that no key of the handle decrypts. They are left unchanged. */
  readonly unreadable: readonly UnreadableSecret[];
  /** Whether all secrets were visited. If none is unreadable, the older keys can be removed. */
  readonly done: boolean;
}

export interface UnreadableSecret {
  readonly table: string;
  readonly id: string;
  /** `AUTH.KEY_UNKNOWN` or `AUTH.CIPHERTEXT_INVALID`. */
  readonly code: string;
}

type Column = (typeof ENCRYPTED_COLUMNS)[number];

interface EncryptedRow {
  readonly id: string;
  readonly userId: string;
  readonly ciphertext: string;
}

type OldSecret = Column & EncryptedRow;

const rotateInput = z.strictObject({
  limit: z.int().min(1).max(100_000).default(DEFAULT_LIMIT),
  device: deviceInput,
});

/**
 * Re-encrypts secrets of older keys with the newest key, one row per transaction, and skips a row that changed in the
 * meantime. Calls can run concurrently. Call it until `done` is true.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.NO_ENCRYPTION_KEY`
 */
export async function rotateEncryption(auth: Auth, input: RotateEncryptionInput = {}): Promise<RotatedEncryption> {
  const { limit, device } = readInput(rotateInput, input);
  const unreadable: UnreadableSecret[] = [];
  let rotated = 0;
  for await (const secret of oldSecrets(auth)) {
    if (rotated === limit) return { rotated, unreadable, done: false };
    const plain = decrypted(auth, secret);
    if (plain instanceof SuiteError) unreadable.push({ table: secret.table, id: secret.id, code: plain.code });
    else if (await replaceSecret(auth, secret, plain, device)) rotated += 1;
  }
  return { rotated, unreadable, done: true };
}

/** Secrets that are not encrypted with the newest key, by id, so that a call meets an unreadable one once. */
async function* oldSecrets(auth: Auth): AsyncGenerator<OldSecret> {
  const { version } = newestKey(auth.keyring);
  for (const place of ENCRYPTED_COLUMNS) {
    let rows: readonly EncryptedRow[] = [];
    do {
      rows = await auth.query<EncryptedRow>({
        text: `SELECT id, user_id AS "userId", ${place.column} AS ciphertext FROM ${place.table}
               WHERE id > $1 AND ${place.only} AND ${place.column} IS NOT NULL AND ${place.column} NOT LIKE $2 ORDER BY id LIMIT ${PAGE}`,
        values: [rows.at(-1)?.id ?? '', `v${version}.%`],
      });
      for (const row of rows) yield { ...place, ...row };
    } while (rows.length === PAGE);
  }
}

function decrypted(auth: Auth, { userId, use, ciphertext }: OldSecret): string | SuiteError {
  try {
    return decryptSecret(auth.keyring, { userId, use }, ciphertext);
  } catch (error) {
    if (error instanceof SuiteError) return error;
    throw error;
  }
}

/** False if the row changed since it was read. */
function replaceSecret(auth: Auth, secret: OldSecret, plain: string, device: Device): Promise<boolean> {
  const { id, userId, table, column, use, ciphertext } = secret;
  return auth.transaction(async (tx) => {
    const fresh = encryptSecret(auth.keyring, { userId, use }, plain);
    const changed = await tx.$executeRawUnsafe(
      `UPDATE ${table} SET ${column} = $1, updated_at = database_time() WHERE id = $2 AND ${column} = $3`,
      fresh,
      id,
      ciphertext,
    );
    if (changed === 0) return false;
    await writeAudit(tx, { userId, action: 'SECRET_REENCRYPTED', resourceType: table, resourceId: id, device });
    return true;
  });
}
