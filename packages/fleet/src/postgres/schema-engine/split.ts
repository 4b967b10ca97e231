import { quoteIdentifier } from '@azora/db-core';
import { dottedName, partsOf, sqlOfName } from '@azora/db-migrate';
import type { IndexStmt, Node } from 'libpg-query';
import { effectsOf, type StatementEffects } from '../analysis/effects';
import { indexNameOf, listedNames, nameOf, parseScript } from '../analysis/parse';
import type { Draft } from './draft';
import type { Required } from './required';

/** An index on an existing table, which is built with CONCURRENTLY in a migration of its own. */
interface NewIndex {
  readonly text: string;
  readonly index: IndexStmt;
  readonly name: string;
  /** Another name, if an index of this name guards the table until this one is built. */
  readonly builtAs: string;
}

type Divide = (statement: StatementEffects) => boolean;

const LONGEST_NAME = 63;

/**
 * Divides the statements into migrations that work in their order: new values of enumerations, which the transaction that
 * adds them cannot use; everything else; each index on an existing table, because CONCURRENTLY cannot run in a transaction;
 * foreign keys to the columns of a new unique index; and the end of unique indexes that others replace, so that no moment is
 * without uniqueness.
 */
export async function draftMigrations(slug: string, why: string, required: Required): Promise<readonly Draft[]> {
  const { up } = required;
  const statements = effectsOf(
    await parseScript({ file: 'migration.sql', sql: up.map((text) => `${text};\n`).join('') }),
  );
  const taken = new Set<string>();
  const take = (isWanted: Divide) => {
    const found = statements.filter((it) => !taken.has(it.statement.text) && isWanted(it));
    for (const { statement } of found) taken.add(statement.text);
    return found.map(({ statement }) => statement);
  };
  const isNewIndex: Divide = ({ statement: { node }, effects }) =>
    'IndexStmt' in node &&
    effects.length > 0 &&
    !required.unmanaged.partitionedTables.has(nameOf(node.IndexStmt.relation));
  const created = take(isNewIndex).flatMap(({ text, node }) =>
    'IndexStmt' in node ? [{ text, index: node.IndexStmt }] : [],
  );
  const guarded = new Set(created.filter(({ index }) => index.unique).map(({ index }) => nameOf(index.relation)));
  const narrowed = new Set(statements.flatMap(({ effects }) => effects.flatMap(({ loss }) => loss?.table ?? [])));
  const replaced = take(({ statement: { node } }) => {
    const table = uniqueTable(node, required);
    return table !== undefined && guarded.has(table) && !narrowed.has(table);
  });
  const freed = new Set(replaced.flatMap(({ node }) => droppedNames(node)));
  const indexes = created.map(({ text, index }): NewIndex => {
    const name = indexNameOf(index);
    return { text, index, name, builtAs: freed.has(name) ? replacementOf(name) : name };
  });
  const relations = take(({ statement: { node } }) => guarded.has(referencedTable(node) ?? ''));
  const values = take(({ statement: { node } }) => 'AlterEnumStmt' in node);
  const rest = statements.filter(({ statement }) => !taken.has(statement.text)).map(({ statement }) => statement);
  const loses = statements.flatMap(({ effects }) =>
    effects.flatMap(({ loss }) => (loss === undefined ? [] : [[loss.table, loss.column].filter(Boolean).join('.')])),
  );
  const keys = relations.flatMap(({ node }) => addedKeys(node));
  const restDown = withoutDropsOf(required.down, [...indexes.map(({ name }) => name), ...keys.map(({ name }) => name)]);
  const draft = (end: string, texts: readonly string[], down: readonly string[]): readonly Draft[] =>
    texts.length === 0
      ? []
      : [{ slug: slugOf(slug, end), why, transactional: true, up: texts, down, loses: end === '' ? loses : [] }];
  const isSplit = values.length > 0 && rest.length > 0;
  const defaults = rest.flatMap(({ node }) => setDefaults(node));
  const mainDown = isSplit ? restDown : [...required.enumerations, ...restDown];
  return [
    ...(isSplit ? draft('values', textsOf(values), required.enumerations) : []),
    ...draft('', textsOf(isSplit ? rest : [...values, ...rest]), mainDown.length === 0 ? defaults : mainDown),
    ...indexes.map((index) => indexDraft(slug, why, index)),
    ...draft(
      'relations',
      textsOf(relations),
      keys.map(({ drop }) => drop),
    ),
    ...draft(
      'replaced',
      [...textsOf(replaced), ...indexes.flatMap(renames)],
      [...indexes.flatMap(renamesBack), ...[...freed].flatMap((name) => restored(name, required))],
    ),
  ];
}

function textsOf(statements: readonly { readonly text: string }[]): readonly string[] {
  return statements.map(({ text }) => text);
}

/** A folder's name has letters of ASCII, and the name of an index may have any. */
function slugOf(...parts: readonly string[]): string {
  const name = parts.filter((part) => part !== '').join('_');
  return name
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '_')
    .slice(0, 100);
}

/** The name of an index that takes the place of another one of this name later. */
function replacementOf(index: string): string {
  const { schema, name } = partsOf(index);
  return dottedName(schema, `${name.slice(0, LONGEST_NAME - 4)}_new`);
}

/** The name as SQL without its schema. */
function bareSql(dotted: string): string {
  return quoteIdentifier(partsOf(dotted).name);
}

function indexDraft(slug: string, why: string, { text, index, name, builtAs }: NewIndex): Draft {
  const built = text.replace(bareSql(name), bareSql(builtAs));
  return {
    slug: slugOf(slug, partsOf(name).name),
    why: `${why}: the index ${name} on ${nameOf(index.relation)}`.replace(/\s+/g, ' '),
    transactional: false,
    up: [built.replace(/^CREATE (UNIQUE )?INDEX /i, 'CREATE $1INDEX CONCURRENTLY ')],
    down: [`DROP INDEX CONCURRENTLY ${sqlOfName(builtAs)}`],
    loses: [],
  };
}

function renames({ name, builtAs }: NewIndex): readonly string[] {
  return name === builtAs ? [] : [`ALTER INDEX ${sqlOfName(builtAs)} RENAME TO ${bareSql(name)}`];
}

function renamesBack({ name, builtAs }: NewIndex): readonly string[] {
  return name === builtAs ? [] : [`ALTER INDEX ${sqlOfName(name)} RENAME TO ${bareSql(builtAs)}`];
}

/** The statement that makes a dropped unique index or constraint again. */
function restored(name: string, { indexes, unmanaged }: Required): readonly string[] {
  const constraint = unmanaged.uniqueConstraints.get(name);
  if (constraint !== undefined) {
    return [`ALTER TABLE ${constraint.table} ADD CONSTRAINT ${bareSql(name)} ${constraint.definition}`];
  }
  const definition = indexes.get(name)?.definition;
  return definition === undefined ? [] : [definition];
}

/** The table of the unique index or UNIQUE constraint that the statement drops. */
function uniqueTable(node: Node, { indexes }: Required): string | undefined {
  const found = droppedNames(node).map((name) => indexes.get(name));
  return found.find((index) => index?.unique)?.table;
}

function droppedNames(node: Node): readonly string[] {
  if ('DropStmt' in node && node.DropStmt.removeType === 'OBJECT_INDEX') return listedNames(node.DropStmt.objects);
  const schema = 'AlterTableStmt' in node ? node.AlterTableStmt.relation?.schemaname : undefined;
  return commandsOf(node).flatMap(({ subtype, name = '' }) =>
    subtype === 'AT_DropConstraint' ? [dottedName(schema, name)] : [],
  );
}

function commandsOf(node: Node) {
  if (!('AlterTableStmt' in node)) return [];
  return (node.AlterTableStmt.cmds ?? []).flatMap((it) => ('AlterTableCmd' in it ? [it.AlterTableCmd] : []));
}

/** The table to which a statement adds a foreign key. */
function referencedTable(node: Node): string | undefined {
  const keys = commandsOf(node).flatMap(({ def }) =>
    def !== undefined && 'Constraint' in def ? [def.Constraint] : [],
  );
  const [key] = keys.filter(({ contype }) => contype === 'CONSTR_FOREIGN');
  return key === undefined ? undefined : nameOf(key.pktable);
}

function addedKeys(node: Node): readonly { readonly name: string; readonly drop: string }[] {
  if (!('AlterTableStmt' in node)) return [];
  const table = sqlOfName(nameOf(node.AlterTableStmt.relation));
  return commandsOf(node).flatMap(({ def }) => {
    const name = def !== undefined && 'Constraint' in def ? (def.Constraint.conname ?? '') : '';
    return name === ''
      ? []
      : [{ name: dottedName(undefined, name), drop: `ALTER TABLE ${table} DROP CONSTRAINT ${quoteIdentifier(name)}` }];
  });
}

/** For each default that the statement sets, the statement that removes it. */
function setDefaults(node: Node): readonly string[] {
  if (!('AlterTableStmt' in node)) return [];
  const table = sqlOfName(nameOf(node.AlterTableStmt.relation));
  return commandsOf(node).flatMap(({ subtype, name = '', def }) =>
    subtype === 'AT_ColumnDefault' && def !== undefined
      ? [`ALTER TABLE ${table} ALTER COLUMN ${quoteIdentifier(name)} DROP DEFAULT`]
      : [],
  );
}

/** Without the statements that drop one of these indexes or constraints, which their own migrations drop. */
function withoutDropsOf(down: readonly string[], names: readonly string[]): readonly string[] {
  const quoted = names.map(bareSql);
  return down.filter(
    (text) => !(/^DROP INDEX|DROP CONSTRAINT/.test(text) && quoted.some((name) => text.endsWith(name))),
  );
}
