import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { isRecord } from '@azora/db-core';
import type { CatalogEvent, EventCatalog } from '@azora/db-core/events';
import type { Service } from '../../config/registry';
import type { Settings } from '../../config/settings';
import { runInWorkspace } from '../workspace';
import { code, codeList, GENERATED, joinBlocks, table } from './markdown';

export interface EventsOptions {
  readonly onProgress?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const CATALOG = 'docs/EVENTS.md';
const FOLDER = 'docs/events';
/** How a line of `prisma/events.ts` begins. */
const CATALOG_LINE = '{"service":';

/**
 * The catalog of events by its paths in the checkout: a page, and the JSON Schemas of each service that publishes. Undefined marks
 * a file that must not exist. The declarations come from the compiled services; the schemas of a service that is not compiled
 * stay as they are.
 * @throws {SuiteError} `WORKSPACE.FAILED` when the code of a service cannot be loaded
 */
export async function renderEvents(
  { root, environment }: Settings,
  services: readonly Service[],
  { onProgress, signal }: EventsOptions = {},
): Promise<ReadonlyMap<string, string | undefined>> {
  const printer = path.join(root, 'prisma', 'dist', 'events.js');
  const compiled = services.filter(({ directory }) => existsSync(path.join(directory, 'dist', 'src', 'index.js')));
  const known = compiled.length > 0 && existsSync(printer) ? compiled : [];
  const catalogs = new Map<string, EventCatalog>();
  if (known.length > 0) {
    const folders = known.map(({ directory }) => directory);
    // The code of a service, and Node when it fails, may print lines of their own.
    const isShown = (line: string) => !line.startsWith(CATALOG_LINE);
    const onLine = (line: string) => {
      if (isShown(line)) return;
      const catalog = JSON.parse(line) as EventCatalog;
      catalogs.set(catalog.service, catalog);
    };
    const options = { root, environment, signal, onLine, isShown, next: 'npm run build' };
    await runInWorkspace('reading the events of the services', [printer, ...folders], options);
  }
  for (const { name } of services) {
    if (known.some((service) => service.name === name)) continue;
    const written = await readCatalog(root, name);
    if (written === undefined) continue;
    catalogs.set(name, written);
    onProgress?.(`${name} is not built; its events stay as they are in ${FOLDER}/${name}.json`);
  }
  const publishing = services.flatMap(({ name }) => catalogs.get(name) ?? []).filter(({ events }) => events.length > 0);
  return new Map<string, string | undefined>([
    ...(await writtenFiles(root)).map((file): [string, undefined] => [file, undefined]),
    ...publishing.map((catalog): [string, string] => [`${FOLDER}/${catalog.service}.json`, textOf(catalog)]),
    [CATALOG, publishing.length === 0 ? undefined : renderCatalog(publishing)],
  ]);
}

async function writtenFiles(root: string): Promise<readonly string[]> {
  const names = await readdir(path.join(root, FOLDER)).catch(() => []);
  return names.filter((name) => name.endsWith('.json')).map((name) => `${FOLDER}/${name}`);
}

async function readCatalog(root: string, name: string): Promise<EventCatalog | undefined> {
  const text = await readFile(path.join(root, FOLDER, `${name}.json`), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as EventCatalog);
}

function textOf(catalog: EventCatalog): string {
  return `${JSON.stringify(catalog, null, 2)}\n`;
}

function renderCatalog(catalogs: readonly EventCatalog[]): string {
  return joinBlocks([
    GENERATED,
    '# Events',
    'Every event that a service publishes. [USE-EVENTS.md](USE-EVENTS.md) explains how to publish and to handle them. Events of one key are handled in their order. A field with `?` can be absent. The JSON Schemas of the data are in `docs/events`.',
    ...catalogs.flatMap(({ service, events }) => [
      `## ${service}`,
      `Schemas: [${service}.json](events/${service}.json).`,
      table(['Event', 'When', 'Key from', 'Data'], events.map(eventRow)),
    ]),
  ]);
}

function eventRow({ type, about, key, schema }: CatalogEvent): readonly string[] {
  const required: readonly unknown[] = Array.isArray(schema['required']) ? schema['required'] : [];
  const fields = Object.keys(isRecord(schema['properties']) ? schema['properties'] : {});
  return [code(type), about, codeList(key), codeList(fields.map((it) => (required.includes(it) ? it : `${it}?`)))];
}
