import { readFile } from 'node:fs/promises';
import type { DatabaseUrl } from '@azora/db-core';
import { type Migration, migrateUp, readMigrations, readState, withClient } from '@azora/db-migrate';
import { requiredStatements } from '../../postgres/schema-engine/required';
import { withScratchDatabase } from '../../postgres/scratch';
import { type CatalogChange, type CatalogObject, compareCatalogs, readObjects } from '../../postgres/verify/catalog';
import { countOf, eachService, type RunOptions, type ServiceRow } from '../fleet';
import { scratchPlace, type Target } from '../targets';

export interface DriftedService {
  /** The differences between the live database and the result of its migrations. */
  readonly changes: readonly CatalogChange[];
  /** The SQL that schema.prisma requires beyond all migrations; empty when they match. */
  readonly unwritten: string;
}

/**
 * Compares each live database, object by object, with the result of its applied migrations on an empty database, and
 * schema.prisma with the result of all migrations. Nothing is changed.
 */
export async function findDrift(
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<DriftedService>[]> {
  return eachService(targets, options, async (target) => {
    const data = await driftOf(target);
    const count = data.changes.length;
    return { data, detail: count === 0 ? 'no difference' : countOf(count, 'difference') };
  });
}

/** Whether the database or schema.prisma differs from the migrations. */
export function hasDrift(row: ServiceRow<DriftedService>): boolean {
  return row.state === 'done' && (row.data.changes.length > 0 || row.data.unwritten !== '');
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
    await migrateUp(url, migrations);
    const { up } = await requiredStatements(url, schema);
    return { changes: compareCatalogs(expected, live), unwritten: up.map((text) => `${text};\n`).join('') };
  });
}

/** The catalog after the migrations ran on the given empty database. */
export async function catalogOf(url: DatabaseUrl, migrations: readonly Migration[]): Promise<readonly CatalogObject[]> {
  await migrateUp(url, migrations);
  return withClient(url, (client) => readObjects(client, { grants: false }));
}
