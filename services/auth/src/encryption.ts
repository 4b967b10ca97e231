import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { ciphertextInvalid, encryptionKeyInvalid, keyUnknown, noEncryptionKey } from './encryption-errors';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
/** What GCM is made for; random ones of one key may be used about four thousand million times (NIST SP 800-38D, 8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEALED = /^v([1-9]\d{0,8})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const ENTRY = /^(?:v([1-9]\d{0,8}):)?([A-Za-z0-9+/_=-]+)$/;

/** The keys of a handle: the newest writes, all of them read. Node never prints what a KeyObject holds. */
export interface Keyring {
  readonly newest: number;
  readonly keys: ReadonlyMap<number, KeyObject>;
}

/** Whose secret it is and what for: a ciphertext that was moved to another row or column does not open. */
export interface SealedFor {
  readonly userId: string;
  readonly use: string;
}

/**
 * Reads keys of 32 bytes in base64 or hex, as `v2:<key>,v1:<key>`, newest first; one without a version is v1. Nothing
 * given is no keyring.
 * @throws {SuiteError} `AUTH.ENCRYPTION_KEY_INVALID`
 */
export function readKeyring(text: string | undefined): Keyring | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const entries = text.split(',').map((entry) => readKey(entry.trim()));
  const [first] = entries;
  const falling = entries.every(({ version }, n) => n === 0 || version < (entries[n - 1]?.version ?? 0));
  if (first === undefined || !falling) throw encryptionKeyInvalid('versions are not listed once each, newest first');
  return { newest: first.version, keys: new Map(entries.map(({ version, key }) => [version, key])) };
}

function readKey(entry: string): { readonly version: number; readonly key: KeyObject } {
  const [, version = '1', text = ''] = ENTRY.exec(entry) ?? [];
  const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
  if (bytes.length !== KEY_BYTES) throw encryptionKeyInvalid('a key is not 32 bytes in base64 or hex');
  return { version: Number(version), key: createSecretKey(bytes) };
}

/**
 * Encrypts with the newest key, as `v<key>.<nonce>.<ciphertext and tag>`, the parts in base64url.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export function seal(keyring: Keyring | undefined, whose: SealedFor, plain: string): string {
  const { version, key } = newestKey(keyring);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(associatedData(whose));
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `v${version}.${nonce.toString('base64url')}.${sealed.toString('base64url')}`;
}

/**
 * What was sealed for this user and use.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`, `AUTH.CIPHERTEXT_INVALID`
 */
export function unseal(keyring: Keyring | undefined, whose: SealedFor, sealed: string): string {
  const [, version, nonceText = '', text = ''] = SEALED.exec(sealed) ?? [];
  if (version === undefined) throw ciphertextInvalid(whose);
  const key = keyOf(keyring, Number(version));
  const nonce = Buffer.from(nonceText, 'base64url');
  const bytes = Buffer.from(text, 'base64url');
  // A shorter tag would be accepted by GCM and is far easier to forge.
  if (nonce.length !== NONCE_BYTES || bytes.length < TAG_BYTES) throw ciphertextInvalid(whose);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(associatedData(whose))
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    throw ciphertextInvalid(whose);
  }
}

/**
 * HMAC-SHA-256, in hex, under a key derived from each of the ring's, the newest first: what is too short to be kept as a
 * plain hash cannot be guessed from a copy of the database.
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

/** The version in front of what `seal` returns. */
export function keyVersionOf(sealed: string): number {
  return Number(/^v(\d+)\./.exec(sealed)?.[1] ?? 0);
}

/** @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY` */
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

function associatedData({ userId, use }: SealedFor): Buffer {
  return Buffer.from(JSON.stringify([userId, use]));
}
