export { CATALOG_GRANTS, CATALOG_OBJECTS } from './catalog-objects';
export { type CatalogChange, type CatalogObject, compareCatalogs, readObjects } from './compare';
export { withClient } from './connect';
export { type Migration, readMigrations, type Script } from './files';
export { catalogFingerprint, hasDrifted, readStoredFingerprint, storeFingerprint } from './fingerprint';
export {
  CREATE_HISTORY,
  compareHistory,
  HISTORY,
  type HistoryRow,
  type MigrationState,
  readHistory,
} from './history';
export { MIGRATION_LOCK } from './lock';
export { offsetOfCharacter, type Place, placeOf } from './place';
export { refuseUnfinished } from './refusals';
export { findMigration, insertBaseline, type Resolution, refuseHistory, resolveMigration } from './resolve';
export { type Problem, type RoundTrip, tripEmpty, tripWithRows } from './round-trip';
export { columnsOf, readContents } from './rows';
export { type Depth, migrateDown, migrateUp, planDown, planUp, type RunOptions, readState } from './run';
export { runScript } from './script';
export { endsTransaction, type Statement, splitStatements } from './statements';
export type { Step } from './step';
