import { createHash, timingSafeEqual } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import { authenticate, KEY_FILE, openSetKey, type Secret, type SetKey } from './encryption';
import { fileDamaged, fileMissing, setUnknown } from './errors';
import { chunksOf } from './file';
import { type Manifest, parseManifest } from './manifest';
import type { SetWriter, Storage } from './storage';

const MANIFEST_FILE = 'manifest.json';
/** The manifest's SHA-256, or in an encrypted set its HMAC-SHA-256 under the set's key. */
const SEAL_FILE = 'manifest.seal';

/** A finished set whose manifest is what was written. */
export interface OpenedSet {
  readonly storage: Storage;
  readonly manifest: Manifest;
  readonly key: SetKey | undefined;
}

/** Writes what makes the files of a set one: after it, the set may be finished. */
export async function writeManifest(writer: SetWriter, manifest: Manifest, key: SetKey | undefined): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await writer.write(MANIFEST_FILE, chunksOf(text));
  await writer.write(SEAL_FILE, chunksOf(sealOf(text, key)));
}

/** The name of a set that somebody gave: `latest`, or an id. @throws {SuiteError} `BACKUP.UNKNOWN_SET` */
export async function findSet(storage: Storage, name: string): Promise<string> {
  const known = await storage.list();
  const found = name === 'latest' ? known.at(-1) : known.find((set) => set === name);
  if (found === undefined) throw setUnknown(name, known, storage.location);
  return found;
}

/**
 * Reads the manifest of a set and checks its seal.
 * @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.DAMAGED`, `BACKUP.BAD_MANIFEST`, `BACKUP.NEEDS_KEY`, `BACKUP.WRONG_KEY`
 */
export async function openSet(storage: Storage, set: string, secret: Secret | undefined): Promise<OpenedSet> {
  const text = await requireText(storage, set, MANIFEST_FILE);
  const seal = await requireText(storage, set, SEAL_FILE);
  const key = await readKey(storage, set, secret);
  if (!isSame(seal, sealOf(text, key))) {
    throw fileDamaged(set, MANIFEST_FILE, `It is not the one that ${SEAL_FILE} was made for.`);
  }
  const manifest = parseManifest(text, set);
  if (manifest.id !== set) throw fileDamaged(set, MANIFEST_FILE, `It is the manifest of ${manifest.id}.`);
  if ((manifest.encryption !== null) !== (key !== undefined)) throw fileMissing(set, KEY_FILE);
  return { storage, manifest, key };
}

/** What a set's manifest says, without a key and unchecked: for lists. */
export async function readManifest(storage: Storage, set: string): Promise<Manifest> {
  return parseManifest(await requireText(storage, set, MANIFEST_FILE), set);
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

function sealOf(text: string, key: SetKey | undefined): string {
  return key === undefined
    ? `sha256 ${createHash('sha256').update(text).digest('hex')}\n`
    : `hmac-sha256 ${authenticate(key, text)}\n`;
}

function isSame(left: string, right: string): boolean {
  const [one, other] = [Buffer.from(left), Buffer.from(right)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function needsKey(set: string): SuiteError {
  return new SuiteError('BACKUP.NEEDS_KEY', `The set ${set} is encrypted`, {
    kind: 'configuration',
    next: 'Set AZORA_BACKUP_KEY (an age identity) or AZORA_BACKUP_PASSPHRASE',
    meta: { set },
  });
}
