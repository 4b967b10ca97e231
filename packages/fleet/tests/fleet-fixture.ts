import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl, quoteIdentifier } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { findServices } from '../src/config/registry';
import { readSettings } from '../src/config/settings';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { provision } from '../src/operations/provision';
import { openTargets, type Target } from '../src/operations/targets';
import { dropDatabase } from '../src/postgres/databases';

/** A service with its migrations by name: `'20260101000000_init': { up, down }`. */
export interface GivenService {
  readonly schema: string;
  readonly migrations: Readonly<Record<string, { readonly up: string; readonly down: string }>>;
}

export interface GivenFleet {
  readonly root: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly targets: readonly Target[];
  readonly target: (service: string) => Target;
  readonly write: (service: string, given: Partial<GivenService>) => Promise<void>;
}

const HEADER =
  'generator client {\n  provider = "prisma-client"\n}\n\ndatasource db {\n  provider = "postgresql"\n}\n\n';
const server = () => parseDatabaseUrl(process.env['TEST_DATABASE_URL'] ?? '', 'TEST_DATABASE_URL');
const made: { readonly fleet: GivenFleet; readonly url: DatabaseUrl }[] = [];

/**
 * Creates a checkout of a few services in a temporary directory, with empty databases and app roles on the test server or
 * another one. {@link removeFleets} removes it.
 */
export async function givenFleet(
  services: Readonly<Record<string, GivenService>>,
  url?: DatabaseUrl,
): Promise<GivenFleet> {
  const fleet = await givenCheckout(services, url);
  for (const target of fleet.targets) await provision(target, () => 'only-for-tests');
  return fleet;
}

/** Creates a checkout like {@link givenFleet}, whose databases do not exist yet. */
export async function givenCheckout(
  services: Readonly<Record<string, GivenService>>,
  url: DatabaseUrl = server(),
): Promise<GivenFleet> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'azora-fleet-'));
  await writeFile(path.join(root, 'lerna.json'), '{}');
  // A compiled seed without rows.
  await mkdir(path.join(root, 'prisma', 'dist'), { recursive: true });
  await writeFile(path.join(root, 'prisma', 'dist', 'seed.js'), '');
  const write = (service: string, given: Partial<GivenService>) => writeService(root, service, given);
  for (const [name, service] of Object.entries(services)) await write(name, service);
  const environment = {
    DATABASE_URL: url.href,
    AZORA_DB_PREFIX: `azt_${randomBytes(4).toString('hex')}_`,
    AZORA_HOME: path.join(root, '.azora'),
  };
  const all = await findServices(root);
  const targets = await openTargets(readSettings(root, all, environment), all);
  const target = (service: string) => {
    const found = targets.find((it) => it.service.name === service);
    if (found === undefined) throw new Error(`no service ${service}`);
    return found;
  };
  const fleet = { root, environment, targets, target, write };
  made.push({ fleet, url });
  return fleet;
}

/** Creates a fleet like {@link givenFleet}, in which each service has one applied migration. */
export async function givenMigratedFleet(
  services: Readonly<Record<string, { readonly schema: string; readonly up: string }>>,
  url?: DatabaseUrl,
): Promise<GivenFleet> {
  const given = Object.entries(services).map(([name, { schema, up }]) => {
    const migrations = { '20260101000001_init': { up, down: '-- irreversible: a test\n' } };
    return [name, { schema, migrations }] as const;
  });
  const fleet = await givenFleet(Object.fromEntries(given), url);
  for (const target of fleet.targets) await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
  return fleet;
}

export async function removeFleets(): Promise<void> {
  for (const { fleet, url } of made.splice(0)) {
    const { root, targets } = fleet;
    await withClient(url, async (client) => {
      // Some tests kill a command, which then leaves scratch databases and copies.
      const own = 'SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, $1)';
      const { rows } = await client.query<{ name: string }>(own, [fleet.environment['AZORA_DB_PREFIX']]);
      for (const { name } of rows) await dropDatabase(client, name);
      for (const { role } of targets) await client.query(`DROP ROLE IF EXISTS ${quoteIdentifier(role)}`);
    });
    await rm(root, { recursive: true, force: true });
  }
}

async function writeService(
  root: string,
  name: string,
  { schema, migrations = {} }: Partial<GivenService>,
): Promise<void> {
  const folder = path.join(root, 'services', name);
  await mkdir(path.join(folder, 'prisma', 'migrations'), { recursive: true });
  const manifest = { name: `@azora/${name}`, azora: { database: `azora_${name}`, extensions: [] } };
  await writeFile(path.join(folder, 'package.json'), JSON.stringify(manifest));
  const header = schema?.includes('datasource db') ? '' : HEADER;
  if (schema !== undefined)
    await writeFile(path.join(folder, 'prisma', 'schema.prisma'), `${header}${schema.trim()}\n`);
  for (const [migration, { up, down }] of Object.entries(migrations)) {
    const directory = path.join(folder, 'prisma', 'migrations', migration);
    await mkdir(directory, { recursive: true });
    await writeFile(path.join(directory, 'migration.sql'), up);
    await writeFile(path.join(directory, 'down.sql'), down);
  }
}
