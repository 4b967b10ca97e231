export { CATALOG_GRANTS, CATALOG_OBJECTS } from './catalog-objects';
export {
  IMPORT_JOURNAL,
  IS_USER_SCHEMA,
  isOwnObject,
  isOwnRelation,
  isSeparatePartition,
  namePart,
  relationName,
  SCHEMA_PREFIX,
} from './catalog-scope';
export { withClient, withLimitedClient } from './connect';
export { refuseForeignContents } from './contents';
export { type Migration, readMigrations, type Script } from './files';
export { catalogFingerprint, hasDrifted, readStoredFingerprint, storeFingerprint } from './fingerprint';
export {
  defaultPrivileges,
  parsePrivileges,
  readGrants,
  TABLE_PRIVILEGES,
  type TableGrants,
  type TablePrivilege,
} from './grants';
export {
  CREATE_HISTORY,
  compareHistory,
  HISTORY,
  type HistoryRow,
  type MigrationState,
  readHistory,
} from './history';
export { readInvalidIndexes } from './invalid-indexes';
export { DEFAULT_RUNNER_TIMEOUT_MS, MIGRATION_LOCK } from './lock';
export { afterMigration, type MigrateOnStartOptions, migrateOnStart } from './migrate-on-start';
export { columnName, dottedName, partsOf, sqlOfName } from './names';
export { PIN_SESSION } from './pinned-session';
export { countBelow, lineStarts, offsetOfCharacter, type Place, placeFinder, placeOf } from './place';
export { refuseUnfinished } from './refusals';
export { findMigration, insertBaseline, type Resolution, refuseHistory, resolveMigration } from './resolve';
export {
  compareObjectRights,
  type ObjectRights,
  objectRightsSql,
  type RightsDifference,
  syncGrants,
} from './rights';
export { type Depth, migrateDown, migrateUp, planDown, planUp, type RunOptions, readState, rehearseDown } from './run';
export { runScript } from './script';
export { settledWording } from './settled-wording';
export { endsTransaction, type Statement, scanSql, splitStatements } from './sql';
export type { Step } from './step';
