import { createHash } from 'node:crypto';
import path from 'node:path';
import { quoteIdentifier } from '@azora/db-core';
import type { Migration } from '@azora/db-migrate';
import type { IndexStmt } from 'libpg-query';
import type { Effect } from '../analysis/effect';
import { effectsOf } from '../analysis/effects';
import { describeLoss } from '../analysis/losses';
import { nameOf } from '../analysis/names';
import { parseScript } from '../analysis/parse';

/** A migration that is not written yet. */
export interface Draft {
  readonly slug: string;
  readonly why: string;
  readonly transactional: boolean;
  readonly up: readonly string[];
  readonly down: readonly string[];
  /** `table` or `table.column` whose rows or values do not come back. */
  readonly loses: readonly string[];
}

/** Waiting for a lock, a migration keeps everybody waiting who comes after it. */
const LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s';";
const NO_TRANSACTION = '-- no-transaction';

/**
 * Parts what was to be done into migrations: an index on a table that is there is built beside its users, which no
 * transaction can hold, one a migration.
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

/** The text of migration.sql: why it is, what it locks, whether it can run again, what it loses, then the statements. */
export async function upText({ up, why, transactional }: Draft): Promise<string> {
  const statements = effectsOf(
    await parseScript({ file: 'migration.sql', sql: up.map((text) => `${text};\n`).join('') }),
  );
  const locks = locksText(statements.flatMap(({ effects }) => effects));
  const again = transactional
    ? 'after a failure, yes: it runs in one transaction, so nothing of it stays'
    : 'after a failure, once the invalid index is dropped';
  const header = [
    `-- Why: ${why}`,
    `-- Locks: ${locks || 'no table that was there before'}`,
    `-- Runs again: ${again}`,
  ];
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

/** The draft as the runner takes it. */
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
    const doing = work === undefined ? '' : work === 'scan' ? ', reads every row' : ', writes every row anew';
    return `${table} (${lock}${doing})`;
  });
  return [...new Set(texts)].join(', ');
}
