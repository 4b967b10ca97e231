import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { ciphertextInvalid, encryptionKeyInvalid, keyUnknown, noEncryptionKey } from './errors';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
/** The nonce length that GCM is designed for. One key allows 2^32 random nonces (NIST SP 800-38D, 8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHERTEXT = /^v([1-9]\d{0,8})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const ENTRY = /^(?:v([1-9]\d{0,8}):)?([A-Za-z0-9+/_=-]+)$/;

/** The keys of a handle: the newest one encrypts, all of them decrypt. Node never prints the content of a KeyObject. */
export interface Keyring {
  readonly newest: number;
  readonly keys: ReadonlyMap<number, KeyObject>;
}

/** Whose secret it is and for which use. A ciphertext that was copied to another row or column cannot be decrypted. */
export interface SecretOwner {
  readonly userId: string;
  readonly use: string;
}

/**
 * Parses keys of 32 bytes in base64 or hex, as `v2:<key>,v1:<key>`, newest first. A key without a version is v1. Returns
 * undefined for no text or blank text.
 * @throws {SuiteError} `AUTH.ENCRYPTION_KEY_INVALID`
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
 * Encrypts a secret with the newest key. Returns `v<key>.<nonce>.<ciphertext and tag>`, the parts in base64url.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export function encryptSecret(keyring: Keyring | undefined, owner: SecretOwner, plain: string): string {
  const { version, key } = newestKey(keyring);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(associatedData(owner));
  const encrypted = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `v${version}.${nonce.toString('base64url')}.${encrypted.toString('base64url')}`;
}

/**
 * Decrypts a secret that `encryptSecret` encrypted for this user and use.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`, `AUTH.CIPHERTEXT_INVALID`
 */
export function decryptSecret(keyring: Keyring | undefined, owner: SecretOwner, ciphertext: string): string {
  const [, version, nonceText = '', text = ''] = CIPHERTEXT.exec(ciphertext) ?? [];
  if (version === undefined) throw ciphertextInvalid(owner);
  const key = keyOf(keyring, Number(version));
  const nonce = Buffer.from(nonceText, 'base64url');
  const bytes = Buffer.from(text, 'base64url');
  // GCM accepts a shorter tag, which is far easier to forge.
  if (nonce.length !== NONCE_BYTES || bytes.length < TAG_BYTES) throw ciphertextInvalid(owner);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(associatedData(owner))
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    throw ciphertextInvalid(owner);
  }
}

/**
 * HMAC-SHA-256 in hex, under a key derived from each key of the ring, newest first. A value that is too short for a plain
 * hash cannot be guessed from a copy of the database.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export function keyedHashes(keyring: Keyring | undefined, parts: readonly string[]): readonly [string, ...string[]] {
  const { version: newest, key: first } = newestKey(keyring);
  const older = [...(keyring?.keys ?? [])].filter(([version]) => version !== newest).map(([, key]) => key);
  return [keyedHash(first, parts), ...older.map((key) => keyedHash(key, parts))];
}

function keyedHash(key: KeyObject, parts: readonly string[]): string {
  const derived = Buffer.from(hkdfSync('sha256', key, '', 'azora auth keyed hash', KEY_BYTES));
  return createHmac('sha256', derived).update(JSON.stringify(parts)).digest('hex');
}

/** The key version of a ciphertext of `encryptSecret`. */
export function keyVersionOf(ciphertext: string): number {
  return Number(/^v(\d+)\./.exec(ciphertext)?.[1] ?? 0);
}

/**
 * The key that encrypts.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export function newestKey(keyring: Keyring | undefined): { readonly version: number; readonly key: KeyObject } {
  if (keyring === undefined) throw noEncryptionKey();
  return { version: keyring.newest, key: keyOf(keyring, keyring.newest) };
}

function keyOf(keyring: Keyring | undefined, version: number): KeyObject {
  if (keyring === undefined) throw noEncryptionKey();
  const key = keyring.keys.get(version);
  if (key === undefined) throw keyUnknown(version, [...keyring.keys.keys()]);
  return key;
}

function associatedData({ userId, use }: SecretOwner): Buffer {
  return Buffer.from(JSON.stringify([userId, use]));
}
