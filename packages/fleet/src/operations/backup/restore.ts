import { rm } from 'node:fs/promises';
import type { DatabaseUrl } from '@azora/db-core';
import { readGrants, syncGrants, withClient } from '@azora/db-migrate';
import { checkSetFile } from '../../backup-store/file';
import { type DatabaseEntry, filesOf } from '../../backup-store/manifest';
import type { OpenedSet } from '../../backup-store/set';
import type { PasswordOf } from '../../config/credentials';
import { dropDatabase } from '../../postgres/databases';
import { swapDatabases } from '../../postgres/dump/swap';
import { createRole, restrictDatabase, withRightsLock } from '../../postgres/roles';
import { type ScratchDatabase, withScratchDatabases } from '../../postgres/scratch';
import { countOf, doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import { DEFAULT_LOCK_TIMEOUT_MS, migrateTargetUp } from '../migrate';
import { provision } from '../provision';
import { scratchPlace, type Target } from '../targets';
import { tightGraphs } from './graph-memory';
import { loadDatabase } from './load';
import { type Pair, pairUp, requireRestorable } from './preflight';

/** PostgreSQL's limit. */
const LONGEST_NAME = 63;

export interface RestoreRequest {
  readonly set: OpenedSet;
  readonly home: string;
  readonly passwordOf: PasswordOf;
  /** Whether the databases that were live go at the end. */
  readonly dropOld: boolean;
  /** Told before anything is begun what will be slow. */
  readonly log: (line: string) => void;
}

export interface RestoredService {
  readonly tables: number;
  readonly rows: number;
  /** Migrations that the code has beyond the set. */
  readonly migrated: readonly string[];
  /** The database that was live before, under its new name; null when there was none or it was dropped. */
  readonly kept: string | null;
}

/**
 * Restores databases from a set: each into a database beside the live one, and only when all of them stand are they put in
 * their places. Whatever fails or is killed before that leaves the live ones untouched.
 * @throws {SuiteError} `BACKUP.…`, `RESTORE.…` before anything is begun; per service in its row
 */
export async function restoreFleet(
  targets: readonly Target[],
  request: RestoreRequest,
  options: RunOptions,
): Promise<readonly ServiceRow<RestoredService>[]> {
  const { set, home } = request;
  const pairs = pairUp(targets, set.manifest);
  await checkFiles(set, pairs);
  await requireRestorable(pairs, home);
  for (const note of await tightGraphs(set, pairs)) request.log(note);
  const places = pairs.map(({ target }) => scratchPlace(target));
  return withScratchDatabases(places, async (sides) => {
    const items = pairs.flatMap((pair, index) => {
      const side = sides[index];
      return side === undefined ? [] : [{ ...pair, side, service: pair.target.service }];
    });
    // The largest first: the last one to end is a small one.
    const order = items.toSorted((one, other) => bytesOf(other.entry) - bytesOf(one.entry));
    const prepared = await eachService(order, options, async ({ target, entry, side }, tell) => {
      const migrated = await makeReady({ target, entry }, side.url, request, { ...options, tell });
      return { data: { migrated }, detail: 'stands beside the live one' };
    });
    const migrated = new Map(doneRows(prepared).map(({ service, data }) => [service, data.migrated]));
    // References between services hold within a set: some of its databases beside live ones would not keep them.
    if (migrated.size < items.length || options.signal?.aborted) return prepared.map(notSwapped);
    const swap = swapOncePerServer(items, request);
    return eachService(items, { progress: options.progress }, async ({ target, entry, side }) => {
      const kept = await putInPlace(target, side, request, swap);
      const rows = entry.tables.reduce((sum, table) => sum + table.rows, 0);
      const data = { tables: entry.tables.length, rows, migrated: migrated.get(target.service.name) ?? [], kept };
      return { data, detail: `${countOf(rows, 'row')} restored` };
    });
  });
}

function bytesOf({ tables }: DatabaseEntry): number {
  return tables.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Loads the database and makes it one that the code and the app role can use; returns the migrations that it took. */
async function makeReady(
  { target, entry }: Pair,
  side: DatabaseUrl,
  { set, passwordOf }: RestoreRequest,
  options: RunOptions & { readonly tell: (detail: string) => void },
): Promise<readonly string[]> {
  const { service, server, role } = target;
  await loadDatabase({ set, entry, url: side, oneSession: server === 'companion' }, options);
  await withClient(side, (client) => createRole(client, role, passwordOf(role)));
  const run = { signal: options.signal, lockTimeoutMs: DEFAULT_LOCK_TIMEOUT_MS };
  const migrated = await migrateTargetUp({ ...target, admin: side, database: side.database }, run, options.tell);
  const grants = await readGrants(service.schemaPath);
  await withClient(side, (client) =>
    withRightsLock(client, async () => {
      if (server !== 'companion') await restrictDatabase(client, side.database, role);
      await syncGrants(client, role, grants);
    }),
  );
  return migrated;
}

/** Every byte, before anything is touched. */
export async function checkFiles({ storage, manifest }: OpenedSet, pairs: readonly Pair[]): Promise<void> {
  for (const file of filesOf(pairs.map(({ entry }) => entry))) await checkSetFile(storage, manifest.id, file);
}

type SwapServer = (target: Target) => Promise<ReadonlyMap<string, string>>;

/** The databases of one server change their places together, when the first of them is asked for. */
function swapOncePerServer(
  items: readonly { readonly target: Target; readonly side: ScratchDatabase }[],
  { set }: RestoreRequest,
): SwapServer {
  const mark = `__before_${set.manifest.id}`;
  const swapped = new Map<string, Promise<ReadonlyMap<string, string>>>();
  return ({ maintenance }) => {
    const there = items.filter(({ target }) => target.maintenance.href === maintenance.href);
    const swaps = there.map(({ target, side }) => ({
      live: target.database,
      side: side.url.database,
      // Longer names are cut off in silence; a number may follow.
      kept: `${target.database.slice(0, LONGEST_NAME - mark.length - 3)}${mark}`,
    }));
    const swap = swapped.get(maintenance.href) ?? swapDatabases(maintenance, swaps);
    swapped.set(maintenance.href, swap);
    return swap;
  };
}

/** Puts the side database in the place of the live one; returns what the live one is called now, if it was kept. */
async function putInPlace(
  target: Target,
  side: ScratchDatabase,
  request: RestoreRequest,
  swap: SwapServer,
): Promise<string | null> {
  const { set, passwordOf, dropOld } = request;
  if (target.server === 'companion') return replaceData(target, side, request, `data__before_${set.manifest.id}`);
  const old = (await swap(target)).get(target.database);
  await provision(target, passwordOf);
  if (old === undefined || !dropOld) return old ?? null;
  await withClient(target.maintenance, (client) => dropDatabase(client, old));
  return null;
}

async function replaceData(
  { service }: Target,
  side: ScratchDatabase,
  { home, dropOld }: RestoreRequest,
  kept: string,
): Promise<string | null> {
  if (side.home === undefined) throw new Error('a companion has a home');
  const { replaceCompanion } = await import('../../postgres/companion/server.js');
  const from = { home: side.home, service: service.name };
  const old = await replaceCompanion({ home, service: service.name }, from, kept);
  if (old === undefined || !dropOld) return old ?? null;
  await rm(old, { recursive: true });
  return null;
}

function notSwapped<Data>(row: ServiceRow<Data>): ServiceRow<RestoredService> {
  return row.state === 'failed' ? row : { service: row.service, state: 'not-started' };
}
