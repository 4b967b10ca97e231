import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import type { Service } from '../config/registry';
import type { SchemaModel } from '../schema/schema-model';
import { renderDiagram, renderReferences } from './documents/diagrams';
import { type Invariants, readInvariants } from './documents/invariants';
import { GENERATED } from './documents/markdown';
import { renderStatus } from './documents/status';

export interface DocumentOptions {
  /** Writes nothing and returns the stale documents. */
  readonly check: boolean;
  /** Further generated files by their path in the checkout; undefined for one that must not exist. */
  readonly others?: ReadonlyMap<string, string | undefined> | undefined;
}

const DIAGRAMS = 'docs/er';
const NO_INVARIANTS: ReadonlyMap<string, Invariants> = new Map();

/** All generated documents by their paths in the checkout. */
export function renderDocuments(
  schemaModel: SchemaModel,
  services: readonly Service[],
  invariants: ReadonlyMap<string, Invariants> = NO_INVARIANTS,
): ReadonlyMap<string, string> {
  return new Map([
    ['DATABASE-STATUS.md', renderStatus(schemaModel, services, invariants)],
    [`${DIAGRAMS}/references.md`, renderReferences(schemaModel)],
    ...schemaModel.services.map((service): [string, string] => [
      `${DIAGRAMS}/${service.name}.md`,
      renderDiagram(service),
    ]),
  ]);
}

/**
 * Writes the generated documents that are missing or stale, and removes those of removed services.
 * @returns the paths that were stale, sorted
 * @throws {SuiteError} `DOCUMENTS.UNWRITABLE`
 */
export async function writeDocuments(
  root: string,
  schemaModel: SchemaModel,
  services: readonly Service[],
  { check, others }: DocumentOptions,
): Promise<readonly string[]> {
  const documents = renderDocuments(schemaModel, services, await readInvariants(schemaModel, services));
  const wanted = new Map<string, string | undefined>([...documents, ...(others ?? [])]);
  const existing = [...wanted.keys(), ...(await findGenerated(root))];
  const stale = await Promise.all(
    [...new Set(existing)].map(async (file) => ((await readText(root, file)) === wanted.get(file) ? [] : [file])),
  );
  const files = stale.flat().sort();
  if (!check) await Promise.all(files.map((file) => put(root, file, wanted.get(file))));
  return files;
}

/** The diagrams that an earlier run wrote; other files in the folder stay. */
async function findGenerated(root: string): Promise<readonly string[]> {
  const names = await readdir(path.join(root, DIAGRAMS)).catch(() => []);
  const files = names.filter((name) => name.endsWith('.md')).map((name) => `${DIAGRAMS}/${name}`);
  const texts = await Promise.all(files.map((file) => readText(root, file)));
  return files.filter((_, index) => texts[index]?.startsWith(GENERATED));
}

/** Ignores the line ends: a checkout on Windows may have changed them. */
async function readText(root: string, file: string): Promise<string | undefined> {
  const text = await readFile(path.join(root, file), 'utf8').catch(() => undefined);
  return text?.replaceAll('\r\n', '\n');
}

async function put(root: string, file: string, text: string | undefined): Promise<void> {
  const target = path.join(root, file);
  try {
    if (text === undefined) return await rm(target);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, text);
  } catch (error) {
    throw new SuiteError('DOCUMENTS.UNWRITABLE', `${file} cannot be written`, {
      why: error instanceof Error ? `${error.message}.` : 'Writing failed.',
      next: 'Make the file and its folder writable',
      cause: error,
    });
  }
}
