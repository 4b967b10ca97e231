import { lstat, mkdtemp, readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Leftover, orAbsent, ownedRemnant } from './leftovers';
import { OWNER_MARK, ownerMark } from './owners';

/** `scratch`: the home of a scratch companion. `structure`: the home of a temporary server. `lint`: copies of migrations. */
export type TemporaryKind = 'scratch' | 'structure' | 'lint';

const WHAT: Readonly<Record<TemporaryKind, string>> = {
  scratch: 'scratch companion',
  structure: 'temporary server',
  lint: 'copies of migrations',
};
const NAME = new RegExp(`^azora-(scratch|structure|lint)-(${OWNER_MARK})-[^-]+$`);

/** Creates a directory of this process in the system's temporary directory; its name tells later runs who made it. */
export async function makeTemporary(kind: TemporaryKind): Promise<string> {
  return mkdtemp(path.join(os.tmpdir(), `azora-${kind}-${await ownerMark()}-`));
}

/**
 * The directories that this user's runs made with {@link makeTemporary}. Other users write to the same parent, and what their
 * directories contain must not be trusted.
 */
export async function findTemporaries(): Promise<readonly (Leftover & { readonly temporary: TemporaryKind })[]> {
  const found: (Leftover & { readonly temporary: TemporaryKind })[] = [];
  for (const name of await readdir(os.tmpdir())) {
    const [, kind, mark] = NAME.exec(name) ?? [];
    if (kind === undefined || mark === undefined) continue;
    const directory = path.join(os.tmpdir(), name);
    const stats = await orAbsent(lstat(directory));
    if (stats === undefined || !stats.isDirectory()) continue;
    if (process.getuid !== undefined && stats.uid !== process.getuid()) continue;
    const temporary = kind as TemporaryKind;
    found.push({ ...(await ownedRemnant(directory, mark, WHAT[temporary])), temporary });
  }
  return found;
}
