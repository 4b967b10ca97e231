/** @server any */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { Client } from 'pg';

type Tarballs = Readonly<Record<string, string>>;

interface Packed {
  readonly packPackages: (names: readonly string[], directory: string) => Tarballs;
  readonly installTarballs: (directory: string, tarballs: Tarballs) => void;
}

const { packPackages, installTarballs } = require('../benchmarks/packed.js') as Packed;
const STORE = ['@azora/db-core', '@azora/db-migrate', '@azora/mint'];
const TOOLKIT = [
  '@azora/db-core',
  '@azora/db-events',
  '@azora/db-migrate',
  '@azora/db-import',
  '@azora/db-fleet',
  '@azora/db-studio',
];

/** The packages as npm publishes them, installed with "npm install --omit=dev" into empty projects. */
describe('the packed packages', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'azora-packed-'));
  const store = path.join(directory, 'store');
  const toolkit = path.join(directory, 'toolkit');

  beforeAll(() => {
    const tarballs = packPackages([...new Set([...STORE, ...TOOLKIT])], path.join(directory, 'tarballs'));
    installTarballs(store, pick(tarballs, STORE));
    installTarballs(toolkit, pick(tarballs, TOOLKIT));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each(STORE)('load %s in the project of a store', (name) => {
    expect(node(store, `require('${name}')`)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it.each(TOOLKIT.filter((name) => name !== '@azora/db-studio'))('load %s in the project of the toolkit', (name) => {
    expect(node(toolkit, `require('${name}')`)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('migrate the database of a store on start without the toolkit', async () => {
    const server = process.env['TEST_DATABASE_URL'] ?? '';
    const database = `azt_packed_${randomBytes(5).toString('hex')}`;
    const script = `
      const migrations = require('node:path').resolve('node_modules/@azora/mint/prisma/migrations');
      const { migrateOnStart } = require('@azora/db-migrate');
      migrateOnStart({ migrations, url: process.env.ADMIN_URL, role: '${database}' })
        .then((applied) => console.log(applied[0], applied.length > 1));
    `;
    const admin = new Client({ connectionString: server });
    await admin.connect();
    try {
      await admin.query(`CREATE ROLE ${database}`);
      await admin.query(`CREATE DATABASE ${database}`);
      const url = new URL(server);
      url.pathname = `/${database}`;

      expect(node(store, script, { ADMIN_URL: url.href })).toEqual({
        status: 0,
        stdout: '20260101000000_init true\n',
        stderr: '',
      });
    } finally {
      await admin.query(`DROP DATABASE IF EXISTS ${database}`);
      await admin.query(`DROP ROLE IF EXISTS ${database}`);
      await admin.end();
    }
    expect(existsSync(path.join(store, 'node_modules/@azora/db-fleet'))).toBe(false);
    expect(existsSync(path.join(store, 'node_modules/@aws-sdk'))).toBe(false);
  });

  it.each(['--help', 'status --help', 'backup --help', 'studio --help'])('run "azora-db %s"', (args) => {
    const bin = path.join(toolkit, 'node_modules', '.bin', 'azora-db');

    const { status, stdout, stderr } = spawnSync(bin, args.split(' '), { cwd: toolkit, encoding: 'utf8' });

    const usage: unknown = expect.stringContaining('Usage: azora-db');
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: usage, stderr: '' });
  });

  it.each([
    ['toolkit', '@azora/db-fleet'],
    ['store', '@azora/db-migrate'],
    ['store', '@azora/mint'],
  ])('find in the project of the %s every package that %s imports anywhere, except optional peers', (project, name) => {
    const folder = path.join(directory, project, 'node_modules', name);
    const { peerDependenciesMeta = {} } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    const imported = javascriptFiles(path.join(folder, 'dist')).flatMap((file) =>
      packageImports(file).map((specifier) => ({ file, specifier })),
    );

    expect(imported.length).toBeGreaterThan(0);
    const missing = imported.filter(({ file, specifier }) => !isInstalled(file, specifier));
    expect(missing.filter(({ specifier }) => peerDependenciesMeta[specifier]?.optional !== true)).toEqual([]);
  });

  it('contain the page of the studio', () => {
    const script = `const { PAGE_DIRECTORY, readAssets } = require('@azora/db-fleet/dist/studio/page.js');
      readAssets(PAGE_DIRECTORY).then((assets) => console.log(assets.has('page.js')))`;

    expect(node(toolkit, script)).toEqual({ status: 0, stdout: 'true\n', stderr: '' });
  });

  function node(project: string, script: string, environment: NodeJS.ProcessEnv = {}) {
    const options = { cwd: project, encoding: 'utf8', env: { ...process.env, ...environment } } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], options);
    return { status, stdout, stderr };
  }
});

function pick(tarballs: Tarballs, names: readonly string[]): Tarballs {
  return Object.fromEntries(Object.entries(tarballs).filter(([name]) => names.includes(name)));
}

function javascriptFiles(folder: string): readonly string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));
  return files.map((file) => path.join(folder, file));
}

/** The packages that a compiled file imports, now or when a function in it runs; Node's own modules are left out. */
function packageImports(file: string): readonly string[] {
  const imports = readFileSync(file, 'utf8').matchAll(/(?:require|import)\(['"]([@a-z][^'"]*)['"]\)/g);
  return [...imports].map(([, specifier = '']) => specifier).filter((specifier) => !isBuiltin(specifier));
}

function isInstalled(file: string, specifier: string): boolean {
  try {
    createRequire(file).resolve(specifier);
    return true;
  } catch (error) {
    // A package for ES modules only is there, too.
    return (error as NodeJS.ErrnoException).code === 'ERR_PACKAGE_PATH_NOT_EXPORTED';
  }
}
