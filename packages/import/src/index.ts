export { compareWith, type StageComparison } from './compare';
export type { ImportErrorCode } from './errors';
export { openAurora } from './legacy/aurora';
export { type Counts, JOURNAL_SCHEMA, type JournaledImport, readImports } from './postgres/journal';
export { findImport, type KeptRow, type RollbackReport, rollBackFrom } from './rollback';
export { type BegunImport, beginImport, importInto, type ServiceReport, type StageReport } from './run';
export { type ImportDatabase, type RunOptions, withImportSession } from './session';
export type { Position, Reject, RejectCode } from './source';
export type { ImportSource, SkippedFile, Stage } from './stage';
