import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl, SuiteError, withUrlParts } from '@azora/db-core';
import { type Migration, readMigrations, withClient } from '@azora/db-migrate';
import { Client } from 'pg';
import { createDatabase, dropDatabase } from '../src/postgres/databases';

/** How long the runners of these tests wait for each other. */
export const WAIT = { runnerTimeoutMs: 10_000 };

/** An empty database for each test of the file. */
export function useEmptyDatabase(): () => DatabaseUrl {
  const server = parseDatabaseUrl(process.env['TEST_DATABASE_URL'] ?? '', 'TEST_DATABASE_URL');
  let url = server;
  beforeEach(async () => {
    url = withUrlParts(server, { database: `azt_migrations_${randomBytes(5).toString('hex')}` });
    await withClient(server, (client) => createDatabase(client, url.database));
  });
  afterEach(async () => {
    await withClient(server, (client) => dropDatabase(client, url.database));
  });
  return () => url;
}

type Files = Readonly<Record<string, string>>;

const folders: string[] = [];

/**
 * Migrations as they are in a checkout: `'01_users': 'CREATE …'` gives 20260101000001_users with that migration.sql;
 * `'01_users/down': 'DROP …'` gives its down.sql, which is a harmless statement otherwise.
 */
export async function givenMigrations(files: Files): Promise<readonly Migration[]> {
  return readMigrations(await givenFolder(files));
}

export async function givenFolder(files: Files): Promise<string> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'azora-migrations-'));
  folders.push(root);
  for (const [key, sql] of Object.entries(files)) {
    const [short = '', down] = key.split('/');
    const folder = path.join(root, nameOf(short));
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, down === undefined ? 'migration.sql' : 'down.sql'), sql);
    if (files[`${short}/down`] === undefined) await writeFile(path.join(folder, 'down.sql'), 'SELECT 1;\n');
  }
  return root;
}

export async function removeMigrations(): Promise<void> {
  await Promise.all(folders.splice(0).map((root) => rm(root, { recursive: true, force: true })));
}

/** `01_users` becomes 20260101000001_users. */
export function nameOf(short: string): string {
  return `202601010000${short}`;
}

/** The error of the work, which must be a SuiteError. */
export async function failureOf(work: Promise<unknown>): Promise<SuiteError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof SuiteError) return error;
  throw new Error(`expected a SuiteError, got ${error instanceof Error ? error.stack : String(error)}`);
}

/** The rows of the last statement, in its own session. A row with one column is returned as its value. */
export async function rowsOf(url: DatabaseUrl, sql: string): Promise<readonly unknown[]> {
  return withClient(url, async (client) => {
    const results: unknown = await client.query(sql);
    const last = (Array.isArray(results) ? results : [results]).at(-1);
    return last.rows.map((row: Record<string, unknown>) => {
      const values = Object.values(row);
      return values.length === 1 ? values[0] : row;
    });
  });
}

export async function tablesOf(url: DatabaseUrl): Promise<readonly unknown[]> {
  return rowsOf(
    url,
    `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
      AND relname <> '_prisma_migrations' ORDER BY relname`,
  );
}

/** A connected client for tests that need sessions beside the runner's; the caller ends it. */
export async function openClient(url: DatabaseUrl, name = 'test'): Promise<Client> {
  const client = new Client({ connectionString: url.href, application_name: name });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
