import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import {
  fileRemnantsIn,
  type Leftover,
  orAbsent,
  ownedRemnantsIn,
  removeTree,
  treeUsage,
  UNKNOWN_KEPT_MS,
} from '../system/leftovers';
import { OWNER_MARK } from '../system/owners';
import { companionDirectory, replacedTime } from './companion/layout';
import { locatePlace, type Place } from './embedded/place';
import { runningPid, stopPlace } from './embedded/postmaster';
import { isSwapping, placeOfNext } from './embedded/swap';
import { archiveLayout } from './pitr/archive-layout';

/** A leftover in the home directory; `service` is null when it concerns the embedded server. */
export interface HomeLeftover extends Leftover {
  readonly service: string | null;
}

/** `data.before-20260131T120000123Z`: the data that a point-in-time restore replaced. */
const REPLACED_DATA = /^data\.before-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z$/;
/** `data__before_<set>`: the data of a companion that a restore replaced. */
const REPLACED_COMPANION = /^data__before_\d{8}T\d{9}Z-[0-9a-f]{6}(?:_\d+)?$/;
/** An interrupted removal of one of these. */
const REMOVED = new RegExp(`^data(?:\\.before-|__before_)[\\w-]+\\.removed-(${OWNER_MARK})$`);
const draftsOf = (name: string, kind: 'new' | 'part') => new RegExp(`^${name}\\.${kind}-(${OWNER_MARK})-[0-9a-f]{8}$`);
/** `data.new-…`: the copy that a point-in-time restore recovers; its log has the same name with `.log`. */
const NEXT_DATA = new RegExp(`^data\\.new-(${OWNER_MARK})-[0-9a-f]{8}(?:\\.log)?$`);
/** A draft of a WAL segment is written within moments. */
const SEGMENT_KEPT_MS = 3_600_000;

/** Finds the copies and remnants in the home directory of the checkout: of the embedded server, its archive and its companions. */
export async function findHomeLeftovers(home: string, root: string): Promise<readonly HomeLeftover[]> {
  const place = await locatePlace(home);
  const found = await Promise.all([
    fileRemnantsIn(home, /^(?:credentials\.json|embedded\.location)\.draft-\d+-[0-9a-f]{8}$/),
    // The lock of a setup that waits for another one is as old as that setup.
    fileRemnantsIn(path.join(root, '.azora'), /^setup\.lock\.\d+(?:\.stale|\.owners)?$/, UNKNOWN_KEPT_MS),
    ownedRemnantsIn(place.base, draftsOf('embedded', 'new'), 'unfinished server'),
    ownedRemnantsIn(place.base, draftsOf('binaries-.+', 'new'), 'unfinished copy of the programs'),
    fileRemnantsIn(place.directory),
    ownedRemnantsIn(place.directory, REMOVED, 'unfinished removal'),
    findNextData(place),
    findReplacedData(place),
    findArchiveRemnants(place),
  ]);
  const ofServer = found.flat().map((leftover): HomeLeftover => ({ ...leftover, service: null }));
  const services = (await orAbsent(readdir(path.join(home, 'companion')))) ?? [];
  return [...ofServer, ...(await Promise.all(services.map((service) => findCompanionLeftovers(home, service)))).flat()];
}

async function findReplacedData(place: Place): Promise<readonly Leftover[]> {
  const names = ((await orAbsent(readdir(place.directory))) ?? []).filter((name) => REPLACED_DATA.test(name));
  return Promise.all(
    names.map(async (name): Promise<Leftover> => {
      const copy = { ...place, data: path.join(place.directory, name) };
      return {
        ...copyIn(copy.data, 'replaced data', new Date(name.replace(REPLACED_DATA, '$1-$2-$3T$4:$5:$6.$7Z'))),
        state: (await runningPid(copy)) === undefined ? 'unused' : 'in-use',
        remove: () => removeReplacedData(copy),
      };
    }),
  );
}

async function removeReplacedData(copy: Place): Promise<void> {
  // Also while a swap is in progress, whose next step may move the data back.
  if ((await isSwapping(copy)) || (await runningPid(copy)) !== undefined) throw inUse(copy.data);
  await removeTree(copy.data);
}

/** While a swap has a journal, the next start of the server decides about its data. */
async function findNextData(place: Place): Promise<readonly Leftover[]> {
  if (await isSwapping(place)) return [];
  const found = await ownedRemnantsIn(place.directory, NEXT_DATA, 'unfinished restore of the server');
  return found.map((leftover) => ({
    ...leftover,
    remove: async () => {
      if (await isSwapping(place)) throw inUse(leftover.name);
      // Its server may outlive the process that started it.
      await stopPlace(placeOfNext(place, path.basename(leftover.name)));
      await leftover.remove();
    },
  }));
}

async function findArchiveRemnants(place: Place): Promise<readonly Leftover[]> {
  const { directory, base, wal, programs } = archiveLayout(place);
  const found = await Promise.all([
    ownedRemnantsIn(base, draftsOf('.+', 'part'), 'unfinished base backup'),
    fileRemnantsIn(wal, /\.part-\d+$/, SEGMENT_KEPT_MS),
    fileRemnantsIn(directory, /^archive\.json\.\d+$/),
    fileRemnantsIn(programs, /\.\d+$/),
  ]);
  return found.flat();
}

async function findCompanionLeftovers(home: string, service: string): Promise<readonly HomeLeftover[]> {
  const directory = companionDirectory(home, service);
  const names = ((await orAbsent(readdir(directory))) ?? []).filter((name) => REPLACED_COMPANION.test(name));
  const copies = names.map(async (name): Promise<Leftover> => {
    const copy = path.join(directory, name);
    return {
      ...copyIn(copy, 'replaced data of the companion', await replacedTime(copy)),
      state: 'unused',
      remove: () => removeTree(copy),
    };
  });
  const found = await Promise.all([
    Promise.all(copies),
    ownedRemnantsIn(directory, REMOVED, 'unfinished removal'),
    fileRemnantsIn(directory),
  ]);
  return found.flat().map((leftover) => ({ ...leftover, service }));
}

function copyIn(directory: string, what: string, since: Date | undefined) {
  return {
    kind: 'copy',
    what,
    name: directory,
    since,
    bytes: async () => (await treeUsage(directory))?.bytes,
  } as const;
}

function inUse(directory: string): SuiteError {
  const why = existsSync(path.join(directory, 'postmaster.pid')) ? 'A server runs in it.' : 'A restore is in progress.';
  return new SuiteError('CLEANUP.IN_USE', `The directory ${directory} is in use`, {
    why,
    next: 'Wait until the restore has ended or stop the server, and run "npx azora-db cleanup --yes" again',
    meta: { directory },
  });
}
