import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { findServices } from '../src/config/registry';
import { type LintFinding, lintServices } from '../src/operations/migrations/lint';

/** The files of one migration, with a harmless down.sql by default. */
export interface Files {
  readonly up: string;
  readonly down?: string;
}

export const INIT: Files = {
  up: `CREATE TABLE users (id uuid PRIMARY KEY, name text, CONSTRAINT users_name_check CHECK (name <> ''),
      age numeric CHECK (age > 0), score numeric CHECK (score > 0));
    CREATE INDEX users_name_idx ON users (name) WHERE name IS NOT NULL;
    CREATE INDEX users_plain_idx ON users (name);
    CREATE INDEX ON users (lower(name));
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f();
    ALTER TABLE users ADD CONSTRAINT users_once EXCLUDE USING gist (name WITH =);`,
  down: 'DROP TABLE users; DROP FUNCTION f();',
};
export const TIMEOUT = "SET LOCAL lock_timeout = '5s';\n";

const roots: string[] = [];

export async function removeCheckouts(): Promise<void> {
  await Promise.all(roots.splice(0).map((root) => rm(root, { recursive: true, force: true })));
}

/** A checkout with one service that has these migrations, in this order. */
export async function givenCheckout(migrations: readonly Files[]): Promise<string> {
  const root = await emptyCheckout();
  const folder = path.join(root, 'services', 'shop');
  for (const [at, { up, down = 'SELECT 1;' }] of migrations.entries()) {
    const directory = path.join(folder, 'prisma', 'migrations', `2026010100000${at}_step`);
    await mkdir(directory, { recursive: true });
    await writeFile(path.join(directory, 'migration.sql'), up);
    await writeFile(path.join(directory, 'down.sql'), down);
  }
  await writeFile(path.join(folder, 'package.json'), '{"azora": {"database": "azora_shop", "extensions": []}}');
  return root;
}

export async function emptyCheckout(): Promise<string> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'azora-lint-test-'));
  roots.push(root);
  await mkdir(path.join(root, 'services'));
  await writeFile(path.join(root, 'lerna.json'), '{}');
  return root;
}

export async function findingsOf(migrations: readonly Files[]): Promise<readonly LintFinding[]> {
  const root = await givenCheckout(migrations);
  return (await lintServices(root, await findServices(root))).findings;
}

/** The rules that a migration after {@link INIT} violates, with the prefix `down ` for its down.sql. */
export async function rulesBroken(files: string | Files): Promise<readonly string[]> {
  const findings = await findingsOf([INIT, typeof files === 'string' ? { up: files } : files]);
  return findings.map(({ file, rule }) => `${file.endsWith('down.sql') ? 'down ' : ''}${rule}`);
}
