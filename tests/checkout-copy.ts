import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

/** What a build leaves in the folder of a package. */
const BUILT = ['dist', path.join('src', 'generated'), 'node_modules'];

/** Copies the checkout as it is, built, with links to its npm packages. The caller removes the copy. */
export function copyCheckout(): string {
  const root = repositoryRoot();
  const copy = mkdtempSync(path.join(os.tmpdir(), 'azora-checkout-'));
  copyExisting(root, copy, [...sourcesOf(root), ...buildsOf(root)]);
  linkPackages(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  return copy;
}

function sourcesOf(root: string): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root });
  return listed.toString().split('\0').filter(Boolean);
}

function buildsOf(root: string): readonly string[] {
  const packages = ['packages', 'services'].flatMap((parent) =>
    readdirSync(path.join(root, parent)).map((name) => path.join(parent, name)),
  );
  return [...packages, 'prisma'].flatMap((folder) => BUILT.map((name) => path.join(folder, name)));
}

function copyExisting(root: string, copy: string, entries: readonly string[]): void {
  for (const entry of entries.filter((it) => existsSync(path.join(root, it)))) {
    cpSync(path.join(root, entry), path.join(copy, entry), { recursive: true });
  }
}

/** The packages of the suite are relative links, and npm's record of the installation is a file that changes. */
function linkPackages(from: string, to: string): void {
  mkdirSync(to);
  for (const name of readdirSync(from).filter((it) => it !== '.cache')) {
    const isCopied = name === '@azora' || name === '.package-lock.json';
    if (!isCopied) symlinkSync(path.join(from, name), path.join(to, name));
    else cpSync(path.join(from, name), path.join(to, name), { recursive: true, verbatimSymlinks: true });
  }
}
