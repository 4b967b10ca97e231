import { SuiteError } from '@azora/db-core';
import { KEY_FILE, type Secret, type SetKey } from '../../backup-store/encryption';
import type { DatabaseEntry } from '../../backup-store/manifest';
import { type OpenedSet, openSet } from '../../backup-store/set';
import type { Storage } from '../../backup-store/storage';
import { readVerification } from '../../backup-store/verification';

/** Earlier sets from which a backup takes the files of unchanged tables. */
export interface BaseSets {
  /** The key of these sets, which the new one must use too; undefined for sets in plain text. */
  readonly sealed: { readonly key: SetKey; readonly wrapped: string } | undefined;
  readonly databases: ReadonlyMap<string, BaseDatabase>;
}

/** A database of an earlier set. */
export interface BaseDatabase {
  readonly set: string;
  readonly entry: DatabaseEntry;
}

/** A set of a few services does not hide the older set of all of them, and the search ends. */
const MOST_SETS = 20;

/**
 * Finds the newest set of each service whose files a new set can use: of the same owner, with the same encryption and unmasked.
 * One that cannot be opened or failed its verification is passed over, because the tables can always be stored anew.
 */
export async function findBaseSets(
  storage: Storage,
  secret: Secret | undefined,
  services: readonly string[],
): Promise<BaseSets> {
  const databases = new Map<string, BaseDatabase>();
  let sealed: BaseSets['sealed'];
  const ids = (await orPassedOver(() => storage.list())) ?? [];
  for (const id of ids.toReversed().slice(0, MOST_SETS)) {
    if (services.every((service) => databases.has(service))) break;
    const found = await orPassedOver(() => openBase(storage, id, secret, sealed?.wrapped));
    if (found === undefined) continue;
    const { set, wrapped } = found;
    if (set.key !== undefined && wrapped !== undefined) sealed = { key: set.key, wrapped };
    for (const entry of set.manifest.databases) {
      if (!databases.has(entry.service)) databases.set(entry.service, { set: id, entry });
    }
  }
  return { sealed, databases };
}

async function openBase(
  storage: Storage,
  id: string,
  secret: Secret | undefined,
  sameKey: string | undefined,
): Promise<{ readonly set: OpenedSet; readonly wrapped: string | undefined } | undefined> {
  const wrapped = await storage.readText(id, KEY_FILE);
  // Before it is opened: it takes a second to stretch a passphrase.
  if ((wrapped === undefined) !== (secret === undefined)) return undefined;
  if (sameKey !== undefined && wrapped !== sameKey) return undefined;
  const set = await openSet(storage, id, secret);
  if (set.manifest.masked || (secret !== undefined && !set.isSigned)) return undefined;
  const verification = await readVerification(storage, set, secret);
  return verification?.ok === false ? undefined : { set, wrapped };
}

async function orPassedOver<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SuiteError) return undefined;
    throw error;
  }
}
