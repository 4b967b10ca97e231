import { readGrants, syncGrants, withClient } from '@azora/db-migrate';
import type { PasswordOf } from '../config/credentials';
import type { Service } from '../config/registry';
import type { Settings } from '../config/settings';
import { dangerousExtensions } from '../postgres/doctor/versions';
import { withRightsLock } from '../postgres/roles';
import type { SchemaModel } from '../schema/schema-model';
import { durationText } from '../system/quantities';
import { buildWorkspace, withBuildRow } from './build';
import { countOf, doneRows, eachService, type ServiceRow } from './fleet';
import { openScope, sweepRemnants } from './leftovers';
import { type MigrateOptions, migrateTargetUp } from './migrations/migrate';
import { provision } from './provision';
import { orphansAfter, type SeedReport, seedTargets } from './seed';
import { readStatus, type ServiceStatus } from './status';
import { type Fleet, type LeftOut, locateFleet, needsEmbedded } from './targets';

export interface SetupInput {
  readonly settings: Settings;
  readonly allServices: readonly Service[];
  readonly services: readonly Service[];
  readonly schemaModel: SchemaModel;
  readonly passwordOf: PasswordOf;
}

export interface SetupOptions extends MigrateOptions {
  readonly build: boolean;
  readonly seed: boolean;
  readonly log: (line: string) => void;
}

export interface SetUpService {
  readonly createdDatabase: boolean;
  readonly migrations: readonly string[];
}

export interface SetupReport {
  readonly rows: readonly ServiceRow<SetUpService>[];
  readonly seeded: SeedReport | undefined;
  /** Empty after an interruption. */
  readonly status: readonly ServiceStatus[];
  readonly leftOut: readonly LeftOut[];
}

/** Generates and builds what changed, creates and migrates every database, seeds them, and reads their state. */
export async function setUpFleet(input: SetupInput, options: SetupOptions): Promise<SetupReport> {
  const { settings, schemaModel } = input;
  const { build, log, progress, signal } = options;
  const { root, environment } = settings;
  const row = build ? withBuildRow(progress) : undefined;
  // The databases need no generated code, so both run at the same time.
  const [built, databases] = await Promise.allSettled([
    row && buildWorkspace({ root, environment, signal, log, report: row.report }),
    setUpDatabases(input, row === undefined ? options : { ...options, progress: row.progress }),
  ]);
  if (databases.status === 'rejected') throw databases.reason;
  if (built.status === 'rejected') throw built.reason;
  const { targets, leftOut, rows } = databases.value;
  const ready = targets.filter(({ service }) => doneRows(rows).some((row) => row.service === service.name));
  const seeding = options.seed && !signal?.aborted && ready.length > 0;
  const seed = { root, environment, scale: 0, progress, signal };
  const started = performance.now();
  const seedRows = seeding ? await seedTargets(ready, schemaModel, seed) : undefined;
  if (seeding && !signal?.aborted) log(`seeded in ${durationText(performance.now() - started)}`);
  const models = new Map(schemaModel.services.map((service) => [service.name, service.models.length]));
  // Both only read, and each waits for the server most of the time.
  const [orphans, status] = await Promise.all([
    seedRows && orphansAfter(seedRows, ready, schemaModel, { signal }),
    signal?.aborted ? [] : readStatus(targets, models, { signal }),
  ]);
  return { rows, seeded: seedRows && { rows: seedRows, orphans }, status, leftOut };
}

/** Creates and migrates every database with its app role. Changes nothing when everything exists. */
export async function setUpDatabases(
  { settings, allServices, services, passwordOf }: SetupInput,
  options: MigrateOptions & { readonly log: (line: string) => void },
): Promise<Fleet & { readonly rows: readonly ServiceRow<SetUpService>[] }> {
  const { log, signal } = options;
  const begun = performance.now();
  const { targets, leftOut } = await locateFleet(settings, services, log, signal);
  const opened = performance.now();
  if (needsEmbedded(settings, services)) log(`embedded server ready in ${durationText(opened - begun)}`);
  await sweepRemnants(openScope({ settings, allServices }, targets), log);
  const rows = await eachService(targets, options, async (target, onProgress) => {
    const { createdDatabase } = await provision(target, passwordOf);
    if (createdDatabase) onProgress('created');
    const migrations = await migrateTargetUp(target, options, onProgress);
    // Grants may change in the annotations of a schema without a migration.
    const grants = await readGrants(target.service.schemaPath);
    await withClient(target.admin, (client) => withRightsLock(client, () => syncGrants(client, target.role, grants)));
    const dangers = await withClient(target.admin, dangerousExtensions);
    for (const danger of dangers) log(`warning: ${target.service.name}: ${danger}`);
    const state = createdDatabase ? 'created' : 'exists';
    return {
      data: { createdDatabase, migrations },
      detail: `${state}; applied ${countOf(migrations.length, 'migration')}`,
    };
  });
  if (!signal?.aborted) log(`set up the databases in ${durationText(performance.now() - opened)}`);
  return { targets, leftOut, rows };
}
