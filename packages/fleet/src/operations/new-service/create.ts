import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { findServices, MANIFEST_PREFIX, type Service } from '../../config/registry';
import type { Settings } from '../../config/settings';
import { readSchemaModel } from '../../schema/schema-model';
import { draftName, isAbandoned } from '../../system/atomic-files';
import { writeDocuments } from '../documents';
import { renderStructures } from '../documents/structure';
import { generateServices } from '../generate';
import { writeMigrations } from '../migrations/new-migration';
import { openTargets } from '../targets';
import { runInWorkspace } from '../workspace';
import { writeCommonTables, writeServiceFiles } from './files';
import { registerService } from './registration';

export interface NewServiceOptions {
  readonly log: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  readonly now: Date;
}

export interface NewService {
  /** The folder of the service in the checkout. */
  readonly folder: string;
  /** False when an interrupt came after the service was created, and its code is not compiled. */
  readonly built: boolean;
}

/** A single word, because it is part of names in code, in SQL and in the environment; PostgreSQL limits names to 63 bytes. */
const NAME = /^[a-z][a-z0-9]{1,29}$/;

/** Words that JavaScript reserves, that the files of a service use for something else, or that Windows reserves as file names. */
const RESERVED = new Set([
  ...['arguments', 'async', 'await', 'break', 'case', 'catch', 'class', 'const', 'continue', 'debugger', 'default'],
  ...['delete', 'do', 'else', 'enum', 'eval', 'export', 'extends', 'false', 'finally', 'for', 'function', 'if'],
  ...['implements', 'import', 'in', 'instanceof', 'interface', 'let', 'new', 'null', 'package', 'private'],
  ...['protected', 'public', 'return', 'static', 'super', 'switch', 'this', 'throw', 'true', 'try', 'typeof'],
  ...['undefined', 'var', 'void', 'while', 'with', 'yield'],
  ...['console', 'exports', 'module', 'process', 'require'],
  ...[
    'base',
    'db',
    'describe',
    'expect',
    'first',
    'again',
    'input',
    'inside',
    'it',
    'item',
    'items',
    'names',
    'prisma',
  ],
  ...['seed', 'store', 'template', 'volume'],
  ...['aux', 'con', 'nul', 'prn', 'com1', 'com2', 'com3', 'com4', 'lpt1', 'lpt2', 'lpt3', 'lpt4'],
]);

/**
 * Creates a service with an example, in the layout of the others, and adds it to the files that name every service. Prepares the
 * folder elsewhere and renames it: after a failure or an interrupt the service exists as a whole or not at all. Downloads nothing.
 * @returns undefined when an interrupt came before the service was created
 * @throws {SuiteError} `USAGE.BAD_SERVICE_NAME`, `SERVICE.EXISTS`, `WORKSPACE.FAILED`, `EMBEDDED.…`
 */
export async function createService(
  settings: Settings,
  services: readonly Service[],
  name: string,
  options: NewServiceOptions,
): Promise<NewService | undefined> {
  const { root, environment } = settings;
  const { log, signal } = options;
  checkName(root, services, name);
  const folder = `services/${name}`;
  const local = path.join(root, '.azora');
  await mkdir(local, { recursive: true, mode: 0o700 });
  await removeAbandoned(local);
  const draft = path.join(local, await draftName('service', 'new'));
  try {
    const service = serviceIn(path.join(draft, name), name);
    log(`writing ${folder}`);
    const commonTables = await writeServiceFiles(root, name, service.directory);
    if (signal?.aborted) return undefined;
    log('writing its migrations');
    const [target] = await openTargets(settings, [service], log);
    if (target === undefined || signal?.aborted) return undefined;
    await writeMigrations(target, { slug: 'init', why: `the first schema of ${name}`, now: options.now });
    await writeCommonTables(service.directory, commonTables);
    if (signal?.aborted) return undefined;
    const [structure = ''] = (await renderStructures(settings, [service], { onProgress: log })).values();
    await writeFile(path.join(service.directory, 'prisma', 'structure.sql'), structure);
    if (signal?.aborted) return undefined;
    const manifest = JSON.parse(await readFile(path.join(service.directory, 'package.json'), 'utf8'));
    log('adding it to the files that name every service');
    const registered = { name, database: `${MANIFEST_PREFIX}${service.databaseSuffix}`, manifest };
    await registerService(root, registered, () => rename(service.directory, path.join(root, folder)));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  const all = await findServices(root);
  await writeDocuments(root, await readSchemaModel(all), all, { check: false });
  log('generating its client and building it');
  const formatter = createRequire(path.join(root, 'package.json')).resolve('@biomejs/biome/bin/biome');
  await runInWorkspace('formatting', [formatter, 'check', '--write', folder], { root, environment, signal });
  await generateServices(
    all.filter((service) => service.name === name),
    { root, environment, signal },
  );
  return { folder, built: signal?.aborted !== true };
}

function checkName(root: string, services: readonly Service[], name: string): void {
  if (!NAME.test(name))
    throw badName(name, 'A name is 2 to 30 lowercase letters and digits, and begins with a letter.');
  if (existsSync(path.join(root, 'services', name))) {
    const isService = services.some((service) => service.name === name);
    throw new SuiteError('SERVICE.EXISTS', `services/${name} already exists`, {
      kind: 'usage',
      why: isService
        ? 'It is a service of this checkout.'
        : 'The folder is not a service: its package.json has no "azora" entry.',
      next: isService ? `Run "npm test -- services/${name}"` : 'Choose another name, or remove the folder',
    });
  }
  if (RESERVED.has(name)) throw badName(name, 'The word is reserved.');
  const twin = services.find(({ databaseSuffix }) => databaseSuffix === name);
  if (twin !== undefined) throw badName(name, `The database ${MANIFEST_PREFIX}${name} belongs to ${twin.name}.`);
}

function badName(name: string, why: string): SuiteError {
  return new SuiteError('USAGE.BAD_SERVICE_NAME', `${JSON.stringify(name)} cannot be the name of a service`, {
    kind: 'usage',
    why,
    next: 'Choose a name such as billing',
  });
}

function serviceIn(directory: string, name: string): Service {
  return {
    name,
    packageName: `@azora/${name}`,
    description: '',
    directory,
    databaseSuffix: name,
    extensions: [],
    schemaPath: path.join(directory, 'prisma', 'schema.prisma'),
    migrationsPath: path.join(directory, 'prisma', 'migrations'),
  };
}

/** Removes the folders of runs that were killed. */
async function removeAbandoned(local: string): Promise<void> {
  for (const name of await readdir(local)) {
    if (name.startsWith('service.new-') && (await isAbandoned(local, name))) {
      await rm(path.join(local, name), { recursive: true, force: true });
    }
  }
}
