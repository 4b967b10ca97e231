import { createHmac } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ReadableStream as WebStream } from 'node:stream/web';
import { redactedCause, SuiteError } from '@azora/db-core';
import type { Chunks } from './storage';

// Loaded with the first key: most commands use none, and it takes as long to load as the PostgreSQL driver.
const loadAge = () => import('age-encryption');

/** Holds the set's own key, encrypted to the owner's key. `age` decrypts it, and that key decrypts the other files. */
export const KEY_FILE = 'key.age';

/** Opens an encrypted set: an age identity (`AGE-SECRET-KEY-1…`) or a passphrase. */
export type Secret = { readonly identity: string } | { readonly passphrase: string };

/** The key of a set, and of later ones that share its files. It exists so that a passphrase is stretched once, not once per file. */
export interface SetKey {
  /** An age identity. */
  readonly identity: string;
}

/** Makes the key of a new set, and the content of {@link KEY_FILE}. */
export async function makeSetKey(secret: Secret): Promise<{ readonly key: SetKey; readonly wrapped: string }> {
  const { armor, Encrypter, generateX25519Identity, identityToRecipient } = await loadAge();
  const identity = await generateX25519Identity();
  const encrypter = new Encrypter();
  if ('passphrase' in secret) encrypter.setPassphrase(secret.passphrase);
  else encrypter.addRecipient(await coded(() => identityToRecipient(secret.identity)));
  return { key: { identity }, wrapped: armor.encode(await encrypter.encrypt(identity)) };
}

/** Reads the owner's key. @throws {SuiteError} `CONFIG.BAD_BACKUP_KEY` when its checksum is wrong */
async function coded<Result>(read: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    throw new SuiteError('CONFIG.BAD_BACKUP_KEY', 'AZORA_BACKUP_KEY is not a valid key', {
      kind: 'configuration',
      why: 'It looks like an age identity, but its checksum is wrong: a character is missing or changed.',
      next: 'Copy the whole line from the file of "age-keygen" again',
      meta: { source: 'AZORA_BACKUP_KEY' },
      cause: redactedCause(error),
    });
  }
}

/**
 * Decrypts the key of a set.
 * @throws {SuiteError} `BACKUP.WRONG_KEY`, `CONFIG.BAD_BACKUP_KEY`
 */
export async function openSetKey(wrapped: string, secret: Secret, set: string): Promise<SetKey> {
  const { armor, Decrypter } = await loadAge();
  const decrypter = new Decrypter();
  if ('passphrase' in secret) decrypter.addPassphrase(secret.passphrase);
  else await coded(() => decrypter.addIdentity(secret.identity));
  try {
    return { identity: await decrypter.decrypt(armor.decode(wrapped), 'text') };
  } catch (error) {
    throw new SuiteError('BACKUP.WRONG_KEY', `The key does not open the backup set ${set}`, {
      kind: 'configuration',
      why: `${KEY_FILE} was encrypted with another key or passphrase, or is damaged.`,
      next: 'Set AZORA_BACKUP_KEY or AZORA_BACKUP_PASSPHRASE to the value that was used for the backup',
      meta: { set, file: KEY_FILE },
      cause: error,
    });
  }
}

export async function* encrypt({ identity }: SetKey, chunks: Chunks): Chunks {
  const { Encrypter, identityToRecipient } = await loadAge();
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity));
  yield* fromWeb(await encrypter.encrypt(toWeb(chunks)));
}

/** Throws when a byte has changed, or when bytes are missing at the end. */
export async function* decrypt({ identity }: SetKey, chunks: Chunks): Chunks {
  const { Decrypter } = await loadAge();
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  yield* fromWeb(await decrypter.decrypt(toWeb(chunks)));
}

/** A text for a file that others can read: encrypted with the set's key, in Base64. */
export async function encryptText(key: SetKey, text: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of encrypt(key, Readable.from([Buffer.from(text)]))) parts.push(part);
  return Buffer.concat(parts).toString('base64');
}

/**
 * The owner's signature of a manifest: an HMAC-SHA-256 under a key that only the identity gives. Everybody who knows the public half of
 * an identity can encrypt a set to it. Undefined for a passphrase, because nobody can make a `key.age` for it without knowing it.
 */
export function signManifest(secret: Secret, text: string): string | undefined {
  return 'passphrase' in secret ? undefined : sign(secret.identity, 'azora backup manifest', text);
}

/** The same for the result of a verification, because another program with access to the storage could claim one. */
export function signVerification(secret: Secret, text: string): string | undefined {
  return 'passphrase' in secret ? undefined : sign(secret.identity, 'azora backup verification', text);
}

function sign(identity: string, purpose: string, text: string): string {
  const key = createHmac('sha256', identity).update(purpose).digest();
  return createHmac('sha256', key).update(text).digest('hex');
}

/** The HMAC-SHA-256 of a text under the set's key (RFC 2104), in hexadecimal digits. */
export function authenticate({ identity }: SetKey, text: string): string {
  return createHmac('sha256', identity).update(text).digest('hex');
}

/**
 * The hash of a table's content for the manifest, which nobody has to decrypt: without the key, it cannot be compared with the
 * hashes of guesses.
 */
export function contentHash(sha256: string, key: SetKey | undefined): string {
  return key === undefined ? sha256 : authenticate(key, sha256);
}

/** Whether the manifest has the hash of this content. Encrypted sets of earlier versions hold the plain one. */
export function isHash(recorded: string, sha256: string, key: SetKey | undefined): boolean {
  return recorded === sha256 || recorded === contentHash(sha256, key);
}

function toWeb(chunks: Chunks): ReadableStream<Uint8Array> {
  return Readable.toWeb(Readable.from(chunks)) as ReadableStream<Uint8Array>;
}

function fromWeb(stream: ReadableStream<Uint8Array>): Chunks {
  return Readable.fromWeb(stream as WebStream<Uint8Array>);
}
