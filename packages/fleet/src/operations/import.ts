import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type {
  ImportDatabase,
  ImportSource,
  JournaledImport,
  Reject,
  RollbackReport,
  ServiceReport,
  StageComparison,
} from '@azora/db-import';
import { eachService, type RunOptions, type ServiceRow } from './fleet';
import type { Target } from './targets';

/** The sources that `azora-db import` knows. */
export type ImportRequest =
  | { readonly kind: 'aurora' | 'aragora'; readonly folder: string }
  | { readonly kind: 'table'; readonly map: string };

/** What an import did. */
export interface ImportReport {
  readonly id: string;
  /** Whether it continued a run that was interrupted. */
  readonly isContinued: boolean;
  readonly rows: readonly ServiceRow<ServiceReport>[];
  readonly skipped: ImportSource['skipped'];
  /** The file with the rejected records; null if there are none. */
  readonly rejectsFile: string | null;
}

/** An import with its state in each database that it reached. */
export interface ListedImport extends Omit<JournaledImport, 'state'> {
  readonly states: Readonly<Record<string, JournaledImport['state']>>;
}

/**
 * Opens the source of an import. It must be closed.
 * @throws {SuiteError} `IMPORT.…`
 */
export async function openSource(request: ImportRequest): Promise<ImportSource> {
  const { openAragora, openAurora, openTable } = await import('@azora/db-import');
  if (request.kind === 'table') return openTable(request.map);
  return request.kind === 'aurora' ? openAurora(request.folder) : openAragora(request.folder);
}

/** The services that a source writes to. */
export function servicesOf({ stages }: ImportSource): readonly string[] {
  return [...new Set(stages.map(({ service }) => service))];
}

/** Compares a source with the databases, stage by stage, without changing a row. */
export function compareImport(
  source: ImportSource,
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<readonly StageComparison[]>[]> {
  return eachService(targets, options, async (target, onProgress) => {
    const { compareWith } = await import('@azora/db-import');
    const data = await compareWith(databaseOf(target), source, { onProgress, signal: options.signal });
    return { data, detail: 'compared' };
  });
}

/**
 * Runs an import into every database, or continues one that was interrupted, and writes the rejected records to a file in `home`.
 * @throws {SuiteError} `IMPORT.…`, `SERVER.…` before the first row is written
 */
export async function runImport(
  source: ImportSource,
  targets: readonly Target[],
  home: string,
  options: RunOptions,
): Promise<ImportReport> {
  const { beginImport, importInto } = await import('@azora/db-import');
  const begun = await beginImport(source, targets.map(databaseOf), new Date());
  const rows = await eachService(targets, options, async (target, onProgress) => {
    const data = await importInto(databaseOf(target), source, begun, { onProgress, signal: options.signal });
    const changed = data.stages.reduce((total, { inserted, updated }) => total + inserted + updated, 0);
    return { data, detail: `${changed.toLocaleString('en')} rows written` };
  });
  const rejects = rows.flatMap((row) =>
    row.state === 'done' ? row.data.rejects.map((reject) => ({ service: row.service, ...reject })) : [],
  );
  const rejectsFile = await writeRejects(path.join(home, 'imports', `${begun.id}.rejects.jsonl`), rejects);
  return { id: begun.id, isContinued: begun.isContinued, rows, skipped: source.skipped, rejectsFile };
}

async function writeRejects(
  file: string,
  rejects: readonly (Reject & { readonly service: string })[],
): Promise<string | null> {
  if (rejects.length === 0) {
    await rm(file, { force: true });
    return null;
  }
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, rejects.map((reject) => `${JSON.stringify(reject)}\n`).join(''), { mode: 0o600 });
  return file;
}

/** The imports that reached one of the databases, newest first. */
export async function listImports(targets: readonly Target[]): Promise<readonly ListedImport[]> {
  const { readImports } = await import('@azora/db-import');
  const { withClient } = await import('@azora/db-migrate');
  const listed = new Map<string, ListedImport>();
  for (const { service, admin } of targets) {
    for (const { state, ...found } of await withClient(admin, readImports)) {
      const states = { ...listed.get(found.id)?.states, [service.name]: state };
      listed.set(found.id, { ...found, states });
    }
  }
  return [...listed.values()].sort((left, right) => (left.id < right.id ? 1 : -1));
}

/**
 * Finds an import and the databases that it reached.
 * @throws {SuiteError} `IMPORT.UNKNOWN_IMPORT`
 */
export async function findImported(targets: readonly Target[], id: string): Promise<readonly Target[]> {
  const { findImport } = await import('@azora/db-import');
  const { services } = await findImport(targets.map(databaseOf), id);
  return targets.filter(({ service }) => services.includes(service.name));
}

/** Takes an import out of the databases again. */
export function rollBackImport(
  id: string,
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<RollbackReport>[]> {
  return eachService(targets, options, async (target, onProgress) => {
    const { rollBackFrom } = await import('@azora/db-import');
    const data = await rollBackFrom(databaseOf(target), id, { onProgress, signal: options.signal });
    return { data, detail: `${(data.deleted + data.restored).toLocaleString('en')} rows undone` };
  });
}

function databaseOf({ service, admin, server }: Target): ImportDatabase {
  return { service: service.name, admin, canCopy: server !== 'companion' };
}
