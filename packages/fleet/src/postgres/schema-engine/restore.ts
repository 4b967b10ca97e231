import { quoteIdentifier } from '@azora/db-core';
import type { CatalogChange } from '@azora/db-migrate';

/** What was lost comes back in this order: a foreign key needs the unique index that it points at. */
const ORDER = ['column', 'index', 'constraint', 'foreign key', 'trigger'];

const GENERATED = /^(.*?)(?: (NOT NULL))? s (.*)$/s;

/**
 * The SQL that brings back what a column or table took with it when it was dropped and the engine does not know: CHECKs,
 * partial indexes, triggers, generated columns. What it cannot bring back is left out.
 */
export function restoringSql(changes: readonly CatalogChange[]): readonly string[] {
  const constraints = new Set(changes.filter(({ kind }) => kind === 'constraint').map(nameWithin));
  return changes
    .filter(({ kind, object }) => !(kind === 'index' && constraints.has(object.replace(/^public\./, ''))))
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

function statementOf(change: CatalogChange): string | undefined {
  const { kind, object, expected } = change;
  if (expected === undefined) return undefined;
  const table = quoteIdentifier(object.slice(0, object.indexOf('.')));
  const name = quoteIdentifier(nameWithin(change));
  if (kind === 'index' && change.change === 'missing') return `${expected};`;
  if (kind === 'constraint') {
    const drop = change.change === 'changed' ? `DROP CONSTRAINT ${name}, ` : '';
    return `ALTER TABLE ${table} ${drop}ADD CONSTRAINT ${name} ${expected};`;
  }
  // The first letter says when it fires.
  if (kind === 'trigger' && change.change === 'missing') return `${expected.slice(2)};`;
  if (kind === 'column') return generatedColumn(table, name, change);
  return undefined;
}

function generatedColumn(table: string, name: string, { expected = '', change }: CatalogChange): string | undefined {
  const [, type, notNull = '', expression] = GENERATED.exec(expected) ?? [];
  if (type === undefined) return undefined;
  const drop = change === 'changed' ? `DROP COLUMN ${name}, ` : '';
  const required = notNull === '' ? '' : ' NOT NULL';
  return `ALTER TABLE ${table} ${drop}ADD COLUMN ${name} ${type}${required} GENERATED ALWAYS AS (${expression}) STORED;`;
}

function nameWithin({ object }: CatalogChange): string {
  return object.slice(object.indexOf('.') + 1);
}
