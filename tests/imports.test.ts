/** @server none */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

const root = repositoryRoot();
const CONFIG = ['.dependency-cruiser.js', 'imports.config.js'];
const WORKSPACES = [...foldersIn('packages'), ...foldersIn('services'), 'prisma'];

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface Report {
  readonly summary: {
    readonly violations: readonly {
      readonly from: string;
      readonly to: string;
      readonly rule: { readonly name: string };
    }[];
  };
}

/** The violations that dependency-cruiser reports for the folders of a checkout, as "file: rule". */
function cruise(checkout: string, folders: readonly string[]): readonly string[] {
  const bin = path.join(root, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
  const args = [bin, '--config', '.dependency-cruiser.js', '--output-type', 'json', ...folders];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: checkout,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (stdout === '') throw new Error(stderr);
  const { summary } = JSON.parse(stdout) as Report;
  return summary.violations.map(({ from, to, rule }) => `${from} -> ${to}: ${rule.name}`);
}

describe('the manifests of the checkout', () => {
  it.each(WORKSPACES)('use every dependency that %s declares', (folder) => {
    const { dependencies = {}, devDependencies = {} } = readManifest(folder);
    const declared = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !name.startsWith('@types/'));
    const source = sourceFiles(path.join(root, folder)).map((file) => readFileSync(file, 'utf8'));

    expect(declared.filter((name) => !source.some((text) => mentions(text, name)))).toEqual([]);
  });
});

/** Each writes one file that imports `target`; `rule` is the rule that rejects it, or undefined when it is allowed. */
const PROBES = [
  {
    title: 'core imports a file of the toolkit',
    file: 'packages/core/src/probe.ts',
    target: '../../fleet/src/config/registry',
    rule: 'core-imports-only-what-it-may',
  },
  {
    title: 'the toolkit imports a file of a service',
    file: 'packages/fleet/src/operations/service.ts',
    target: '../../../../services/mint/src/client',
    rule: 'fleet-operations-imports-only-what-it-may',
  },
  {
    title: 'an operation imports a command',
    file: 'packages/fleet/src/operations/command.ts',
    target: '../commands/consent',
    rule: 'fleet-operations-imports-only-what-it-may',
  },
  {
    title: 'a service imports a file of another service',
    file: 'services/mint/src/other.ts',
    target: '../../auth/src/client',
    rule: 'service-mint-imports-only-what-it-may',
  },
  {
    title: 'a service imports another service by its package name',
    file: 'services/mint/src/named.ts',
    target: '@azora/auth',
    rule: 'service-mint-imports-only-what-it-may',
  },
  {
    title: 'a service imports the toolkit by its package name',
    file: 'services/auth/src/toolkit.ts',
    target: '@azora/db-fleet',
    rule: 'service-auth-imports-only-what-it-may',
  },
  {
    title: 'the seed imports the toolkit',
    file: 'prisma/probe.ts',
    target: '../packages/fleet/src/config/registry',
    rule: 'seed-imports-only-what-it-may',
  },
  {
    title: 'a package imports what only another package declares',
    file: 'packages/migrate/src/undeclared.ts',
    target: 'p-map',
    rule: 'no-undeclared-import',
  },
  {
    title: 'a service imports what only the root declares',
    file: 'services/mint/src/undeclared.ts',
    target: 'fast-check',
    rule: 'no-undeclared-import',
  },
  {
    title: 'a test imports what neither its package nor the root declares',
    file: 'services/mint/tests/undeclared.test.ts',
    target: 'commander',
    rule: 'no-undeclared-import-in-tests',
  },
  {
    title: 'a package imports its development dependency',
    file: 'packages/core/src/development.ts',
    target: 'fast-check',
    rule: 'no-dev-dependency-in-shipped-code',
  },
  {
    title: 'a package imports a package that does not exist',
    file: 'packages/core/src/missing.ts',
    target: '@azora/does-not-exist',
    rule: 'no-unresolvable-import',
  },
  {
    title: 'a test imports what the root declares',
    file: 'services/mint/tests/declared.test.ts',
    target: 'fast-check',
    rule: undefined,
  },
  {
    title: 'a package imports what it declares',
    file: 'packages/fleet/src/operations/declared.ts',
    target: 'p-map',
    rule: undefined,
  },
  {
    title: 'a service imports core by its package name',
    file: 'services/mint/src/core.ts',
    target: '@azora/db-core',
    rule: undefined,
  },
];

describe('the rules for imports', () => {
  const checkout = mkdtempSync(path.join(os.tmpdir(), 'azora-imports-'));
  let violations: readonly string[] = [];

  beforeAll(() => {
    givenManifests(checkout);
    for (const { file, target } of PROBES) {
      if (target.startsWith('.')) put(checkout, `${path.join(path.dirname(file), target)}.ts`, 'export {};\n');
      put(checkout, file, `export * from '${target}';\n`);
    }
    // In the checkout itself no package but the studio's has development dependencies.
    const { devDependencies, ...core } = readManifest('packages/core');
    const manifest = { ...core, devDependencies: { ...devDependencies, 'fast-check': '*' } };
    put(checkout, 'packages/core/package.json', JSON.stringify(manifest));
    violations = cruise(checkout, ['packages', 'services', 'prisma']);
  });
  afterAll(() => rmSync(checkout, { recursive: true }));

  it.each(PROBES.filter(({ rule }) => rule !== undefined))('reject that $title', ({ file, rule }) => {
    expect(rulesBrokenBy(file)).toContain(rule);
  });

  it.each(PROBES.filter(({ rule }) => rule === undefined))('allow that $title', ({ file }) => {
    expect(rulesBrokenBy(file)).toEqual([]);
  });

  it.each(['export const load = () => import("p-map");', 'export const file = require.resolve("p-map");'])(
    'see the import in %s',
    (source) => {
      put(checkout, 'packages/migrate/src/lazy.ts', `${source}\n`);

      const found = cruise(checkout, ['packages/migrate/src/lazy.ts']);

      expect(found).toEqual([expect.stringMatching(/: no-undeclared-import$/)]);
    },
  );

  function rulesBrokenBy(file: string): readonly (string | undefined)[] {
    return violations.filter((violation) => violation.startsWith(`${file} -> `)).map((text) => text.split(': ').at(-1));
  }
});

/** A checkout with the manifests and the import rules of this one, its packages linked, and no source. */
function givenManifests(checkout: string): void {
  for (const file of CONFIG) cpSync(path.join(root, file), path.join(checkout, file));
  for (const folder of ['.', ...WORKSPACES]) {
    mkdirSync(path.join(checkout, folder), { recursive: true });
    cpSync(path.join(root, folder, 'package.json'), path.join(checkout, folder, 'package.json'));
    const packages = path.join(root, folder, 'node_modules');
    if (existsSync(packages)) symlinkSync(packages, path.join(checkout, folder, 'node_modules'));
  }
}

function put(checkout: string, file: string, text: string): void {
  mkdirSync(path.dirname(path.join(checkout, file)), { recursive: true });
  writeFileSync(path.join(checkout, file), text);
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8')) as Manifest;
}

function foldersIn(parent: string): readonly string[] {
  return readdirSync(path.join(root, parent)).map((name) => `${parent}/${name}`);
}

/** The TypeScript and JavaScript files of a package that are written by hand, without its tests. */
function sourceFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|tsx|js)$/.test(file) && !/(^|\/)(node_modules|dist|tests)\//.test(file))
    .map((file) => path.join(folder, file));
}

function mentions(source: string, name: string): boolean {
  return ["'", '"', '`'].some(
    (quote) => source.includes(`${quote}${name}${quote}`) || source.includes(`${quote}${name}/`),
  );
}
