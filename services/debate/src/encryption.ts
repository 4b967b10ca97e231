import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { ciphertextInvalid, encryptionKeyInvalid, keyUnknown, noEncryptionKey } from './errors';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
/** The nonce length that GCM is designed for. One key allows 2^32 random nonces (NIST SP 800-38D, 8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEALED = /^v([1-9]\d{0,8})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22,})$/;
const ENTRY = /^(?:v([1-9]\d{0,8}):)?([A-Za-z0-9+/_=-]+)$/;

/** The keys of a handle: the newest one seals, all of them open. Node never prints the content of a KeyObject. */
export interface Keyring {
  readonly newest: number;
  readonly keys: ReadonlyMap<number, KeyObject>;
}

/**
 * Parses keys of 32 bytes in base64 or hex, as `v2:<key>,v1:<key>`, newest first. A key without a version is v1. Returns
 * undefined for no text or blank text. The format is that of auth, so that one variable serves both.
 * @throws {SuiteError} `DEBATE.ENCRYPTION_KEY_INVALID`
 */
export function readKeyring(text: string | undefined): Keyring | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const entries = text.split(',').map((entry) => readKey(entry.trim()));
  const [first] = entries;
  const falling = entries.every(({ version }, n) => n === 0 || version < (entries[n - 1]?.version ?? 0));
  if (first === undefined || !falling)
    throw encryptionKeyInvalid('the versions are not listed newest first, each once');
  return { newest: first.version, keys: new Map(entries.map(({ version, key }) => [version, key])) };
}

function readKey(entry: string): { readonly version: number; readonly key: KeyObject } {
  const [, version = '1', text = ''] = ENTRY.exec(entry) ?? [];
  const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
  if (bytes.length !== KEY_BYTES) throw encryptionKeyInvalid('a key is not 32 bytes in base64 or hex');
  return { version: Number(version), key: createSecretKey(bytes) };
}

/**
 * Encrypts the secret of a webhook with the newest key. Returns `v<key>.<nonce>.<ciphertext and tag>`, the parts in base64url.
 * @throws {SuiteError} `DEBATE.NO_ENCRYPTION_KEY`
 */
export function sealSecret(keyring: Keyring | undefined, webhookId: string, plain: string): string {
  if (keyring === undefined) throw noEncryptionKey();
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyOf(keyring, keyring.newest), nonce).setAAD(associatedData(webhookId));
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `v${keyring.newest}.${nonce.toString('base64url')}.${sealed.toString('base64url')}`;
}

/**
 * Decrypts a secret that `sealSecret` encrypted for this webhook.
 * @throws {SuiteError} `DEBATE.NO_ENCRYPTION_KEY`, `DEBATE.KEY_UNKNOWN`, `DEBATE.CIPHERTEXT_INVALID`
 */
export function openSecret(keyring: Keyring | undefined, webhookId: string, sealed: string): string {
  if (keyring === undefined) throw noEncryptionKey();
  const [, version, nonce = '', text = ''] = SEALED.exec(sealed) ?? [];
  if (version === undefined) throw ciphertextInvalid(webhookId);
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length < TAG_BYTES) throw ciphertextInvalid(webhookId);
  const key = keyOf(keyring, Number(version));
  const decipher = createDecipheriv(CIPHER, key, Buffer.from(nonce, 'base64url'), { authTagLength: TAG_BYTES })
    .setAAD(associatedData(webhookId))
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    throw ciphertextInvalid(webhookId);
  }
}

/** The key version of a sealed secret; undefined if the text is not sealed. */
export function keyVersionOf(text: string): number | undefined {
  const version = SEALED.exec(text)?.[1];
  return version === undefined ? undefined : Number(version);
}

function keyOf({ keys }: Keyring, version: number): KeyObject {
  const key = keys.get(version);
  if (key === undefined) throw keyUnknown(version, [...keys.keys()]);
  return key;
}

/** A ciphertext that was copied to another row cannot be decrypted. */
function associatedData(webhookId: string): Buffer {
  return Buffer.from(JSON.stringify([webhookId, 'webhook-secret']));
}
