import { type ErrorKind, SuiteError } from '@azora/db-core/errors';
import type { Migration, Script } from './files';
import type { MigrationState } from './history';
import { placeOf } from './place';
import { endsTransaction, splitStatements } from './sql';

/** Rejects files that do not match the history. */
export function refuseTampered({ edited, missing, newer, renamed, partlySquashed }: MigrationState): void {
  if (edited.length > 0) {
    throw refusal('MIGRATION.EDITED', edited, `${edited.join(', ')} was changed after it was applied`, {
      kind: 'configuration',
      why: 'The checksum differs from the one in the history table.',
      next: 'Undo the change, and put it into a new migration',
    });
  }
  if (missing.length === 0) return;
  const [squash] = partlySquashed;
  if (squash !== undefined) {
    const { name, lacking } = squash;
    const verb = lacking.length === 1 ? 'is' : 'are';
    throw refusal('MIGRATION.MISSING', lacking, `${name} replaces ${lacking.join(', ')}, which ${verb} not applied`, {
      kind: 'configuration',
      why: 'The database has applied only a part of the migrations that were squashed.',
      next: 'Migrate the database with the code from before the squash, then run the command again',
    });
  }
  const [first] = renamed;
  const isNewer = missing.length === newer.length && first === undefined;
  throw refusal('MIGRATION.MISSING', missing, `${missing.join(', ')} is applied, but its folder is missing`, {
    kind: 'configuration',
    why: isNewer
      ? 'It is newer than every folder, so newer code has migrated the database.'
      : 'The history table lists it as applied.',
    next: nextForMissing(isNewer, first?.to),
  });
}

function nextForMissing(isNewer: boolean, renamed: string | undefined): string {
  if (renamed !== undefined) {
    return `If the folder was renamed, run "npx azora-db migrate resolve renamed <service> ${wordOf(renamed)}"`;
  }
  return isNewer ? 'Use the newer code' : 'Restore the folder from version control';
}

/** Rejects a run after an interruption. Call this under the migration lock: without it, another runner may be at work. */
export function refuseUnfinished({ unfinished }: MigrationState): void {
  if (unfinished.length === 0) return;
  const [first = ''] = unfinished;
  const applied = `"npx azora-db migrate resolve applied <service> ${wordOf(first)}"`;
  const rolledBack = `"npx azora-db migrate resolve rolled-back <service> ${wordOf(first)}"`;
  throw refusal('MIGRATION.UNFINISHED', unfinished, `${unfinished.join(', ')} began and did not finish`, {
    why: 'It ran outside of a transaction, or with another tool, so a part of it may be applied.',
    next: `Complete or undo the migration by hand, then run ${applied} or ${rolledBack}`,
  });
}

export function refuseOutOfOrder({ outOfOrder, applied }: MigrationState): void {
  if (outOfOrder.length === 0) return;
  throw refusal('MIGRATION.OUT_OF_ORDER', outOfOrder, `${outOfOrder.join(', ')} sorts before an applied migration`, {
    kind: 'configuration',
    why: `The newest applied migration is ${applied.at(-1)}.`,
    next: 'Give the folder a later timestamp; if another database has already applied it, run "npx azora-db migrate up --out-of-order"',
  });
}

/**
 * Rejects SQL that begins or ends a transaction at its top level: the statements before it would be committed without the
 * history row.
 */
export function refuseTransactionControl({ file, sql, transactional }: Script): void {
  const found = transactional ? splitStatements(sql).find(endsTransaction) : undefined;
  if (found === undefined) return;
  const { line, column, excerpt } = placeOf(sql, found.offset);
  throw new SuiteError('MIGRATION.HOLDS_TRANSACTION', `${file}:${line}:${column} begins or ends a transaction`, {
    kind: 'configuration',
    why: `The file runs in one transaction with its history row.\n${excerpt}\n`,
    next: 'Remove BEGIN, COMMIT and ROLLBACK, pair each BEGIN with a COMMIT, or make "-- no-transaction" the first line',
    meta: { file, line, column },
  });
}

/** @throws {SuiteError} `MIGRATION.IRREVERSIBLE` */
export function requireDown({ name, down }: Migration): Script {
  if ('sql' in down) return down;
  throw refusal('MIGRATION.IRREVERSIBLE', [name], `${name} cannot be reverted`, {
    kind: 'usage',
    why: down.irreversible === null ? 'It has no down.sql.' : `Its down.sql gives the reason: ${down.irreversible}.`,
    next:
      down.irreversible === null
        ? `Draft one with "npx azora-db migrate new <service> --down ${wordOf(name)}", or write a new migration`
        : 'Write a new migration that makes the change you want',
  });
}

/** A name as one word of a shell. Prisma's folders may have spaces. */
function wordOf(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", String.raw`'\''`)}'`;
}

function refusal(
  code: string,
  migrations: readonly string[],
  message: string,
  details: { readonly kind?: ErrorKind; readonly why: string; readonly next: string },
): SuiteError {
  return new SuiteError(code, message, { ...details, meta: { migrations } });
}
