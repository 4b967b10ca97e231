export { migrateDown, migrateUp, readMigrations, withClient } from '@azora/db-migrate';
export { openStorage } from './backup-store/location';
export { findSet, type OpenedSet, openSet } from './backup-store/set';
export type { PasswordOf } from './config/credentials';
export { findServices, type Service, selectServices } from './config/registry';
export { readSettings, type Settings } from './config/settings';
export { type BackupReport, type BackupRequest, backUpFleet } from './operations/backup/create';
export type { LiveDatabase } from './operations/backup/live-databases';
export {
  type RestoredService,
  type RestoreReport,
  type RestoreRequest,
  restoreFleet,
} from './operations/backup/restore';
export { type ListedSet, listSets, pruneSets } from './operations/backup/sets';
export { type VerifyReport, verifySet } from './operations/backup/verify';
export { eachService, type ProgressEvent, type RunOptions, type ServiceRow } from './operations/fleet';
export { type Destination, findDestinations } from './operations/migrations/destination';
export { type DriftedService, findDrift } from './operations/migrations/drift';
export {
  migrateFleetDown,
  migrateFleetUp,
  migrateTargetUp,
  readFleetMigrations,
} from './operations/migrations/migrate';
export {
  type NewMigrationRequest,
  type WrittenMigration,
  writeMigrations,
} from './operations/migrations/new-migration';
export { type PlannedService, type PlannedStep, planFleet } from './operations/migrations/plan';
export { baselineTarget, resolveTarget } from './operations/migrations/resolve';
export { readHeads, readTag, writeTag } from './operations/migrations/tags';
export { type VerifiedService, verifyFleet } from './operations/migrations/verify';
export { type Provisioned, provision } from './operations/provision';
export { findOrphans, type Orphans } from './operations/references';
export { type SeedReport, seedFleet } from './operations/seed';
export { setUpDatabases } from './operations/setup';
export { readStatus, type ServiceStatus } from './operations/status';
export { appUrl, openTargets, type Target } from './operations/targets';
export { startCompanion, stopCompanion } from './postgres/companion/server';
export { createDatabase, dropDatabase } from './postgres/databases';
export { startEmbedded, stopEmbedded } from './postgres/embedded/server';
export { restrictDatabase } from './postgres/rights';
export { diffSchema } from './postgres/schema-engine/diff';
export { openEngine } from './postgres/schema-engine/engine';
export { readSchemaModel, references, type SchemaModel, serviceOrder } from './schema/schema-model';
