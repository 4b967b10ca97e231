import type { Dirent } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import ignore, { type Ignore } from 'ignore';
import type { ListedPath, SkippedFile } from './tree';

const GIT = Buffer.from('.git');

/** The rules of one `.gitignore`, and the folder to which they are relative. */
interface Rules {
  readonly folder: string;
  readonly ignore: Ignore;
}

/**
 * The files below a folder that no `.gitignore` excludes, as git applies them: a deeper file decides before one above it, and what
 * is in an excluded folder cannot be included again. `.git` is always left out, and symbolic links are listed, not followed.
 * @param skip receives folders that cannot be read
 */
export async function listUnignoredFiles(
  root: string,
  skip: (skipped: SkippedFile) => void,
): Promise<readonly ListedPath[]> {
  const listed: ListedPath[] = [];
  const visit = async (folder: string, above: readonly Rules[]): Promise<void> => {
    const entries = await readdir(path.join(root, folder), { withFileTypes: true, encoding: 'buffer' }).catch(
      () => undefined,
    );
    if (entries === undefined) return skip({ path: folder, reason: 'unreadable' });
    const rules = await rulesIn(root, folder, above);
    for (const entry of entries) {
      const found = pathOf(folder, entry);
      if (entry.name.equals(GIT) || (found.isValid && isIgnored(found.path, entry.isDirectory(), rules))) continue;
      if (entry.isDirectory() && found.isValid) await visit(found.path, rules);
      else listed.push(found);
    }
  };
  await visit('', []);
  return listed;
}

function pathOf(folder: string, entry: Dirent<Buffer>): ListedPath {
  const name = entry.name.toString('utf8');
  return { path: folder === '' ? name : `${folder}/${name}`, isValid: Buffer.from(name).equals(entry.name) };
}

async function rulesIn(root: string, folder: string, above: readonly Rules[]): Promise<readonly Rules[]> {
  const text = await readFile(path.join(root, folder, '.gitignore'), 'utf8').catch(() => undefined);
  if (text === undefined) return above;
  return [...above, { folder, ignore: ignore({ ignorecase: false, allowRelativePaths: true }).add(text) }];
}

function isIgnored(file: string, isFolder: boolean, rules: readonly Rules[]): boolean {
  for (const { folder, ignore: own } of rules.toReversed()) {
    const relative = folder === '' ? file : file.slice(folder.length + 1);
    const { ignored, unignored } = own.test(isFolder ? `${relative}/` : relative);
    if (ignored || unignored) return ignored;
  }
  return false;
}
