/** @server none */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

const root = repositoryRoot();
const { packPackages } = require('../benchmarks/packed.js') as {
  readonly packPackages: (names: readonly string[], directory: string) => Readonly<Record<string, string>>;
};
const { repository, version } = readManifest('.');
const PACKAGES = ['packages', 'services']
  .flatMap((parent) => readdirSync(path.join(root, parent)).map((name) => `${parent}/${name}`))
  .map((folder) => ({ folder, manifest: readManifest(folder) }))
  .filter(({ manifest }) => manifest.private !== true)
  .map(({ folder, manifest }) => ({ name: manifest.name, folder, manifest }));
/** The page of the studio is for browsers and has no types. */
const WITH_TYPES = PACKAGES.filter(({ name }) => name !== '@azora/db-studio');
/**
 * The resolution of TypeScript before 4.7, which ignores "exports". docs/USE-A-STORE.md names the modes that find the
 * secondary entry points.
 */
const UNSUPPORTED_RESOLUTION = 'node10';

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8')) as Manifest;
}

interface Findings {
  /** What publint reports. */
  readonly messages: readonly unknown[];
  readonly types: unknown;
  /** What Are the Types Wrong reports. */
  readonly problems: readonly { readonly kind: string; readonly resolutionKind?: string }[];
}

describe('the packages for a registry', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'azora-publish-'));
  let tarballs: Readonly<Record<string, string>> = {};
  let findings: Readonly<Record<string, Findings>> = {};
  beforeAll(() => {
    const names = PACKAGES.map(({ name }) => name);
    tarballs = packPackages(names, directory);
    const program = path.join(__dirname, 'check-packages.mjs');
    findings = JSON.parse(execFileSync(process.execPath, [program, ...Object.values(tarballs)], { encoding: 'utf8' }));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('include every workspace package that one of them depends on', () => {
    const published = PACKAGES.map(({ name }) => name);
    const needed = PACKAGES.flatMap(({ manifest }) => Object.keys(manifest.dependencies ?? {}));

    expect(needed.filter((name) => name.startsWith('@azora/') && !published.includes(name))).toEqual([]);
  });

  it.each(PACKAGES)('$name states its version, license, folder and files', ({ folder, manifest }) => {
    expect(manifest).toMatchObject({
      version,
      description: expect.any(String),
      license: 'UNLICENSED',
      repository: { ...Object(repository), directory: folder },
      engines: { node: '>=20.19' },
      files: expect.arrayContaining(['dist']),
    });
  });

  it.each(PACKAGES)('publint finds nothing in $name', ({ name }) => {
    expect(findingsOf(name).messages).toEqual([]);
  });

  it.each(WITH_TYPES)('the types of $name are right for CommonJS, ES modules and bundlers', ({ name }) => {
    const { types, problems } = findingsOf(name);

    expect(types).toEqual({ kind: 'included' });
    expect(problems.filter(({ resolutionKind }) => resolutionKind !== UNSUPPORTED_RESOLUTION)).toEqual([]);
  });

  it('npm would publish all of them', () => {
    const args = ['publish', '--dry-run', '--workspaces', '--ignore-scripts', '--json', '--loglevel', 'error'];
    const printed = execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });

    expect(Object.keys(JSON.parse(printed)).sort()).toEqual(PACKAGES.map(({ name }) => name).sort());
  });

  function findingsOf(name: string): Findings {
    const found = findings[tarballs[name] ?? ''];
    if (found === undefined) throw new Error(`${name} was not checked`);
    return found;
  }
});
