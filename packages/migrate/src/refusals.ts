import { type ErrorKind, SuiteError } from '@azora/db-core';
import type { Migration, Script } from './files';
import type { MigrationState } from './history';
import { placeOf } from './place';
import { endsTransaction, splitStatements } from './statements';

/** Refuses files that do not explain the history. */
export function refuseTampered({ edited, missing }: MigrationState): void {
  if (edited.length > 0) {
    throw refusal('MIGRATION.EDITED', edited, `${edited.join(', ')} was changed after it was applied`, {
      kind: 'configuration',
      why: 'Its checksum is not the one in the history.',
      next: 'Take the change back and put it into a new migration',
    });
  }
  if (missing.length > 0) {
    throw refusal('MIGRATION.MISSING', missing, `${missing.join(', ')} was applied and has no file`, {
      kind: 'configuration',
      why: 'The history names it.',
      next: 'Restore the folder from version control',
    });
  }
}

/** Refuses to go on after an interruption; ask under the lock, for without it another runner may be at work. */
export function refuseUnfinished({ unfinished }: MigrationState): void {
  if (unfinished.length === 0) return;
  throw refusal('MIGRATION.UNFINISHED', unfinished, `${unfinished.join(', ')} began and did not finish`, {
    why: 'It ran outside of a transaction, or by another tool, so part of it may be there.',
    next: 'Look at what it did, complete or undo it, then run "azora-db migrate resolve applied" or "rolled-back"',
  });
}

export function refuseOutOfOrder({ outOfOrder, applied }: MigrationState): void {
  if (outOfOrder.length === 0) return;
  throw refusal('MIGRATION.OUT_OF_ORDER', outOfOrder, `${outOfOrder.join(', ')} sorts before an applied migration`, {
    kind: 'configuration',
    why: `The newest applied one is ${applied.at(-1)}.`,
    next: 'Give its folder a later timestamp',
  });
}

/**
 * Refuses SQL that begins or ends a transaction at its top level: what came before it would be committed without its
 * history row.
 */
export function refuseTransactionControl({ file, sql, transactional }: Script): void {
  const found = transactional ? splitStatements(sql).find(endsTransaction) : undefined;
  if (found === undefined) return;
  const { line, column, excerpt } = placeOf(sql, found.offset);
  throw new SuiteError('MIGRATION.HOLDS_TRANSACTION', `${file}:${line}:${column} begins or ends a transaction`, {
    kind: 'configuration',
    why: `The file runs in a transaction that also holds its history row.\n${excerpt}\n`,
    next: 'Take BEGIN, COMMIT and ROLLBACK out, or make "-- no-transaction" the first line',
    meta: { file, line, column },
  });
}

export function requireDown({ name, down }: Migration): Script {
  if ('sql' in down) return down;
  throw refusal('MIGRATION.IRREVERSIBLE', [name], `${name} cannot be taken back`, {
    kind: 'usage',
    why: `It says: ${down.irreversible}.`,
    next: 'Write a new migration that goes where you want to be',
  });
}

function refusal(
  code: string,
  migrations: readonly string[],
  message: string,
  details: { readonly kind?: ErrorKind; readonly why: string; readonly next: string },
): SuiteError {
  return new SuiteError(code, message, { ...details, meta: { migrations } });
}
