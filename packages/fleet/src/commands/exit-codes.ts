import type { SuiteError } from '@azora/db-core';
import type { ServiceRow } from '../operations/fleet';

export const EXIT_FAILED = 1;
export const EXIT_BAD_INPUT = 2;

/** Areas of codes that say: what was given is wrong, and nothing was changed because of it. */
const BAD_INPUT_AREAS = [
  'USAGE',
  'CONFIG',
  'REGISTRY',
  'SCHEMA',
  'CATALOG',
  'CREDENTIALS',
  'COMPANION',
  'EMBEDDED',
  'SERVER',
  'MIGRATION',
  'BACKUP',
  'RESTORE',
  'PITR',
  'STUDIO',
];

/** Codes of those areas that are not about what was given. */
const FAILURES = [
  'BACKUP.FENCE_TIMEOUT',
  'BACKUP.SCHEMA_CHANGED',
  'BACKUP.SCHEMA_UNREADABLE',
  'BACKUP.STORAGE_FAILED',
  'COMPANION.IN_USE',
  'COMPANION.NOT_READY',
  'COMPANION.START_FAILED',
  'COMPANION.STOP_FAILED',
  'EMBEDDED.SWAP_UNDER_WAY',
  'MIGRATION.LOCKED',
  'MIGRATION.CONNECTION_LOST',
  'PITR.ARCHIVE_STALLED',
  'PITR.BUSY',
  'PITR.INTERRUPTED',
  'PITR.RECOVERY_FAILED',
  'PITR.UNWRITABLE',
  'RESTORE.SQL_FAILED',
  'SERVER.CONNECTION_LOST',
];

/** 2 for wrong usage or configuration, 1 for a failure. */
export function exitCodeOf(error: SuiteError): number {
  const [area = ''] = error.code.split('.');
  return BAD_INPUT_AREAS.includes(area) && !FAILURES.includes(error.code) ? EXIT_BAD_INPUT : EXIT_FAILED;
}

/** 0 when every service is done, 130 when a run was interrupted, else the weightiest failure's code. */
export function exitCodeOfRows(rows: readonly ServiceRow<unknown>[]): number {
  const codes = rows.flatMap((row) => (row.state === 'failed' ? [exitCodeOf(row.error)] : []));
  if (codes.includes(EXIT_FAILED)) return EXIT_FAILED;
  return codes.length === 0 ? 0 : EXIT_BAD_INPUT;
}
