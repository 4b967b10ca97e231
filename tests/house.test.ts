/** @server none */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { findServices, type Service } from '@azora/db-fleet';
import { repositoryRoot } from '@azora/db-testkit';

const root = repositoryRoot();
const { repository } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const { version: VERSION } = JSON.parse(readFileSync(path.join(root, 'lerna.json'), 'utf8'));
const NAMES = readdirSync(path.join(root, 'services')).sort();

/** More files in one folder, besides the stores, ask for folders by concept. */
const MAX_FILES = 15;

/** A title, one or more paragraphs, a `ts` block, at most one sentence, and the `text` block that the example prints. */
const README_START =
  /^# (\S+)\n\n([^`#|](?:(?!```)[\s\S])*?)\n\n```ts\n([\s\S]*?)```\n\n[^\n]*\n\n```text\n([\s\S]*?)```\n/;

/** The names in structure.sql of the tables by which every service exchanges events, of their parts and of their functions. */
const EVENT_OBJECTS =
  /^-- Name: (outbox|inbox|(publish_event|check_event|mark_asleep|refuse_relay_change|adopt_outbox|prune_outbox|prune_inbox|set_handled_at)\()/;

const isStore = (file: string) => file.endsWith('.store.ts');

/** Files and folders of a service as they are in the repository, without builds and generated clients. */
function entriesOf(service: string, folder = ''): readonly string[] {
  const ignored = /^(dist|generated|node_modules|coverage|\..*|.*\.tsbuildinfo)$/;
  return readdirSync(path.join(root, 'services', service, folder))
    .filter((entry) => !ignored.test(entry))
    .sort();
}

function foldersUnder(service: string, folder: string): readonly string[] {
  const inside = entriesOf(service, folder)
    .filter((entry) => !entry.includes('.'))
    .map((entry) => `${folder}/${entry}`);
  return inside.flatMap((child) => [child, ...foldersUnder(service, child)]);
}

/** All that makes the tables of events of a service, with the clock and the name of every service spelled alike. */
function eventObjectsOf(service: string) {
  const prisma = path.join(root, 'services', service, 'prisma');
  const read = (...parts: string[]) =>
    readFileSync(path.join(prisma, ...parts), 'utf8')
      .replaceAll('database_time()', 'clock_timestamp()')
      .replaceAll(`('${service}')`, "('service')");
  const migrations = readdirSync(path.join(prisma, 'migrations')).filter((folder) =>
    /^\d{14}_(events|outbox_bookmarks)$/.test(folder),
  );
  const entries = read('structure.sql')
    .replaceAll('public.clock_timestamp()', 'clock_timestamp()')
    .split('\n\n-- Name: ');
  return {
    migrations: migrations.map((migration) => read('migrations', migration, 'migration.sql')),
    downs: migrations.map((migration) => read('migrations', migration, 'down.sql').replace(migration, 'the migration')),
    models: read('schema.prisma').match(/^(?:\/\/\/.*\n)*model (?:Outbox|OutboxRelay|Inbox) \{[\s\S]*?^\}\n/gm),
    structure: entries.map((entry) => `-- Name: ${entry.trim()}`).filter((entry) => EVENT_OBJECTS.test(entry)),
  };
}

/** Packages that only some calls of a service need. */
const OPTIONAL_PEERS: Readonly<Record<string, object>> = {
  rag: {
    peerDependencies: { '@azora/code': VERSION },
    peerDependenciesMeta: { '@azora/code': { optional: true } },
  },
};

describe('the house', () => {
  let services: readonly Service[] = [];
  beforeAll(async () => {
    services = await findServices(root);
  });

  it('has a service in every folder, found by its manifest and listed in the README', () => {
    const table = /^## Services\n\n((?:\|.*\n)+)/m.exec(readFileSync(path.join(root, 'README.md'), 'utf8'))?.[1] ?? '';
    const rows = [...table.matchAll(/^\| (\w+) \| (azora_\w+) \| \S/gm)];

    expect(services.map(({ name }) => name)).toEqual(NAMES);
    expect(rows.map(([, name, database]) => `${name} ${database}`).sort()).toEqual(
      services.map(({ name, databaseSuffix }) => `${name} azora_${databaseSuffix}`),
    );
  });

  it.each(['README.md', 'CONTRIBUTING.md', 'DATABASE-GUIDE.md', 'docs/ARCHITECTURE.md', '.ci/clean-clones.sh'])(
    '%s does not count the services, whose number changes',
    (file) => {
      const text = readFileSync(path.join(root, file), 'utf8');

      expect(text.match(/\b(14|fourteen) (services|databases|times|PostgreSQL)|= 14 \]/gi) ?? []).toEqual([]);
    },
  );

  it.each(NAMES)('%s has the entries of every service', (name) => {
    expect(entriesOf(name)).toEqual([
      'README.md',
      'package.json',
      'prisma',
      'prisma.config.ts',
      'seed',
      'seed.ts',
      'src',
      'tests',
      'tsconfig.json',
    ]);
    expect(entriesOf(name, 'prisma')).toEqual(expect.arrayContaining(['migrations', 'schema.prisma']));
    expect(entriesOf(name, 'prisma/migrations')).toContain('migration_lock.toml');
    expect(entriesOf(name, 'seed')).toContain('volume.ts');
    expect(entriesOf(name, 'tests')).toContain('schema.test.ts');
  });

  it.each(NAMES)('%s keeps its entry points and stores on top of src, and folders that a reader can survey', (name) => {
    const folders = ['src', ...foldersUnder(name, 'src')];
    const modules = (folder: string) => entriesOf(name, folder).filter((entry) => entry.endsWith('.ts'));

    expect(modules('src')).toEqual(expect.arrayContaining(['client.ts', 'index.ts']));
    expect(folders.slice(1).flatMap(modules).filter(isStore)).toEqual([]);
    const long = folders.filter((folder) => modules(folder).filter((file) => !isStore(file)).length > MAX_FILES);
    expect(long).toEqual([]);
  });

  it.each(NAMES)('the promises of %s are rejected by invalid input, which no function throws instead', (name) => {
    const src = path.join(root, 'services', name, 'src');
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /^(?!generated).*\.ts$/.test(file),
    );
    const throwing = files.flatMap((file) => {
      const functions = readFileSync(path.join(src, file), 'utf8').matchAll(
        /^(?:export )?function (\w+)[\s\S]*?^\}$/gm,
      );
      return [...functions].flatMap(([text, found]) =>
        /\): Promise<[^{]*\{\n/.test(text) && text.includes('readInput(') ? [`${file}: ${found}`] : [],
      );
    });

    expect(throwing).toEqual([]);
  });

  it.each(NAMES)('the package.json of %s differs from the others only in its own facts', (name) => {
    const manifest = JSON.parse(readFileSync(path.join(root, 'services', name, 'package.json'), 'utf8'));

    expect(manifest).toEqual({
      name: `@azora/${name}`,
      version: expect.any(String),
      description: expect.any(String),
      license: 'UNLICENSED',
      repository: { ...repository, directory: `services/${name}` },
      type: 'commonjs',
      engines: { node: '>=20.19' },
      main: 'dist/src/index.js',
      types: 'dist/src/index.d.ts',
      exports: {
        '.': { types: './dist/src/index.d.ts', default: './dist/src/index.js' },
        './seed': { types: './dist/seed.d.ts', default: './dist/seed.js' },
        './package.json': './package.json',
      },
      files: ['dist', '!dist/*.tsbuildinfo', 'prisma/migrations', 'prisma/schema.prisma'],
      azora: { database: expect.stringMatching(/^azora_[a-z][a-z0-9]*$/), extensions: expect.any(Array) },
      scripts: {
        build: 'tsc -b',
        prisma: 'prisma',
        test: `jest --config ../../jest.config.js --rootDir ../.. services/${name}/`,
      },
      dependencies: expect.objectContaining({ '@azora/db-core': VERSION, '@prisma/client': '7.10.0' }),
      ...OPTIONAL_PEERS[name],
    });
  });

  it.each(NAMES)('the README of %s begins with its purpose and an example with its output', (name) => {
    const readme = readFileSync(path.join(root, 'services', name, 'README.md'), 'utf8');

    const [, title, purpose, example, printed] = README_START.exec(readme) ?? [];
    expect(title).toBe(name);
    expect(purpose).not.toMatch(/^[#|]/m);
    expect(example).toContain(`from '@azora/${name}'`);
    expect(printed).toMatch(/\S/);
  });

  it.each(NAMES)('every migration of %s has a down.sql', (name) => {
    const migrations = path.join(root, 'services', name, 'prisma', 'migrations');
    const folders = readdirSync(migrations, { withFileTypes: true }).filter((entry) => entry.isDirectory());

    expect(folders.length).toBeGreaterThan(0);
    expect(folders.filter(({ name: folder }) => !existsSync(path.join(migrations, folder, 'down.sql')))).toEqual([]);
  });

  it.each(NAMES)('%s exchanges events by the same tables, functions and rights as the others', (name) => {
    const own = eventObjectsOf(name);

    expect(own.migrations).toEqual([
      expect.stringContaining('CREATE TABLE "outbox"'),
      expect.stringContaining('ADD COLUMN "bookmark_times"'),
    ]);
    expect(own.models).toHaveLength(3);
    expect(own.structure.length).toBeGreaterThan(15);
    expect(own).toEqual(eventObjectsOf('notification'));
  });

  it.each(['core', 'events', 'migrate', 'fleet'])(
    'never caches the build of packages/%s, because its code runs while others build',
    (name) => {
      const { nx } = JSON.parse(readFileSync(path.join(root, 'packages', name, 'package.json'), 'utf8'));

      expect(nx.targets.build.cache).toBe(false);
    },
  );

  it('builds every package from the root', () => {
    const { references } = JSON.parse(readFileSync(path.join(root, 'tsconfig.json'), 'utf8'));
    const built = references.map((reference: { path: string }) => reference.path).sort();
    const packages = [
      'packages/code',
      'packages/core',
      'packages/events',
      'packages/fleet',
      'packages/flows',
      'packages/import',
      'packages/migrate',
      'packages/studio',
      'packages/testkit',
      'prisma',
    ];

    expect(built).toEqual([...packages, ...NAMES.map((name) => `services/${name}`)].sort());
  });
});
