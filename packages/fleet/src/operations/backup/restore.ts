import type { DatabaseUrl } from '@azora/db-core';
import { readGrants, syncGrants, withClient } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { checkSetFile } from '../../backup-store/file';
import { type DatabaseEntry, filesOf } from '../../backup-store/manifest';
import type { OpenedSet } from '../../backup-store/set';
import type { PasswordOf } from '../../config/credentials';
import { dropDatabase } from '../../postgres/databases';
import { rolesAt } from '../../postgres/dump/access';
import { databaseStatements } from '../../postgres/dump/access-statements';
import { runStatement } from '../../postgres/dump/load';
import { swapDatabases } from '../../postgres/dump/swap';
import { replacedName } from '../../postgres/replaced';
import { restrictDatabase } from '../../postgres/rights';
import { createRole, withRightsLock } from '../../postgres/roles';
import { type ScratchDatabase, withScratchDatabases } from '../../postgres/scratch';
import type { Environment } from '../../system/child-environment';
import { removeTree } from '../../system/leftovers';
import { countOf, doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import { migrateTargetUp } from '../migrations/migrate';
import { provision } from '../provision';
import type { Target } from '../targets';
import { localeNotes, placesFor, readSetAccess, requireOwners } from './access';
import { type Identity, type LiveDatabase, readDatabases, readIdentities, readLiveDatabases } from './live-databases';
import { loadDatabase } from './load';
import { type Pair, pairUp, requireRestorable, warnOfSlowIndexes } from './preflight';
import { type JournalEntry, withSwapJournal } from './swap-journal';

export interface RestoreRequest {
  readonly set: OpenedSet;
  readonly home: string;
  readonly passwordOf: PasswordOf;
  /** Whether to drop the former live databases at the end. */
  readonly dropOld: boolean;
  /** Where pg_restore is looked for, when the set holds an archive. */
  readonly environment: Environment;
  /** Receives warnings before the restore begins. */
  readonly log: (line: string) => void;
}

export interface RestoreReport {
  readonly rows: readonly ServiceRow<RestoredService>[];
  /** The state of each live database at the end. */
  readonly live: readonly LiveDatabase[];
}

export interface RestoredService {
  readonly tables: number;
  readonly rows: number;
  /** The migrations that were applied after the restore, because the code is newer than the set. */
  readonly migrated: readonly string[];
  /** The new name of the former live database; null when there was none or it was dropped. */
  readonly kept: string | null;
}

/**
 * Restores databases from a set. Each is restored next to the live one; when all are complete, they replace the live ones.
 * A failure before that, or a killed process, leaves the live databases unchanged.
 * @throws {SuiteError} `BACKUP.…`, `RESTORE.…` before anything is changed; later failures are in the rows
 */
export async function restoreFleet(
  targets: readonly Target[],
  request: RestoreRequest,
  options: RunOptions,
): Promise<RestoreReport> {
  const { set, home } = request;
  const pairs = pairUp(targets, set.manifest);
  await checkFiles(set, pairs);
  await requireRestorable(pairs, home);
  for (const note of await requireOwners(set, pairs)) request.log(`warning: ${note}`);
  for (const warning of await warnOfSlowIndexes(set, pairs)) request.log(warning);
  const before = await readIdentities(targets, home);
  const rows = await restoreAll(pairs, before, request, options);
  return { rows, live: await readLiveDatabases(targets, before, home) };
}

async function restoreAll(
  pairs: readonly Pair[],
  before: readonly Identity[],
  request: RestoreRequest,
  options: RunOptions,
): Promise<readonly ServiceRow<RestoredService>[]> {
  return withScratchDatabases(await placesFor(request.set, pairs), async (sides) => {
    const items = pairs.flatMap((pair, index) => {
      const side = sides[index];
      return side === undefined ? [] : [{ ...pair, side, service: pair.target.service }];
    });
    // The largest first, so that the last one to finish is small.
    const order = items.toSorted((one, other) => bytesOf(other.entry) - bytesOf(one.entry));
    const prepared = await eachService(order, options, async ({ target, entry, side }, onProgress) => {
      const migrated = await makeReady({ target, entry }, side.url, request, { ...options, onProgress });
      return { data: { migrated }, detail: 'restored next to the live database' };
    });
    const migrated = new Map(doneRows(prepared).map(({ service, data }) => [service, data.migrated]));
    // References between services agree only within a set, so that either all databases are replaced or none.
    if (migrated.size < items.length || options.signal?.aborted) return prepared.map(notSwapped);
    const swap = swapOncePerServer(items, request);
    const replaceAll = () =>
      eachService(items, { progress: options.progress }, async ({ target, entry, side }) => {
        const kept = await replaceLive(target, side, request, swap);
        const rows = entry.tables.reduce((sum, table) => sum + table.rows, 0);
        const data = { tables: entry.tables.length, rows, migrated: migrated.get(target.service.name) ?? [], kept };
        return { data, detail: `${countOf(rows, 'row')} restored` };
      });
    const servers = new Set(items.map(({ target }) => `${target.maintenance.href} ${target.server}`));
    if (servers.size < 2) return replaceAll();
    const entries = await Promise.all(
      items.map(async ({ target, entry, side, service }, index): Promise<JournalEntry> => {
        const [former, keepSettings] = [before[index] ?? null, entry.access === null];
        if (side.home !== undefined)
          return { service: service.name, side: side.home, former, restored: null, keepSettings };
        const restored = (await readDatabases(target, request.home)).get(side.url.database) ?? null;
        return { service: service.name, side: side.url.database, former, restored, keepSettings };
      }),
    );
    return withSwapJournal(request.home, request.set.manifest.id, entries, replaceAll);
  });
}

function bytesOf({ tables }: DatabaseEntry): number {
  return tables.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Loads the database, applies newer migrations and grants the app role its privileges. Returns those migrations. */
async function makeReady(
  { target, entry }: Pair,
  side: DatabaseUrl,
  { set, passwordOf, environment, log }: RestoreRequest,
  options: RunOptions & { readonly onProgress: (detail: string) => void },
): Promise<readonly string[]> {
  const { service, server, role } = target;
  // Before the load: policies and rights name the role.
  await withClient(side, async (client) => {
    await createRole(client, role, passwordOf(role));
    for (const note of await localeNotes(client, set, { target, entry })) log(`warning: ${service.name}: ${note}`);
  });
  await loadDatabase({ set, entry, url: side, oneSession: server === 'companion', role, environment }, options);
  const run = { signal: options.signal };
  const migrated = await migrateTargetUp({ ...target, admin: side, database: side.database }, run, options.onProgress);
  const grants = await readGrants(service.schemaPath);
  await withClient(side, (client) =>
    withRightsLock(client, async () => {
      if (server !== 'companion') await restrictDatabase(client, role);
      await syncGrants(client, role, grants);
    }),
  );
  // At the end: a setting such as default_transaction_read_only would stop the migrations.
  if (server !== 'companion') await withClient(side, (client) => giveSettings(client, { target, entry }, set));
  return migrated;
}

/** Gives the restored database the settings, the comment and the rights that the one of the set had. */
export async function giveSettings(client: ClientBase, { target, entry }: Pair, set: OpenedSet): Promise<void> {
  const access = await readSetAccess(set, entry);
  if (access === undefined) return;
  const { rows } = await client.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
  const roleOf = await rolesAt(client, access, target.role);
  for (const text of databaseStatements(access, roleOf, rows[0]?.name ?? '')) await runStatement(client, { text });
}

/** Compares every file with its checksum. @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.DAMAGED` */
export async function checkFiles({ storage, manifest }: OpenedSet, pairs: readonly Pair[]): Promise<void> {
  for (const file of filesOf(pairs.map(({ entry }) => entry))) await checkSetFile(storage, manifest.id, file);
}

type SwapServer = (target: Target) => Promise<ReadonlyMap<string, string>>;

/** Replaces all databases of a server together, when the first of them is requested. */
function swapOncePerServer(
  items: readonly (Pair & { readonly side: ScratchDatabase })[],
  { set }: RestoreRequest,
): SwapServer {
  const swapped = new Map<string, Promise<ReadonlyMap<string, string>>>();
  return ({ maintenance }) => {
    const there = items.filter(({ target }) => target.maintenance.href === maintenance.href);
    const swaps = there.map(({ target, entry, side }) => ({
      live: target.database,
      side: side.url.database,
      kept: replacedName(target.database, set.manifest.id),
      keepSettings: entry.access === null,
    }));
    const swap = swapped.get(maintenance.href) ?? swapDatabases(maintenance, swaps);
    swapped.set(maintenance.href, swap);
    return swap;
  };
}

/** Replaces the live database with the restored one. Returns the new name of the former database if it was kept. */
async function replaceLive(
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
  if (side.home === undefined) throw new Error('a scratch companion has a home directory');
  const { replaceCompanion } = await import('../../postgres/companion/replace.js');
  const from = { home: side.home, service: service.name };
  const old = await replaceCompanion({ home, service: service.name }, from, kept);
  if (old === undefined || !dropOld) return old ?? null;
  await removeTree(old);
  return null;
}

function notSwapped<Data>(row: ServiceRow<Data>): ServiceRow<RestoredService> {
  return row.state === 'failed' ? row : { service: row.service, state: 'not-started' };
}
