import { createHash } from 'node:crypto';
import path from 'node:path';
import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { Migration } from '@azora/db-migrate';
import { effectsOf } from '../analysis/effects';
import { describeLoss } from '../analysis/losses';
import { parseScript } from '../analysis/parse';
import type { Effect } from '../analysis/statement-effects';
import type { CatalogChange } from '../verify/catalog';

/** A migration before its files are written. */
export interface Draft {
  readonly slug: string;
  readonly why: string;
  readonly transactional: boolean;
  readonly up: readonly string[];
  readonly down: readonly string[];
  /** `table` or `table.column` whose rows or values down.sql does not restore. */
  readonly loses: readonly string[];
}

/** Other sessions queue behind a migration that waits for a lock. */
const LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s';";
const NO_TRANSACTION = '-- no-transaction';

/** The text of migration.sql: a header with reason, locks and rerun safety, then the statements with their losses. */
export async function upText({ up, why, transactional }: Draft): Promise<string> {
  const statements = effectsOf(
    await parseScript({ file: 'migration.sql', sql: up.map((text) => `${text};\n`).join('') }),
  );
  const locks = locksText(statements.flatMap(({ effects }) => effects));
  const again = transactional
    ? 'after a failure, yes: one transaction, so a failure leaves nothing behind'
    : 'after a failure, once the invalid index is dropped';
  const header = [`-- Why: ${why}`, `-- Locks: ${locks || 'no existing table'}`, `-- Runs again: ${again}`];
  const body = statements.map(({ statement, effects }) => {
    const marks = effects.flatMap(({ loss, needsNoRows }) => [
      ...(loss === undefined ? [] : [`-- DATA LOSS: ${describeLoss(loss)}\n`]),
      ...(needsNoRows === undefined ? [] : [`-- FAILS ON ROWS: ${needsNoRows}\n`]),
    ]);
    return `${marks.join('')}${statement.text};\n`;
  });
  const timeout = transactional && locks !== '' ? [LOCK_TIMEOUT] : [];
  const first = transactional ? [] : [NO_TRANSACTION];
  return `${[...first, ...header, ...timeout].join('\n')}\n\n${body.join('\n')}`;
}

/** The text of down.sql. */
export function downText(
  { down, loses, transactional }: Draft,
  restored: readonly string[],
  unproven: readonly string[],
): string {
  const first = transactional ? [] : [NO_TRANSACTION];
  const warnings = unproven.map((what) => `-- NOT RESTORED, complete it by hand: ${what}`);
  const lost = loses.length === 0 ? [] : [`-- loses: ${loses.join(', ')}`];
  const body = [...down.map((text) => `${text};`), ...restored];
  return `${[...first, ...lost, ...warnings, body.join('\n\n')].join('\n')}\n`;
}

/** The text of a down.sql for a change that PostgreSQL refuses to revert, with the draft for a person to complete. */
export function irreversibleText({ down }: Draft, reason: string): string {
  const draft = down.flatMap((text) => `${text};`.split('\n')).map((line) => `--   ${line}`);
  return `${[`-- irreversible: ${reason}`, '-- This draft failed:', ...draft].join('\n')}\n`;
}

/** The draft in the form that the runner takes. */
export function migrationOf(
  directory: string,
  name: string,
  up: string,
  down: string,
  transactional: boolean,
): Migration {
  const file = path.join(directory, name, 'migration.sql');
  return {
    name,
    directory: path.join(directory, name),
    file,
    sql: up,
    transactional,
    checksum: createHash('sha256').update(up).digest('hex'),
    squashes: [],
    down: { file: path.join(directory, name, 'down.sql'), sql: down, transactional },
  };
}

function locksText(effects: readonly Effect[]): string {
  const texts = effects.map(({ table, lock, work }) => {
    const doing = work === undefined ? '' : work === 'scan' ? ', reads every row' : ', rewrites every row';
    return `${table} (${lock}${doing})`;
  });
  return [...new Set(texts)].join(', ');
}

/** The order of restoring: a foreign key needs the unique index that it references. */
const ORDER = ['column', 'index', 'constraint', 'foreign key', 'trigger', 'comment'];

/** What COMMENT ON calls an object whose kind has another name in the catalog. */
const COMMENTED: Readonly<Record<string, string>> = { 'table column': 'COLUMN', 'table constraint': 'CONSTRAINT' };
const COMMENT = /^(table column|table constraint|table|index|trigger|view|type|function|sequence) (.*)$/s;

/**
 * The SQL that restores objects which were dropped together with a column or table and which the engine does not know:
 * CHECK constraints, partial indexes, triggers, generated columns, comments. Objects that it cannot restore are left out.
 */
export function restoringSql(changes: readonly CatalogChange[]): readonly string[] {
  const placeOf = ({ relation, name }: CatalogChange) => `${relation}\0${name}`;
  const constraints = new Set(changes.filter(({ kind }) => kind === 'constraint').map(placeOf));
  return changes
    .filter((change) => !(change.kind === 'index' && constraints.has(placeOf(change))))
    .flatMap((change) => {
      const sql = statementOf(change);
      return sql === undefined ? [] : [{ rank: ORDER.indexOf(rankOf(change)), sql }];
    })
    .sort((left, right) => left.rank - right.rank)
    .map(({ sql }) => sql);
}

function rankOf({ kind, expected = '' }: CatalogChange): string {
  return kind === 'constraint' && expected.startsWith('FOREIGN KEY') ? 'foreign key' : kind;
}

function commentSql(object: string, text: string): string | undefined {
  const [, type = '', identity] = COMMENT.exec(object) ?? [];
  const called = COMMENTED[type] ?? type.toUpperCase();
  return identity === undefined ? undefined : `COMMENT ON ${called} ${identity} IS ${quoteLiteral(text)};`;
}

function statementOf(change: CatalogChange): string | undefined {
  const { kind, object, expected, actual, relation, name } = change;
  if (expected === undefined) return undefined;
  if (kind === 'index' || kind === 'trigger') return actual === undefined ? `${expected};` : undefined;
  if (kind === 'comment') return commentSql(object, expected);
  if (relation === null || name === null) return undefined;
  const quoted = quoteIdentifier(name);
  if (kind === 'constraint') {
    const drop = actual !== undefined ? `DROP CONSTRAINT ${quoted}, ` : '';
    return `ALTER TABLE ${relation} ${drop}ADD CONSTRAINT ${quoted} ${expected};`;
  }
  return kind === 'column' ? columnSql(`ALTER TABLE ${relation}`, quoted, expected, actual) : undefined;
}

/** Makes a generated column, or gives an existing column its default back. */
function columnSql(alter: string, column: string, expected: string, actual: string | undefined): string | undefined {
  if (expected.includes(' GENERATED ALWAYS AS (')) {
    const drop = actual === undefined ? '' : `DROP COLUMN ${column}, `;
    return `${alter} ${drop}ADD COLUMN ${column} ${expected};`;
  }
  const [, type, value] = /^(.*?) DEFAULT (.*)$/s.exec(expected) ?? [];
  return actual === type ? `${alter} ALTER COLUMN ${column} SET DEFAULT ${value};` : undefined;
}
