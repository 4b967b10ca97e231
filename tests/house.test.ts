import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { findServices, type Service } from '@azora/db-fleet';
import { repositoryRoot } from '@azora/db-testkit';

const root = repositoryRoot();
const { version: VERSION } = JSON.parse(readFileSync(path.join(root, 'lerna.json'), 'utf8'));
const NAMES = readdirSync(path.join(root, 'services')).sort();

describe('the house', () => {
  let services: readonly Service[] = [];
  beforeAll(async () => {
    services = await findServices(root);
  });

  it('has the 14 services, each found by its manifest', () => {
    const names = 'agent auth debate education family forge health mint nexus notification rag sapiens story workflow';

    expect(services.map(({ name }) => name)).toEqual(names.split(' '));
  });

  it.each(NAMES)('%s is laid out like the others', (name) => {
    const directory = path.join(root, 'services', name);
    const files = [
      'package.json',
      'tsconfig.json',
      'prisma.config.ts',
      'README.md',
      'seed.ts',
      'seed/volume.ts',
      'src/client.ts',
      'src/index.ts',
    ];
    const prisma = ['prisma/schema.prisma', 'prisma/migrations/migration_lock.toml', 'tests/schema.test.ts'];

    expect([...files, ...prisma].filter((file) => !existsSync(path.join(directory, file)))).toEqual([]);
  });

  it.each(NAMES)("%s's manifest differs from the others in its facts only", (name) => {
    const manifest = JSON.parse(readFileSync(path.join(root, 'services', name, 'package.json'), 'utf8'));

    expect(manifest).toMatchObject({
      name: `@azora/${name}`,
      main: 'dist/src/index.js',
      exports: { '.': { default: './dist/src/index.js' }, './seed': { default: './dist/seed.js' } },
      azora: { database: expect.stringMatching(/^azora_[a-z]+$/), extensions: expect.any(Array) },
      scripts: { build: 'tsc -b' },
      dependencies: { '@azora/db-core': VERSION, '@prisma/client': '7.10.0' },
    });
  });

  it.each(NAMES)('every migration of %s has a way back', (name) => {
    const migrations = path.join(root, 'services', name, 'prisma', 'migrations');
    const folders = readdirSync(migrations, { withFileTypes: true }).filter((entry) => entry.isDirectory());

    expect(folders.length).toBeGreaterThan(0);
    expect(folders.filter(({ name: folder }) => !existsSync(path.join(migrations, folder, 'down.sql')))).toEqual([]);
  });

  it.each(['core', 'migrate', 'fleet'])(
    'never takes packages/%s, whose code runs while it builds, away to restore it',
    (name) => {
      const { nx } = JSON.parse(readFileSync(path.join(root, 'packages', name, 'package.json'), 'utf8'));

      expect(nx.targets.build.cache).toBe(false);
    },
  );

  it('builds every package from the root', () => {
    const { references } = JSON.parse(readFileSync(path.join(root, 'tsconfig.json'), 'utf8'));
    const built = references.map((reference: { path: string }) => reference.path).sort();
    const packages = [
      'packages/core',
      'packages/fleet',
      'packages/migrate',
      'packages/studio',
      'packages/testkit',
      'prisma',
    ];

    expect(built).toEqual([...packages, ...NAMES.map((name) => `services/${name}`)].sort());
  });
});
