import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

/** A checkout with the real scripts and stand-ins for npm, the compiler and the toolkit. */
export interface Clone {
  readonly directory: string;
  /** The same checkout through a symbolic link. */
  readonly link: string;
  readonly env: Readonly<Record<string, string>>;
  /** Makes npm, or the compiler, wait for ever in the middle of its work. */
  hold(program: 'npm' | 'tsc'): void;
  letGo(program: 'npm' | 'tsc'): void;
  /** How often npm has installed. */
  installations(): number;
  writeLock(packages: Readonly<Record<string, object>>): void;
  remove(): void;
}

export const PACKAGES = {
  '': { name: 'clone' },
  'node_modules/typescript': { version: '5.9.3', integrity: 'sha512-a' },
  'node_modules/pg': { version: '8.23.1', integrity: 'sha512-b' },
  'node_modules/for-another-system': { version: '1.0.0', optional: true, os: ['aix'], cpu: ['s390x'] },
};

/** Installs the packages of package-lock.json one by one, and its record at the end, as npm does. */
const NPM = `#!${process.execPath}
const { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
appendFileSync('npm.log', process.argv.slice(2).join(' ') + '\\n');
rmSync('node_modules', { recursive: true, force: true });
const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const installed = Object.entries(packages).filter(([folder, { os }]) => folder !== '' && os === undefined);
const [last] = installed.at(-1);
for (const [folder] of installed) {
  if (folder === last && existsSync('hold-npm')) {
    // A child that keeps the output open: only a signal to the whole group ends both.
    require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
    process.on('SIGTERM', () => process.exit(1));
    setInterval(() => {}, 1000);
    return;
  }
  mkdirSync(folder + '/bin', { recursive: true });
  writeFileSync(folder + '/package.json', '{}');
  writeFileSync(folder + '/bin/tsc', readFileSync('tsc-stand-in.js'));
}
writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages: Object.fromEntries(installed) }));
`;

const TSC = `
const { existsSync, mkdirSync, writeFileSync } = require('node:fs');
for (const name of ['core', 'events', 'migrate', 'fleet']) {
  console.log("1:00:00 PM - Building project '" + process.cwd() + "/packages/" + name + "/tsconfig.json'...");
  if (name === 'fleet' && existsSync('hold-tsc')) {
    setInterval(() => {}, 1000);
    return;
  }
  mkdirSync('packages/' + name + '/dist', { recursive: true });
  writeFileSync('packages/' + name + '/dist/tsconfig.tsbuildinfo', '');
}
`;

/** Makes a clone whose path contains characters that shells treat specially. */
export function makeClone(): Clone {
  const parent = mkdtempSync(path.join(os.tmpdir(), 'azora-clone-'));
  const directory = path.join(parent, `it's a "clone" of $HOME ü`);
  const bin = path.join(parent, 'bin');
  mkdirSync(bin);
  cpSync(path.join(repositoryRoot(), 'scripts'), path.join(directory, 'scripts'), { recursive: true });
  for (const name of ['core', 'events', 'migrate', 'fleet']) {
    mkdirSync(path.join(directory, 'packages', name, 'src'), { recursive: true });
    writeFileSync(path.join(directory, 'packages', name, 'src', 'index.ts'), '');
  }
  mkdirSync(path.join(directory, 'packages', 'fleet', 'bin'));
  const tool = `console.log('tool: ' + process.argv.slice(2).join(' '));\n`;
  writeFileSync(path.join(directory, 'packages', 'fleet', 'bin', 'azora-db.js'), tool);
  writeFileSync(path.join(directory, 'tsc-stand-in.js'), TSC);
  writeFileSync(path.join(bin, 'npm'), NPM, { mode: 0o755 });
  const link = path.join(parent, 'link');
  symlinkSync(directory, link);
  const writeLock = (packages: Readonly<Record<string, object>>) =>
    writeFileSync(path.join(directory, 'package-lock.json'), JSON.stringify({ packages }));
  writeLock(PACKAGES);
  return {
    directory,
    link,
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: parent },
    hold: (program) => writeFileSync(path.join(directory, `hold-${program}`), ''),
    letGo: (program) => rmSync(path.join(directory, `hold-${program}`)),
    installations: () => readFileSync(path.join(directory, 'npm.log'), 'utf8').split('\n').length - 1,
    writeLock,
    remove: () => rmSync(parent, { recursive: true }),
  };
}
