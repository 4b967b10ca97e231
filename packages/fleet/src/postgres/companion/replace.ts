import { existsSync } from 'node:fs';
import { cp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { companionDirectory, dataOf } from './layout';
import { type CompanionOptions, makeCompanionDirectory, whileStopped } from './server';

/**
 * Replaces this companion's data with a copy of another companion's, in one step: when this process is killed, the next
 * start finds the old data or the new data. Both companions are stopped.
 * @param kept the name for the former data, in the same directory
 * @returns the path of the former data; undefined when there was none
 * @throws {SuiteError} `COMPANION.STOP_FAILED`, `COMPANION.IN_USE`, `COMPANION.HOME_UNUSABLE`
 */
export async function replaceCompanion(
  options: CompanionOptions,
  from: CompanionOptions,
  kept: string,
): Promise<string | undefined> {
  const directory = await makeCompanionDirectory(options.home, options.service);
  const source = dataOf(companionDirectory(from.home, from.service)).data;
  return whileStopped(from, () =>
    whileStopped(options, async () => {
      const { data, draft, restored } = dataOf(directory);
      await rm(draft, { recursive: true, force: true });
      await cp(source, draft, { recursive: true });
      // The copy is complete from here on: openDatabase puts it in place when the data is missing.
      await rename(draft, restored);
      const existed = existsSync(data);
      const keptData = freeName(path.join(directory, kept));
      if (existed) await rename(data, keptData);
      await rename(restored, data);
      return existed ? keptData : undefined;
    }),
  );
}

/**
 * Puts the data back that a restore replaced. The present data is kept under the name of a copy, and no step removes any.
 * @throws {SuiteError} `COMPANION.STOP_FAILED`, `COMPANION.IN_USE`
 */
export async function putBackCompanion(options: CompanionOptions, former: string, kept: string): Promise<void> {
  const directory = companionDirectory(options.home, options.service);
  await whileStopped(options, async () => {
    const { data } = dataOf(directory);
    if (existsSync(data)) await rename(data, freeName(path.join(directory, kept)));
    await rename(former, data);
  });
}

function freeName(directory: string): string {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? directory : `${directory}_${number}`;
    if (!existsSync(name)) return name;
  }
}
