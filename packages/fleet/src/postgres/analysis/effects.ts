import type { Node, RenameStmt } from 'libpg-query';
import { indexNameOf, listedNames, nameOf, type ParsedStatement, renamedOf } from './parse';
import { type Effect, statementEffects } from './statement-effects';

/** A statement and its effects on tables that are older than its file. */
export interface StatementEffects {
  readonly statement: ParsedStatement;
  readonly effects: readonly Effect[];
  /** The same file made all tables and indexes of the statement, so nothing uses them yet. */
  readonly onlyNew: boolean;
}

/**
 * The effects of each statement of a file. Follows which tables and indexes the file makes, renames and drops; a table that
 * is made IF NOT EXISTS may be older than the file, with rows and users.
 */
export function effectsOf(statements: readonly ParsedStatement[]): readonly StatementEffects[] {
  const made = new Set<string>();
  return statements.map((statement) => {
    const { node } = statement;
    const targets = targetsOf(node);
    const onlyNew = targets.length > 0 && targets.every((name) => made.has(name));
    const maker = makerOf(node);
    // A new table may refer to itself.
    const isNew = (table: string) => made.has(table) || table === maker?.name;
    const effects = statementEffects(node).filter(({ table }) => !isNew(table));
    if (maker !== undefined && (maker.table === undefined ? !maker.maybe : made.has(maker.table))) made.add(maker.name);
    if ('RenameStmt' in node) followRename(node.RenameStmt, made);
    if ('DropStmt' in node) for (const name of targets) made.delete(name);
    return { statement, effects, onlyNew };
  });
}

/** Tables by name, indexes as `index <name>`, as in {@link Effect}. */
function targetsOf(node: Node): readonly string[] {
  if ('AlterTableStmt' in node) return [nameOf(node.AlterTableStmt.relation)];
  if ('IndexStmt' in node) return [nameOf(node.IndexStmt.relation)];
  if ('CreateTrigStmt' in node) return [nameOf(node.CreateTrigStmt.relation)];
  if ('RenameStmt' in node && node.RenameStmt.relation !== undefined) {
    const name = nameOf(node.RenameStmt.relation);
    return [node.RenameStmt.renameType === 'OBJECT_INDEX' ? `index ${name}` : name];
  }
  if ('TruncateStmt' in node) {
    return (node.TruncateStmt.relations ?? []).flatMap((it) => ('RangeVar' in it ? [nameOf(it.RangeVar)] : []));
  }
  if (!('DropStmt' in node)) return [];
  const names = listedNames(node.DropStmt.objects);
  if (node.DropStmt.removeType === 'OBJECT_TABLE') return names;
  return node.DropStmt.removeType === 'OBJECT_INDEX' ? names.map((name) => `index ${name}`) : [];
}

interface Maker {
  readonly name: string;
  /** Made with IF NOT EXISTS. */
  readonly maybe: boolean;
  /** The table of an index: the index is as new as its table. */
  readonly table?: string;
}

function makerOf(node: Node): Maker | undefined {
  if ('CreateStmt' in node) {
    return { name: nameOf(node.CreateStmt.relation), maybe: node.CreateStmt.if_not_exists === true };
  }
  if ('CreateTableAsStmt' in node) {
    const { into, if_not_exists: maybe = false } = node.CreateTableAsStmt;
    return { name: nameOf(into?.rel), maybe };
  }
  if ('IndexStmt' in node) {
    const { relation, if_not_exists: maybe = false } = node.IndexStmt;
    return { name: `index ${indexNameOf(node.IndexStmt)}`, maybe, table: nameOf(relation) };
  }
  return undefined;
}

function followRename(rename: RenameStmt, made: Set<string>): void {
  const prefix = RELATION_PREFIXES[rename.renameType ?? ''];
  if (prefix !== undefined && made.delete(`${prefix}${nameOf(rename.relation)}`))
    made.add(`${prefix}${renamedOf(rename)}`);
}

const RELATION_PREFIXES: Readonly<Record<string, string>> = { OBJECT_TABLE: '', OBJECT_INDEX: 'index ' };
