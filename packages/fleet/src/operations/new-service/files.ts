import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { MANIFEST_PREFIX } from '../../config/registry';

/**
 * The service whose manifest, configuration, client, audit log and tables of events a new service gets. It has no store and no
 * errors of its own.
 */
const MODEL = 'workflow';
/** The endings of the names of the migrations that every service has, in their order. */
const COMMON_MIGRATIONS = ['audit_log', 'audit_time', 'times', 'validate_times', 'events', 'outbox_bookmarks'];
/** The models that these migrations create. */
const COMMON_MODELS = ['AuditLog', 'Outbox', 'OutboxRelay', 'Inbox'];

/** The name that stands for the new service in `template/`, and its spellings in code. */
const PLACEHOLDER = 'template';

/** The files that differ from those of the model service only in its name. */
const SHARED = [
  'package.json',
  'prisma.config.ts',
  'tsconfig.json',
  'src/client.ts',
  'prisma/migrations/migration_lock.toml',
];

/** The audit log and the tables of events. */
export interface CommonTables {
  /** Their models, in Prisma's schema language. */
  readonly schema: string;
  readonly migrations: readonly CommonMigration[];
}

interface CommonMigration {
  readonly ending: string;
  readonly up: string;
  readonly down: string;
}

/**
 * Writes the files of a new service, without the tables that every service has: the example of `template/`, and the files that
 * every service has, from another service of the checkout.
 * @returns the tables that every service has, which have migrations of their own after the first one
 * @throws {SuiteError} `SERVICE.NO_TEMPLATE`
 */
export async function writeServiceFiles(root: string, name: string, directory: string): Promise<CommonTables> {
  const template = path.join(root, 'template');
  if (!existsSync(template)) throw noTemplate(template);
  const model = path.join(root, 'services', MODEL);
  for (const file of await filesIn(template)) {
    if (file.endsWith('.prisma')) continue;
    await put(
      path.join(directory, file),
      renamed(await readFile(path.join(template, file), 'utf8'), PLACEHOLDER, name),
    );
  }
  for (const file of SHARED) {
    const text = await readFile(path.join(model, file), 'utf8');
    await put(
      path.join(directory, file),
      file === 'package.json' ? manifestOf(text, name) : renamed(text, MODEL, name),
    );
  }
  const schema = await readFile(path.join(model, 'prisma', 'schema.prisma'), 'utf8');
  const example = await readFile(path.join(template, 'prisma', 'model.prisma'), 'utf8');
  // The generator and the data source come first.
  const [head = ''] = schema.split(/^(?=\/\/\/|model )/m);
  await put(path.join(directory, 'prisma', 'schema.prisma'), `${head}${example}`);
  const migrations = path.join(model, 'prisma', 'migrations');
  const read = await Promise.all(COMMON_MIGRATIONS.map((ending) => readMigration(migrations, ending)));
  // The trigger of the outbox has the name of the service as its argument.
  const own = read.map((it) => ({ ...it, up: it.up.replaceAll(`'${MODEL}'`, `'${name}'`) }));
  return { schema: commonModelsOf(schema), migrations: own };
}

function noTemplate(template: string): SuiteError {
  return new SuiteError('SERVICE.NO_TEMPLATE', 'The example for a new service is missing', {
    kind: 'configuration',
    why: `There is no folder ${template}.`,
    next: 'Restore the folder from version control',
  });
}

/** Adds the migrations of the tables that every service has after the others, and their models to the schema. */
export async function writeCommonTables(directory: string, { schema, migrations: added }: CommonTables): Promise<void> {
  const migrations = path.join(directory, 'prisma', 'migrations');
  const [newest = ''] = (await migrationsIn(migrations)).slice(-1);
  for (const [at, { ending, up, down }] of added.entries()) {
    const name = `${Number(newest.slice(0, 14)) + at + 1}_${ending}`;
    await put(path.join(migrations, name, 'migration.sql'), up);
    await put(path.join(migrations, name, 'down.sql'), down.replace(new RegExp(`\\b\\d{14}_${ending}\\b`), name));
  }
  const file = path.join(directory, 'prisma', 'schema.prisma');
  await writeFile(file, `${await readFile(file, 'utf8')}\n${schema}`);
}

async function readMigration(migrations: string, ending: string): Promise<CommonMigration> {
  const name = (await migrationsIn(migrations)).find((it) => it.endsWith(`_${ending}`)) ?? '';
  const read = (file: string) => readFile(path.join(migrations, name, file), 'utf8');
  return { ending, up: await read('migration.sql'), down: await read('down.sql') };
}

/** The models that every service has, with the comments above them. */
function commonModelsOf(schema: string): string {
  const models = COMMON_MODELS.map((name) =>
    new RegExp(`^(?:///.*\\n)*model ${name} \\{[\\s\\S]*?^\\}\\n`, 'm').exec(schema),
  );
  return models.flatMap((found) => found?.[0] ?? []).join('\n');
}

/** Replaces a service's name in code and text: `workflow`, `Workflow`, `WORKFLOW`. */
function renamed(text: string, from: string, to: string): string {
  const spellings = [(name: string) => name, capitalized, (name: string) => name.toUpperCase()];
  return spellings.reduce((result, spell) => result.replaceAll(spell(from), spell(to)), text);
}

function capitalized(name: string): string {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

function manifestOf(text: string, name: string): string {
  const manifest = JSON.parse(text) as Record<string, unknown>;
  const azora = { database: `${MANIFEST_PREFIX}${name}`, extensions: [] };
  const [scripts, repository] = ['scripts', 'repository'].map((field): unknown =>
    JSON.parse(renamed(JSON.stringify(manifest[field]), MODEL, name)),
  );
  const changed = { ...manifest, name: `@azora/${name}`, description: 'Items of users', repository, azora, scripts };
  return `${JSON.stringify(changed, null, 2)}\n`;
}

async function migrationsIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return folders.sort();
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).sort();
}

async function put(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}
