import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { directoryStorage } from '../src/backup-store/directory';
import type { Secret } from '../src/backup-store/encryption';
import type { Manifest } from '../src/backup-store/manifest';
import { openSet } from '../src/backup-store/set';
import type { Storage } from '../src/backup-store/storage';
import { type BackupReport, type BackupRequest, backUpFleet } from '../src/operations/backup/create';
import { restoreFleet } from '../src/operations/backup/restore';
import type { Target } from '../src/operations/targets';

const places: string[] = [];

/** An empty directory for sets, until {@link removePlaces}. */
export async function givenPlace(): Promise<{ readonly directory: string; readonly storage: Storage }> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'azora-sets-'));
  places.push(directory);
  return { directory, storage: directoryStorage(directory) };
}

export async function removePlaces(): Promise<void> {
  await Promise.all(places.splice(0).map((directory) => rm(directory, { recursive: true, force: true })));
}

/** Makes a backup with the given options, which must succeed. */
export async function backUp(
  targets: readonly Target[],
  storage: Storage,
  options: Partial<BackupRequest> = {},
): Promise<BackupReport & { readonly manifest: Manifest }> {
  const plain = {
    secret: undefined,
    mask: undefined,
    fence: false,
    allowDrift: false,
    allowIncomplete: false,
    format: 'copy',
  } as const;
  const surroundings = { environment: process.env, references: [], log: () => undefined };
  const request = { storage, ...plain, ...surroundings, ...options };
  const report = await backUpFleet(targets, request, {});
  for (const row of report.rows) if (row.state === 'failed') throw row.error;
  if (report.manifest === undefined) throw new Error('no set was stored');
  return { ...report, manifest: report.manifest };
}

/** Restores a set, which must succeed for every service. */
export async function restore(
  targets: readonly Target[],
  storage: Storage,
  set: string,
  { secret, dropOld = true }: { readonly secret?: Secret; readonly dropOld?: boolean } = {},
) {
  const opened = await openSet(storage, set, secret);
  const surroundings = { home: os.tmpdir(), environment: process.env, log: () => undefined };
  const request = { set: opened, passwordOf: () => 'only-for-tests', dropOld, ...surroundings };
  const { rows } = await restoreFleet(targets, request, {});
  for (const row of rows) if (row.state === 'failed') throw row.error;
  return rows;
}

/** The paths of all files of a set, relative to its directory. */
export async function filesIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort();
}
