import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestDatabase } from '@azora/db-testkit';
import {
  type BegunImport,
  beginImport,
  type ImportDatabase,
  type ImportSource,
  importInto,
  type RollbackReport,
  type RunOptions,
  rollBackFrom,
  type ServiceReport,
} from '../src';

/** A folder for each test, removed after it. */
export function useFolder(): () => string {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'azora-test-import-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  return () => folder;
}

/** Writes files with their folders. */
export function write(folder: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
}

/** The hash of every file of a folder, by its name. */
export function hashesOf(folder: string): Readonly<Record<string, string>> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((it) => it.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const file = path.join(parentPath, name);
      return [path.relative(folder, file), createHash('sha256').update(readFileSync(file)).digest('hex')];
    }),
  );
}

export function importDatabase(service: string, { target }: TestDatabase): ImportDatabase {
  return { service, admin: target.admin, canCopy: target.server !== 'companion' };
}

/** Runs an import into all databases, as the command does. */
export async function runImport(
  open: () => Promise<ImportSource>,
  databases: readonly ImportDatabase[],
  options: RunOptions = {},
): Promise<{ readonly begun: BegunImport; readonly reports: Readonly<Record<string, ServiceReport>> }> {
  const source = await open();
  try {
    const begun = await beginImport(source, databases, new Date());
    const reports: Record<string, ServiceReport> = {};
    for (const database of databases) reports[database.service] = await importInto(database, source, begun, options);
    return { begun, reports };
  } finally {
    await source.close();
  }
}

/** Rolls an import back in all databases. */
export async function rollBack(
  id: string,
  databases: readonly ImportDatabase[],
): Promise<Readonly<Record<string, RollbackReport>>> {
  const reports: Record<string, RollbackReport> = {};
  for (const database of databases) reports[database.service] = await rollBackFrom(database, id, {});
  return reports;
}

/** All rows of all tables of a database, without the journal and without the positions of sequences. */
export async function contentsOf({ admin }: TestDatabase): Promise<Readonly<Record<string, readonly string[]>>> {
  const tables = await admin(`
    SELECT format('%I.%I', nspname, relname) AS name FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = 'r' AND nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'azora_import') ORDER BY 1`);
  const contents: Record<string, readonly string[]> = {};
  for (const { name } of tables) {
    const rows = await admin(`SELECT t::text AS row FROM ${name} AS t ORDER BY 1`);
    if (rows.length > 0) contents[String(name)] = rows.map(({ row }) => String(row));
  }
  return contents;
}
