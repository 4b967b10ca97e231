import { createHash, timingSafeEqual } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import { shellQuoted } from '../system/shell';
import { requireZstd } from './compression';
import { authenticate, KEY_FILE, openSetKey, type Secret, type SetKey, signManifest } from './encryption';
import { chunksOf } from './file';
import { filesOf, type Manifest, parseManifest } from './manifest';
import { CHECKSUM_FILE, fileDamaged, fileMissing, type SetWriter, type Storage } from './storage';

const MANIFEST_FILE = 'manifest.json';
/** The signature of the owner, only in a set that is encrypted with an identity. */
const SIGNATURE_FILE = 'manifest.sig';

/** A finished set with its manifest. */
export interface ReadSet {
  readonly manifest: Manifest;
  /** The SHA-256 of `manifest.json`. */
  readonly manifestSha256: string;
}

/** A finished set whose manifest matches its checksum. */
export interface OpenedSet extends ReadSet {
  readonly storage: Storage;
  readonly key: SetKey | undefined;
  /** Signs the result of a verification. */
  readonly secret: Secret | undefined;
  /** Whether the given key proves that its owner made the set. */
  readonly isSigned: boolean;
}

/** Writes the manifest, the signature of its owner and its checksum, the last files of a set. */
export async function writeManifest(
  writer: SetWriter,
  manifest: Manifest,
  { key, secret }: { readonly key: SetKey | undefined; readonly secret: Secret | undefined },
): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await writer.write(MANIFEST_FILE, chunksOf(text));
  const signature = secret && signManifest(secret, text);
  if (signature !== undefined) await writer.write(SIGNATURE_FILE, chunksOf(`hmac-sha256 ${signature}\n`));
  await writer.write(CHECKSUM_FILE, chunksOf(checksumOf(text, key)));
}

/** The id of a set that was given by a person. @throws {SuiteError} `BACKUP.UNKNOWN_SET` */
export async function findSet(storage: Storage, name: string): Promise<string> {
  const known = await storage.list();
  const found = known.find((set) => set === name);
  if (found === undefined) throw setUnknown(name, known, storage.location);
  return found;
}

/**
 * Reads the manifest of a set and compares it with its checksum.
 * @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.DAMAGED`, `BACKUP.BAD_MANIFEST`, `BACKUP.NEEDS_KEY`, `BACKUP.WRONG_KEY`,
 * `BACKUP.NO_ZSTD`
 */
export async function openSet(storage: Storage, set: string, secret: Secret | undefined): Promise<OpenedSet> {
  const text = await requireText(storage, set, MANIFEST_FILE);
  const checksum = await requireText(storage, set, CHECKSUM_FILE);
  const key = await readKey(storage, set, secret);
  if (!isSame(checksum, checksumOf(text, key))) {
    throw fileDamaged(set, MANIFEST_FILE, `It does not match its checksum in ${CHECKSUM_FILE}.`);
  }
  const manifest = parseManifest(text, set);
  if (manifest.id !== set) throw fileDamaged(set, MANIFEST_FILE, `It is the manifest of the set ${manifest.id}.`);
  if ((manifest.encryption !== null) !== (key !== undefined)) throw fileMissing(set, KEY_FILE);
  if (filesOf(manifest.databases).some(({ path }) => /\.zst(\.age)?$/.test(path))) requireZstd();
  const isSigned = secret !== undefined && (await checkSignature(storage, set, secret, text));
  return { storage, manifest, manifestSha256: sha256Of(text), key, secret, isSigned };
}

/** False when there is no signature, as in sets of earlier versions. @throws {SuiteError} `BACKUP.DAMAGED` */
async function checkSignature(storage: Storage, set: string, secret: Secret, manifest: string): Promise<boolean> {
  const expected = signManifest(secret, manifest);
  if (expected === undefined) return (await storage.readText(set, KEY_FILE)) !== undefined;
  const signature = await storage.readText(set, SIGNATURE_FILE);
  if (signature === undefined) return false;
  if (isSame(signature, `hmac-sha256 ${expected}\n`)) return true;
  throw fileDamaged(set, SIGNATURE_FILE, 'It is not the signature of the owner of the key.');
}

/**
 * Reads the manifest of a set for a list: without a key, and without comparing it with its checksum.
 * @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.BAD_MANIFEST`
 */
export async function readManifest(storage: Storage, set: string): Promise<ReadSet> {
  const text = await requireText(storage, set, MANIFEST_FILE);
  return { manifest: parseManifest(text, set), manifestSha256: sha256Of(text) };
}

async function readKey(storage: Storage, set: string, secret: Secret | undefined): Promise<SetKey | undefined> {
  const wrapped = await storage.readText(set, KEY_FILE);
  if (wrapped === undefined) return undefined;
  if (secret === undefined) throw needsKey(set);
  return openSetKey(wrapped, secret, set);
}

async function requireText(storage: Storage, set: string, file: string): Promise<string> {
  const text = await storage.readText(set, file);
  if (text === undefined) throw fileMissing(set, file);
  return text;
}

/** The SHA-256 of the manifest, or its HMAC-SHA-256 under the key of an encrypted set. */
function checksumOf(text: string, key: SetKey | undefined): string {
  return key === undefined ? `sha256 ${sha256Of(text)}\n` : `hmac-sha256 ${authenticate(key, text)}\n`;
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function isSame(left: string, right: string): boolean {
  const [one, other] = [Buffer.from(left), Buffer.from(right)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function setUnknown(set: string, known: readonly string[], location: string): SuiteError {
  const newest = known.at(-1);
  return new SuiteError('BACKUP.UNKNOWN_SET', `There is no backup set ${set} in ${location}`, {
    kind: 'usage',
    next:
      newest === undefined
        ? 'Make a backup with "npx azora-db backup"'
        : `The newest set is ${newest}; "npx azora-db backup list --from ${shellQuoted(location)}" shows all of them`,
    meta: { set, location },
  });
}

function needsKey(set: string): SuiteError {
  return new SuiteError('BACKUP.NEEDS_KEY', `The backup set ${set} is encrypted`, {
    kind: 'configuration',
    next: 'Set AZORA_BACKUP_KEY (an age identity) or AZORA_BACKUP_PASSPHRASE',
    meta: { set },
  });
}
