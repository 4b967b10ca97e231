/** @server none */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { testEffort } from '@azora/db-testkit';
import fc from 'fast-check';
import { MAX_FILE_BYTES, walkTree } from '../src';
import { listUnignoredFiles } from '../src/tree/unignored-files';
import { readTreeFile } from '../src/tree/walk-tree';
import { git, useFolder, writeTree } from './trees';

const folder = useFolder();

function givenFolder(name: string, files: Readonly<Record<string, string | Buffer>>): string {
  const root = path.join(folder(), name);
  mkdirSync(root);
  writeTree(root, files);
  return root;
}

const pathsOf = (found: readonly { readonly path: string }[]) => found.map((it) => it.path);

describe('walkTree', () => {
  it('lists the tracked files and the untracked ones that git does not ignore', async () => {
    const root = givenFolder('git', {
      '.gitignore': 'out\n*.log\n',
      'a.ts': 'a',
      'sub/b.ts': 'b',
      'out/c.ts': 'c',
      'kept.log': 'd',
    });
    git(root, ['init', '--quiet']);
    git(root, ['add', '--force', 'kept.log']);

    const tree = await walkTree(root);

    expect(tree).toEqual({ isGitTree: true, files: expect.any(Array), skipped: [] });
    expect(pathsOf(tree.files)).toEqual(['.gitignore', 'a.ts', 'kept.log', 'sub/b.ts']);
    expect(pathsOf((await walkTree(path.join(root, 'sub'))).files)).toEqual(['b.ts']);
  });

  it('hashes the content and counts its bytes', async () => {
    const root = givenFolder('hash', { 'a.txt': 'größer\n' });

    const { files } = await walkTree(root);

    const hash = createHash('sha256').update('größer\n').digest('hex');
    expect(files).toEqual([{ path: 'a.txt', bytes: 9, hash }]);
  });

  it('leaves out a tracked file that was deleted', async () => {
    const root = givenFolder('deleted', { 'a.ts': 'a', 'b.ts': 'b' });
    git(root, ['init', '--quiet']);
    git(root, ['add', '.']);
    rmSync(path.join(root, 'a.ts'));

    const { files, skipped } = await walkTree(root);

    expect([pathsOf(files), skipped]).toEqual([['b.ts'], []]);
  });

  it('reports what it skips with the reason', async () => {
    const root = givenFolder('skipped', {
      'big.sql': Buffer.alloc(50 * 1_048_576, 'a'),
      'fits.sql': Buffer.alloc(MAX_FILE_BYTES, 'a'),
      'image.png': Buffer.from([0x89, 0x50, 0, 1]),
      'latin.txt': Buffer.from('größer', 'latin1'),
      'cut.txt': Buffer.from('größer').subarray(0, 3),
      'ok.txt': 'ok',
    });
    symlinkSync('.', path.join(root, 'loop'));
    symlinkSync('nowhere', path.join(root, 'broken'));

    const { files, skipped } = await walkTree(root);

    expect(pathsOf(files)).toEqual(['fits.sql', 'ok.txt']);
    expect(skipped.map(({ path: file, reason }) => `${file} ${reason}`)).toEqual([
      'big.sql too-large',
      'broken symbolic-link',
      'cut.txt invalid-utf-8',
      'image.png binary',
      'latin.txt invalid-utf-8',
      'loop symbolic-link',
    ]);
  });

  it('reports a name that is not UTF-8', async () => {
    const root = givenFolder('names', { 'ok.txt': 'ok' });
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x62, 0xff])]), 'b');

    const plain = await walkTree(root);
    git(root, ['init', '--quiet']);
    const inGit = await walkTree(root);

    for (const { files, skipped } of [plain, inGit]) {
      expect(pathsOf(files)).toEqual(['ok.txt']);
      expect(skipped).toEqual([{ path: 'b\uFFFD', reason: 'invalid-name' }]);
    }
  });

  it('reports a file whose content cannot be read', async () => {
    // Linux lets nobody read the first byte of the memory of a process.
    expect(await readTreeFile('/proc/self', 'mem')).toEqual({ path: 'mem', reason: 'unreadable' });
  });

  it('refuses a root that is missing or not a folder', async () => {
    const root = givenFolder('root', { file: 'x' });

    await expect(walkTree(path.join(root, 'missing'))).rejects.toMatchObject({ code: 'CODE.ROOT_INVALID' });
    await expect(walkTree(path.join(root, 'file'))).rejects.toMatchObject({ code: 'CODE.ROOT_INVALID' });
  });

  it('says so when git cannot read its own tree', async () => {
    const root = givenFolder('corrupt', { '.git/HEAD': 'not a reference', 'a.ts': 'a' });

    await expect(walkTree(root)).rejects.toMatchObject({ code: 'CODE.GIT_FAILED' });
  });
});

describe('the rules of .gitignore outside git', () => {
  /** Folders in each run: one call of git answers for all of them. */
  const FOLDERS = 25;
  const name = fc.stringMatching(/^[ab]{1,2}(\.[ab])?$/);
  const file = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
  const files = fc.uniqueArray(file, { minLength: 4, maxLength: 12 });
  const segment = fc.oneof(
    name,
    fc.stringMatching(/^[ab*?.]{1,3}$/),
    fc.constantFrom('**', '*', '[ab]', '[!a]', 'a*', '*.a', '\\a'),
  );
  const pattern = fc
    .tuple(
      fc.constantFrom('', '', '!', '#'),
      fc.constantFrom('', '/'),
      fc.array(segment, { minLength: 1, maxLength: 3 }),
      fc.constantFrom('', '/', '/*', '/**', ' '),
    )
    .map(([sign, start, parts, end]) => `${sign}${start}${parts.join('/')}${end}`);
  const rules = fc.array(pattern, { minLength: 1, maxLength: 5 }).map((lines) => `${lines.join('\n')}\n`);
  const givenRules = fc.record({ files, top: rules, deeper: fc.option(fc.tuple(name, rules)) });

  /** The files of a folder without those whose path another one needs as its folder. */
  const withoutFolders = (all: readonly string[]) =>
    all.filter((it) => !all.some((other) => other.startsWith(`${it}/`)));

  it('agree with git check-ignore on random patterns and paths', async () => {
    const repository = givenFolder('oracle', {});
    git(repository, ['init', '--quiet']);
    let run = 0;

    await fc.assert(
      fc.asyncProperty(fc.array(givenRules, { minLength: 1, maxLength: FOLDERS }), async (folders) => {
        run += 1;
        const given = folders.map(({ files: all, top, deeper }, index) => {
          const own = withoutFolders(all);
          const isFree = deeper !== null && !own.includes(deeper[0]);
          const deeperRules = isFree ? { [`${deeper[0]}/.gitignore`]: deeper[1] } : {};
          const below = `${run}/${index}`;
          writeTree(path.join(repository, below), {
            ...Object.fromEntries(own.map((it) => [it, ''])),
            '.gitignore': top,
            ...deeperRules,
          });
          return { below, own };
        });
        const asked = given.flatMap(({ below, own }) => own.map((it) => `${below}/${it}`));
        const ignored = new Set(checkIgnore(repository, asked));

        const listed = await Promise.all(
          given.map(async ({ below, own }) => {
            const found = await listUnignoredFiles(path.join(repository, below), () => undefined);
            return pathsOf(found)
              .filter((it) => own.includes(it))
              .map((it) => `${below}/${it}`);
          }),
        );

        expect(listed.flat().sort()).toEqual(asked.filter((it) => !ignored.has(it)).sort());
      }),
      { numRuns: 4 * testEffort() },
    );
  });
});

/** The paths that git ignores. It exits with 1 when there are none. */
function checkIgnore(root: string, paths: readonly string[]): readonly string[] {
  try {
    return git(root, ['check-ignore', '--no-index', '-z', '--stdin'], paths.map((it) => `${it}\0`).join('')).split(
      '\0',
    );
  } catch (error) {
    if ((error as { status?: number }).status === 1) return [];
    throw error;
  }
}
