import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { DatabaseUrl } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
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
    compression: 'gzip',
    full: false,
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

/** Waits until every transaction that wrote so far is older than all running ones of the server, which tests share. */
export async function settle(url: DatabaseUrl): Promise<void> {
  await withClient(url, async (client) => {
    const { rows } = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
    const ended = 'SELECT pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8 AS ended';
    for (;;) if ((await client.query(ended, [rows[0]?.id])).rows[0].ended) return;
  });
}

/** The hash of the rows of each table. */
export function hashesOf({ manifest }: { readonly manifest: Manifest }) {
  return manifest.databases.flatMap(({ service, tables }) =>
    tables.map(({ name, rows, contentSha256 }) => ({ service, name, rows, contentSha256 })),
  );
}

/** The names of the tables whose files an earlier set stored. */
export function takenOver({ set, manifest }: { readonly set: string; readonly manifest: Manifest }): readonly string[] {
  const tables = manifest.databases.flatMap((database) => database.tables);
  return tables.flatMap(({ name, storedBy }) => (storedBy === set ? [] : [name])).sort();
}

/** The paths of all files of a set, relative to its directory. */
export async function filesIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort();
}
