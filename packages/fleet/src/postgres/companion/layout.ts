import { lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { orAbsent } from '../../system/leftovers';

/** The files of one companion, and the exit code that its host process and the commands agree on. */

export function companionDirectory(home: string, service: string): string {
  return path.resolve(home, 'companion', service);
}

export function logFileOf(directory: string): string {
  return path.join(directory, 'server.log');
}

/** Exists while the process runs without its database. */
export function idleFileOf(directory: string): string {
  return path.join(directory, 'idle');
}

/** The data under its three names. */
export function dataOf(directory: string) {
  const data = path.join(directory, 'data');
  return {
    data,
    /** Unfinished: the next start removes it. */
    draft: `${data}.new`,
    /** Complete and restored: the next start puts it in place when there is no data. */
    restored: `${data}.restored`,
  };
}

/** The identity of a companion's data, which no rename changes; undefined when there is none. */
export async function dataIdentity(directory: string): Promise<string | undefined> {
  const found = await orAbsent(stat(directory));
  return found === undefined ? undefined : String(found.ino);
}

/** The path of the data with this identity that a restore replaced; undefined when it is gone. */
export async function findFormerData(directory: string, identity: string): Promise<string | undefined> {
  for (const name of (await orAbsent(readdir(directory))) ?? []) {
    const former = path.join(directory, name);
    if (name.startsWith('data__before_') && (await dataIdentity(former)) === identity) return former;
  }
  return undefined;
}

/** When the data of a companion got the name of a copy: a rename is a change of the directory's status. */
export async function replacedTime(copy: string): Promise<Date | undefined> {
  return (await orAbsent(lstat(copy)))?.ctime;
}

/** The exit code of a host that finds the directory owned by another process. */
export const OWNED_EXIT_CODE = 3;
