import { readFile } from 'node:fs/promises';
import type { DatabaseUrl } from '@azora/db-core';
import {
  type CatalogChange,
  type CatalogObject,
  compareCatalogs,
  type Migration,
  migrateUp,
  readMigrations,
  readObjects,
  readState,
  withClient,
} from '@azora/db-migrate';
import { diffSchema } from '../postgres/schema-engine/diff';
import { withScratchDatabase } from '../postgres/scratch';
import { countOf } from './count';
import { eachService, type RunOptions, type ServiceRow } from './fleet';
import { scratchPlace, type Target } from './targets';

export interface DriftedService {
  /** How the live database differs from what its migrations made. */
  readonly changes: readonly CatalogChange[];
  /** The SQL that schema.prisma wants beyond all migrations; empty when they lead to it. */
  readonly unwritten: string;
}

const RUN = { lockTimeoutMs: 60_000 };

/**
 * Compares each live database, object by object, with what its applied migrations make of an empty one, and schema.prisma
 * with what all of them make. Nothing is changed.
 */
export async function findDrift(
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<DriftedService>[]> {
  return eachService(targets, options, async (target) => {
    const data = await driftOf(target);
    const count = data.changes.length;
    return { data, detail: count === 0 ? 'as its migrations made it' : countOf(count, 'difference') };
  });
}

async function driftOf(target: Target): Promise<DriftedService> {
  const migrations = await readMigrations(target.service.migrationsPath);
  const { applied, live } = await withClient(target.admin, async (client) => ({
    applied: new Set((await readState(client, migrations)).applied),
    live: await readObjects(client, { grants: false }),
  }));
  const schema = await readFile(target.service.schemaPath, 'utf8');
  return withScratchDatabase(scratchPlace(target), async (url) => {
    const expected = await catalogOf(
      url,
      migrations.filter(({ name }) => applied.has(name)),
    );
    await migrateUp(url, migrations, RUN);
    return { changes: compareCatalogs(expected, live), unwritten: (await diffSchema(url, schema)).up };
  });
}

/** What the migrations make of the empty database that is given. */
export async function catalogOf(url: DatabaseUrl, migrations: readonly Migration[]): Promise<readonly CatalogObject[]> {
  await migrateUp(url, migrations, RUN);
  return withClient(url, (client) => readObjects(client, { grants: false }));
}
