import { rm } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile } from '../../system/atomic-files';
import { type DirectoryIdentity, identityOf, identityText, isSameDirectory } from '../../system/directory-identity';
import { runsIn } from '../../system/processes';
import { homeUnusable } from './errors';
import { OWNER, type Place, readOwner } from './place';
import { readPidFile } from './postmaster';

/**
 * Records that the server belongs to the home. The data of a copied checkout keeps nothing that leads to the server of the
 * original: a client with a URL of the original must not reach the copy, so the copy gets another port.
 * @throws {SuiteError} `EMBEDDED.HOME_UNUSABLE`
 * @returns the path of the original home if its server was running while its data was copied; the copy may be damaged
 */
export async function claimPlace(place: Place, home: string): Promise<string | undefined> {
  const [owner, identity] = [await readOwner(place), await identityOf(home)];
  if (owner?.inode === identity.inode && owner.path === identity.path) return undefined;
  let copiedFrom: string | undefined;
  if (owner !== undefined && !isSameDirectory(owner, identity)) {
    await rm(path.join(place.data, 'postmaster.opts'), { force: true });
    if (await wasRunning(place, owner)) copiedFrom = owner.path;
  }
  try {
    await replaceFile(path.join(place.directory, OWNER), `${identityText(identity)}\n`);
  } catch (error) {
    throw homeUnusable(home, error);
  }
  return copiedFrom;
}

/** Whether `postmaster.pid` in the copied data names the server of the original. */
async function wasRunning(place: Place, original: DirectoryIdentity): Promise<boolean> {
  const found = await readPidFile(place);
  return found !== undefined && runsIn(found.pid, path.join(original.path, 'embedded', 'data'));
}
