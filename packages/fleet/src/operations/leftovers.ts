import { type DatabaseUrl, redactUrl, SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { openStorage } from '../backup-store/location';
import type { Service } from '../config/registry';
import type { Settings } from '../config/settings';
import { findHomeLeftovers } from '../postgres/home-leftovers';
import { findReplacedDatabases } from '../postgres/replaced';
import { findScratchDatabases } from '../postgres/scratch';
import { findStudioRemnants } from '../postgres/studio/role';
import type { Leftover } from '../system/leftovers';
import { findTemporaries } from '../system/temporary';
import { finishSwap } from './backup/swap-journal';
import { countOf, toSuiteError } from './fleet';
import { serversOf, type Target } from './targets';

/** Where to look for leftovers. */
export interface CleanupScope {
  readonly settings: Settings;
  readonly allServices: readonly Service[];
  /** Their servers are searched, for the databases of all services. */
  readonly targets: readonly Target[];
  /** Only the leftovers of these services; undefined for all, and those of the checkout. */
  readonly only: readonly string[] | undefined;
  /** The location of the backup sets; undefined to leave it out. */
  readonly location: string | undefined;
}

/** A leftover with its place in the fleet. */
interface Found extends Leftover {
  /** Null for one that concerns the checkout as a whole. */
  readonly service: string | null;
  /** The server of a database; null for a file. */
  readonly server: string | null;
  /** What a copy is a copy of. */
  readonly original: string;
}

interface Search {
  readonly found: readonly Found[];
  /** The places that could not be searched. */
  readonly problems: readonly SuiteError[];
}

/** One copy or remnant in a report. */
export interface ListedLeftover extends Pick<Leftover, 'kind' | 'what' | 'name' | 'state'> {
  readonly service: string | null;
  readonly server: string | null;
  readonly since: string | null;
  readonly bytes: number | null;
}

/** The number and the size of leftovers. */
export interface LeftoverCount {
  readonly count: number;
  /** The sum of the known sizes. */
  readonly bytes: number;
  /** Since when the oldest one is not used; null when that is not known of any. */
  readonly oldest: string | null;
}

export interface LeftoverSummary {
  readonly copies: LeftoverCount;
  /** What killed runs left, and the next run or "cleanup" removes. */
  readonly remnants: LeftoverCount;
  /** What a run on another machine or in another container may still use. */
  readonly unknown: LeftoverCount;
}

export interface CleanupOptions {
  readonly yes: boolean;
  readonly olderThanDays: number | undefined;
  /** What a person agreed to remove; undefined for everything. */
  readonly among?: readonly ListedLeftover[] | undefined;
}

export interface CleanupReport {
  /** The leftovers that were removed, or that `yes` would remove. */
  readonly removed: readonly ListedLeftover[];
  /** Copies that are younger than asked or in use, and remnants whose owner is unknown. */
  readonly kept: readonly ListedLeftover[];
  readonly problems: readonly SuiteError[];
  readonly done: boolean;
}

const DAY_MS = 24 * 3_600_000;

/**
 * The places that a command searches besides its own work. A bucket is left out, because listing it takes seconds: "cleanup"
 * and "backup" search it.
 * @param only the services that `--service` names; undefined for everything
 */
export function openScope(
  { settings, allServices }: Pick<CleanupScope, 'settings' | 'allServices'>,
  targets: readonly Target[],
  only?: readonly string[],
): CleanupScope {
  const { location } = settings.backups;
  return { settings, allServices, targets, only, location: location.includes('://') ? undefined : location };
}

/** Counts the copies and remnants. A place that cannot be searched is left out: the command reports its server anyway. */
export async function summarizeLeftovers(scope: CleanupScope): Promise<LeftoverSummary> {
  return withLeftovers(scope, async ({ found }) => {
    const listed = [...(await describeAll(found)).values()];
    return {
      copies: countUp(listed.filter(({ kind }) => kind === 'copy')),
      remnants: countUp(listed.filter(({ kind, state }) => kind === 'remnant' && state === 'unused')),
      unknown: countUp(listed.filter(({ kind, state }) => kind === 'remnant' && state === 'unknown')),
    };
  });
}

/**
 * Removes what killed runs left on the servers of the targets, for all services, and in the checkout. Says what it removed,
 * and never fails: what could not be removed stays for the next run.
 */
export async function sweepRemnants(scope: CleanupScope, log: (line: string) => void): Promise<void> {
  const { home } = scope.settings;
  await finishSwap(scope.targets, home, log).catch((error: unknown) => {
    log(`warning: the replacement that a killed restore began could not be finished: ${toSuiteError(error).message}`);
  });
  const removed = await withLeftovers(scope, async ({ found }) => {
    const abandoned = found.filter(({ kind, state }) => kind === 'remnant' && state === 'unused');
    return (await removeAll(abandoned)).removed;
  });
  if (removed.length > 0) log(`removed what a killed run left: ${whatText(removed)}`);
}

/**
 * Removes old copies after a restore: the newest copy of each database stays, and every copy that is younger than
 * `AZORA_KEEP_REPLACED` or whose age is unknown.
 * @returns the names of the removed copies; a copy that could not be removed stays for the next restore
 */
export async function removeExpiredCopies(scope: CleanupScope, now: Date): Promise<readonly string[]> {
  return withLeftovers(scope, async ({ found }) => {
    const copies = found.filter(({ kind }) => kind === 'copy');
    const newest = new Map<string, Found>();
    for (const copy of copies) {
      const known = newest.get(copy.original);
      if (known === undefined || timeOf(copy) > timeOf(known)) newest.set(copy.original, copy);
    }
    const isExpired = ({ since }: Found) =>
      since !== undefined && now.getTime() - since.getTime() > scope.settings.keepReplacedMs;
    const expired = copies.filter(
      (copy) => copy.state === 'unused' && newest.get(copy.original) !== copy && isExpired(copy),
    );
    return (await removeAll(expired)).removed.map(({ name }) => name);
  });
}

/**
 * Finds the copies and remnants, and removes them when `yes` is set. With `olderThanDays`, copies that are younger or of
 * unknown age stay, and with `among` everything that it does not list. What a living process uses always stays.
 */
export async function cleanUp(
  scope: CleanupScope,
  { yes, olderThanDays, among }: CleanupOptions,
): Promise<CleanupReport> {
  return withLeftovers(scope, async ({ found, problems }) => {
    const limit = olderThanDays === undefined ? undefined : Date.now() - olderThanDays * DAY_MS;
    const isOld = ({ since }: Found) => limit === undefined || (since !== undefined && since.getTime() <= limit);
    const isListed = ({ name, server }: Found) =>
      among === undefined || among.some((it) => it.name === name && it.server === server);
    const chosen = found.filter((it) => it.state === 'unused' && isListed(it) && (it.kind === 'remnant' || isOld(it)));
    // Sizes are read before anything is removed.
    const sizes = await describeAll(found);
    const list = (items: readonly Found[]) => items.flatMap((it) => sizes.get(it) ?? []);
    const others = found.filter((it) => !chosen.includes(it) && (it.kind === 'copy' || it.state === 'unknown'));
    if (!yes) return { removed: list(chosen), kept: list(others), problems, done: false };
    const { removed, failures } = await removeAll(chosen);
    const kept = [...chosen.filter((it) => !removed.includes(it)), ...others];
    return { removed: list(removed), kept: list(kept), problems: [...problems, ...failures], done: true };
  });
}

async function removeAll(leftovers: readonly Found[]) {
  const removed: Found[] = [];
  const failures: SuiteError[] = [];
  for (const leftover of leftovers) {
    try {
      await leftover.remove();
      removed.push(leftover);
    } catch (error) {
      failures.push(removalFailed(leftover, error));
    }
  }
  return { removed, failures };
}

function removalFailed({ what, name }: Found, cause: unknown): SuiteError {
  const { code, message, why, next } = toSuiteError(cause);
  if (code !== 'INTERNAL') return toSuiteError(cause);
  return new SuiteError('CLEANUP.FAILED', `Could not remove the ${what} ${name}`, {
    why: `${why ?? message}.`,
    next: next ?? 'Correct the cause, and run "npx azora-db cleanup --yes" again',
    meta: { name },
    cause,
  });
}

/** Searches all places, and runs `work` while the sessions are open that can remove what was found. */
async function withLeftovers<Result>(scope: CleanupScope, work: (search: Search) => Promise<Result>): Promise<Result> {
  const { settings, targets, allServices, only, location } = scope;
  const problems: SuiteError[] = [];
  const found: Found[] = [];
  const search = async (finder: () => Promise<readonly Found[]>): Promise<void> => {
    try {
      found.push(...(await finder()));
    } catch (error) {
      problems.push(toSuiteError(error));
    }
  };
  await search(async () => {
    const inHome = await findHomeLeftovers(settings.home, settings.root);
    return inHome.map((it) => ({ ...it, server: null, original: it.service ?? 'embedded' }));
  });
  await search(async () => (await findTemporaries()).map(removingServers).map(ofCheckout));
  if (location !== undefined) {
    await search(async () => {
      const storage = await openStorage(location, settings.environment);
      return (await storage.unfinished((error) => problems.push(toSuiteError(error)))).map(ofCheckout);
    });
  }
  const servers = serversOf(settings, allServices, targets);
  const selected = (it: Found) => only === undefined || (it.service !== null && only.includes(it.service));
  const visit = async ([server, ...others]: typeof servers): Promise<Result> => {
    if (server === undefined) return work({ found: found.filter(selected), problems });
    const reach = await connect(server.maintenance, async (client) => {
      await search(() => findOnServer(client, server));
      return { result: await visit(others) };
    });
    if (!('error' in reach)) return reach.result;
    problems.push(reach.error);
    return visit(others);
  };
  return visit(servers);
}

/** Runs `work` with a session; tells a server that does not answer from an error of the work. */
async function connect<Result>(
  url: DatabaseUrl,
  work: (client: Client) => Promise<Result>,
): Promise<Result | { readonly error: SuiteError }> {
  let isConnected = false;
  try {
    return await withClient(url, (client) => {
      isConnected = true;
      return work(client);
    });
  } catch (error) {
    if (isConnected) throw error;
    return { error: toSuiteError(error) };
  }
}

type Server = ReturnType<typeof serversOf>[number];

async function findOnServer(
  client: Client,
  { maintenance, databases, studioRoles }: Server,
): Promise<readonly Found[]> {
  const names = [...databases.keys()];
  const server = redactUrl(maintenance).replace(/^[^@]*@|\/[^/]*$/g, '');
  const placed = (leftover: Leftover & { readonly database: string }): Found => ({
    ...leftover,
    service: databases.get(leftover.database) ?? null,
    server,
    original: `${server}/${leftover.database}`,
  });
  const roles = await findStudioRemnants(client, studioRoles);
  return [
    ...(await findScratchDatabases(client, names)).map(placed),
    ...(await findReplacedDatabases(client, names)).map(placed),
    ...roles.map(placed),
  ];
}

/** The servers in a temporary directory are stopped before it is removed. */
function removingServers(temporary: Awaited<ReturnType<typeof findTemporaries>>[number]): Leftover {
  const { name: home } = temporary;
  if (temporary.temporary === 'lint') return temporary;
  const remove = async () => {
    const { removeScratchCompanions } = await import('../postgres/companion/server.js');
    const { stopEmbedded } = await import('../postgres/embedded/server.js');
    await stopEmbedded({ home });
    await removeScratchCompanions(home);
  };
  return { ...temporary, remove };
}

function ofCheckout(leftover: Leftover): Found {
  return { ...leftover, service: null, server: null, original: leftover.name };
}

/** One after another, because the databases of a server share a session. */
async function describeAll(found: readonly Found[]): Promise<ReadonlyMap<Found, ListedLeftover>> {
  const listed = new Map<Found, ListedLeftover>();
  for (const leftover of found) listed.set(leftover, await describe(leftover));
  return listed;
}

async function describe(found: Found): Promise<ListedLeftover> {
  const { kind, what, name, state, service, server, since } = found;
  // A size that cannot be read must not hide the leftover.
  const bytes = (await found.bytes().catch(() => undefined)) ?? null;
  return { kind, what, name, state, service, server, since: since?.toISOString() ?? null, bytes };
}

function countUp(listed: readonly ListedLeftover[]): LeftoverCount {
  const times = listed.flatMap(({ since }) => (since === null ? [] : [since])).sort();
  const bytes = listed.reduce((sum, it) => sum + (it.bytes ?? 0), 0);
  return { count: listed.length, bytes, oldest: times[0] ?? null };
}

function timeOf({ since }: Found): number {
  return since?.getTime() ?? 0;
}

/** `3 scratch databases, 1 unfinished backup set`. */
function whatText(leftovers: readonly Found[]): string {
  const counts = new Map<string, number>();
  for (const { what } of leftovers) counts.set(what, (counts.get(what) ?? 0) + 1);
  return [...counts].map(([what, count]) => countOf(count, what)).join(', ');
}
