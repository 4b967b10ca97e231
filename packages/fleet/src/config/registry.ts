import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { didYouMean, isRecord, SuiteError, similarNames } from '@azora/db-core';

/** One service of the suite, described by its folder and manifest. */
export interface Service {
  /** The name of the folder: `auth`. */
  readonly name: string;
  readonly packageName: string;
  readonly description: string;
  readonly directory: string;
  /** The name of the database without the prefix: `notifications` of `azora_notifications`. */
  readonly databaseSuffix: string;
  /** The extensions that its migrations need, such as `vector`. */
  readonly extensions: readonly string[];
  readonly schemaPath: string;
  readonly migrationsPath: string;
}

/** The prefix of database names in manifests; `AZORA_DB_PREFIX` replaces it. */
export const MANIFEST_PREFIX = 'azora_';

const SERVICE_NAME = /^[a-z][a-z0-9-]{0,39}$/;
const DATABASE_SUFFIX = /^[a-z][a-z0-9_]{0,39}$/;
const EXTENSION_NAME = /^[a-z][a-z0-9_-]{0,62}$/;

/** The nearest folder upwards with services; the working directory when there is none, which `findServices` reports. */
export function findRoot(workingDirectory: string): string {
  for (let folder = workingDirectory; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'lerna.json')) && existsSync(path.join(folder, 'services'))) return folder;
    if (folder === path.dirname(folder)) return workingDirectory;
  }
}

/** The version of the toolkit, which all packages of the suite share. */
export function suiteVersion(): string {
  const text = readFileSync(path.resolve(__dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

/**
 * Finds every service, in the order of names: each folder under `services/` whose package.json has an "azora" manifest.
 * @throws {SuiteError} `REGISTRY.NO_SERVICES`, `REGISTRY.BAD_MANIFEST`
 */
export async function findServices(root: string): Promise<readonly Service[]> {
  const parent = path.join(root, 'services');
  const entries = await readdir(parent, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw badManifest(parent, `It cannot be read (${error.code}).`);
  });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const services = await Promise.all(folders.sort().map((name) => readService(path.join(parent, name), name)));
  const found = services.filter((service) => service !== undefined);
  if (found.length > 0) return rejectSharedDatabases(found);
  throw new SuiteError('REGISTRY.NO_SERVICES', 'No services were found', {
    kind: 'configuration',
    why: `No folder under ${parent} has a package.json with an "azora" entry.`,
    next: 'Run the command inside a checkout of the suite',
  });
}

/**
 * Selects services by name; all of them when `names` is undefined.
 * @throws {SuiteError} `USAGE.UNKNOWN_SERVICE`, which lists the known names
 */
export function selectServices(services: readonly Service[], names: readonly string[] | undefined): readonly Service[] {
  if (names === undefined) return services;
  const known = services.map((service) => service.name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return services.filter((service) => names.includes(service.name));
  const meant = didYouMean([...new Set(unknown.flatMap((name) => similarNames(name, known)))]);
  throw new SuiteError('USAGE.UNKNOWN_SERVICE', `Unknown service: ${unknown.join(', ')}`, {
    kind: 'usage',
    next: `${meant} Known services: ${known.join(', ')}`.trim(),
    meta: { unknown, known },
  });
}

/**
 * Selects services by name among those of this environment; all of them when `names` is undefined.
 * @param selected the names in `AZORA_SERVICES`; undefined for all services
 * @throws {SuiteError} `USAGE.UNKNOWN_SERVICE`, `USAGE.SERVICE_NOT_SELECTED`
 */
export function selectInEnvironment(
  services: readonly Service[],
  selected: readonly string[] | undefined,
  names: readonly string[] | undefined,
): readonly Service[] {
  const chosen = selectServices(services, names ?? selected);
  const outside = chosen.map(({ name }) => name).filter((name) => selected !== undefined && !selected.includes(name));
  if (outside.length === 0) return chosen;
  throw new SuiteError('USAGE.SERVICE_NOT_SELECTED', `AZORA_SERVICES does not contain ${outside.join(', ')}`, {
    kind: 'usage',
    why: `It selects the services of this environment: ${selected?.join(', ')}.`,
    next: 'Add the service to AZORA_SERVICES, or name only services that it contains',
    meta: { outside, selected },
  });
}

async function readService(directory: string, name: string): Promise<Service | undefined> {
  const manifestPath = path.join(directory, 'package.json');
  const text = await readFile(manifestPath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    // A service that cannot be read must not vanish from backups and migrations.
    throw badManifest(manifestPath, `It cannot be read (${error.code}).`);
  });
  if (text === undefined) return undefined;
  const manifest = parseManifest(text, manifestPath);
  const azora = manifest['azora'];
  if (azora === undefined) return undefined;
  if (!SERVICE_NAME.test(name))
    throw badManifest(manifestPath, `The name of the folder must match ${SERVICE_NAME.source}.`);
  if (!isRecord(azora)) throw badManifest(manifestPath, '"azora" must be an object.');
  const { database, extensions = [] } = azora;
  const suffix = typeof database === 'string' ? database.slice(MANIFEST_PREFIX.length) : '';
  if (typeof database !== 'string' || !database.startsWith(MANIFEST_PREFIX) || !DATABASE_SUFFIX.test(suffix)) {
    throw badManifest(manifestPath, `"azora.database" must be a name such as "${MANIFEST_PREFIX}mint".`);
  }
  if (
    !Array.isArray(extensions) ||
    !extensions.every((item) => typeof item === 'string' && EXTENSION_NAME.test(item))
  ) {
    throw badManifest(manifestPath, '"azora.extensions" must be a list of extension names.');
  }
  return {
    name,
    packageName: String(manifest['name'] ?? name),
    description: String(manifest['description'] ?? ''),
    directory,
    databaseSuffix: suffix,
    extensions,
    schemaPath: path.join(directory, 'prisma', 'schema.prisma'),
    migrationsPath: path.join(directory, 'prisma', 'migrations'),
  };
}

function parseManifest(text: string, file: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (isRecord(parsed)) return parsed;
  } catch {
    // Reported below with the name of the file.
  }
  throw badManifest(file, 'The file is not a JSON object.');
}

function rejectSharedDatabases(services: readonly Service[]): readonly Service[] {
  for (const service of services) {
    const twin = services.find((other) => other !== service && other.databaseSuffix === service.databaseSuffix);
    if (twin !== undefined) {
      const why = `${service.name} and ${twin.name} both name the database ${MANIFEST_PREFIX}${twin.databaseSuffix}.`;
      throw badManifest(path.join(service.directory, 'package.json'), why);
    }
  }
  return services;
}

function badManifest(file: string, why: string): SuiteError {
  return new SuiteError('REGISTRY.BAD_MANIFEST', `The manifest in ${file} is invalid`, {
    kind: 'configuration',
    why,
    next: 'Correct it; a complete manifest is {"azora": {"database": "azora_mint", "extensions": []}}',
    meta: { file },
  });
}
