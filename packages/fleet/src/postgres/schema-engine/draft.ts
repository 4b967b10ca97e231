import { createHash } from 'node:crypto';
import path from 'node:path';
import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { Migration } from '@azora/db-migrate';
import type { IndexStmt } from 'libpg-query';
import { effectsOf } from '../analysis/effects';
import { describeLoss } from '../analysis/losses';
import { nameOf, parseScript } from '../analysis/parse';
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

/**
 * Divides the statements into migrations. An index on an existing table gets a migration of its own, because CONCURRENTLY
 * cannot run in a transaction.
 */
export async function draftMigrations(
  slug: string,
  why: string,
  up: readonly string[],
  down: readonly string[],
): Promise<readonly Draft[]> {
  const statements = effectsOf(
    await parseScript({ file: 'migration.sql', sql: up.map((text) => `${text};\n`).join('') }),
  );
  const indexes = statements.flatMap(({ statement, effects }) =>
    'IndexStmt' in statement.node && effects.length > 0
      ? [{ text: statement.text, index: statement.node.IndexStmt }]
      : [],
  );
  const apart = new Set(indexes.map(({ text }) => text));
  const names = new Set(indexes.map(({ index }) => index.idxname ?? ''));
  const rest = up.filter((text) => !apart.has(text));
  const restDown = await withoutDropsOf(down, names);
  const loses = statements.flatMap(({ effects }) =>
    effects.flatMap(({ loss }) => (loss === undefined ? [] : [[loss.table, loss.column].filter(Boolean).join('.')])),
  );
  const main: Draft = { slug, why, transactional: true, up: rest, down: restDown, loses };
  return [
    ...(rest.length === 0 ? [] : [main]),
    ...indexes.map(({ text, index }) => indexDraft(slug, why, text, index)),
  ];
}

function indexDraft(slug: string, why: string, text: string, index: IndexStmt): Draft {
  const name = index.idxname ?? '';
  return {
    slug: `${slug}_${name}`.slice(0, 100).toLowerCase(),
    why: `${why}: the index ${name} on ${nameOf(index.relation)}`,
    transactional: false,
    up: [text.replace(/^CREATE (UNIQUE )?INDEX /i, 'CREATE $1INDEX CONCURRENTLY ')],
    down: [`DROP INDEX CONCURRENTLY ${quoteIdentifier(name)}`],
    loses: [],
  };
}

async function withoutDropsOf(down: readonly string[], indexes: ReadonlySet<string>): Promise<readonly string[]> {
  const names = [...indexes].map(quoteIdentifier);
  return down.filter((text) => !(text.startsWith('DROP INDEX') && names.some((name) => text.endsWith(name))));
}

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

function statementOf({ kind, object, change, expected, relation, name }: CatalogChange): string | undefined {
  if (expected === undefined) return undefined;
  if ((kind === 'index' || kind === 'trigger') && change === 'missing') return `${expected};`;
  if (kind === 'comment') {
    const [, type = '', identity] = COMMENT.exec(object) ?? [];
    const called = COMMENTED[type] ?? type.toUpperCase();
    return identity === undefined ? undefined : `COMMENT ON ${called} ${identity} IS ${quoteLiteral(expected)};`;
  }
  if (relation === null || name === null) return undefined;
  const quoted = quoteIdentifier(name);
  if (kind === 'constraint') {
    const drop = change === 'changed' ? `DROP CONSTRAINT ${quoted}, ` : '';
    return `ALTER TABLE ${relation} ${drop}ADD CONSTRAINT ${quoted} ${expected};`;
  }
  if (kind === 'column' && expected.includes(' GENERATED ALWAYS AS (')) {
    const drop = change === 'changed' ? `DROP COLUMN ${quoted}, ` : '';
    return `ALTER TABLE ${relation} ${drop}ADD COLUMN ${quoted} ${expected};`;
  }
  return undefined;
}
