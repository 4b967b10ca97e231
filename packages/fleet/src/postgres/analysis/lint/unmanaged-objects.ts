import type { AlterTableCmd, Constraint, IndexStmt, Node } from 'libpg-query';
import { SCHEMA_INDEX_METHODS } from '../index-methods';
import { listedNames, nameOf, typeNameOf } from '../names';
import type { ParsedStatement } from '../parse';

/** An index or constraint that schema.prisma cannot express, so that nothing but its migration knows of it. */
export interface UnmanagedObject {
  readonly kind: 'index' | 'constraint';
  readonly table: string;
  /** Undefined when PostgreSQL chose that of a constraint. */
  readonly name: string | undefined;
  /** `the partial index` */
  readonly what: string;
}

export type UnmanagedObjects = readonly UnmanagedObject[];

export interface Drop {
  readonly kind: 'index' | 'constraint' | 'trigger' | 'function';
  /** Undefined for those that are dropped by their name alone. */
  readonly table?: string;
  readonly name: string;
}

const CONSTRAINTS: Readonly<Record<string, string>> = {
  CONSTR_CHECK: 'the CHECK constraint',
  CONSTR_EXCLUSION: 'the EXCLUDE constraint',
};
/** How the names of constraints end that PostgreSQL chooses. */
const CHOSEN_NAME = /_(check|excl)\d*$/;
const ROUTINES: ReadonlySet<string> = new Set(['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE']);

/** What there is after the statements, given what there was before them. */
export function replayObjects(before: UnmanagedObjects, statements: readonly ParsedStatement[]): UnmanagedObjects {
  let objects = before;
  for (const { node } of statements) {
    const drops = dropsOf(node);
    const tables = droppedTables(node);
    const left = objects.filter(
      (object) =>
        !tables.includes(object.table) && !drops.some((drop) => object.name !== undefined && isDropped(object, drop)),
    );
    objects = [...left.map((object) => renamed(object, node)), ...objectsMadeBy(node)];
  }
  return objects;
}

export function isDropped({ kind, table, name }: UnmanagedObject, drop: Drop): boolean {
  if (kind !== drop.kind || (drop.table !== undefined && drop.table !== table)) return false;
  return name === undefined ? CHOSEN_NAME.test(drop.name) : drop.name === name;
}

export function objectsMadeBy(node: Node): UnmanagedObjects {
  if ('IndexStmt' in node) {
    const what = indexKind(node.IndexStmt);
    const { relation, idxname: name = chosenName(node.IndexStmt) } = node.IndexStmt;
    return what === undefined ? [] : [{ kind: 'index', table: nameOf(relation), name, what }];
  }
  if ('CreateStmt' in node) {
    return constraintsIn(nameOf(node.CreateStmt.relation), node.CreateStmt.tableElts);
  }
  if (!('AlterTableStmt' in node)) return [];
  const table = nameOf(node.AlterTableStmt.relation);
  const added = commandsOf(node).flatMap(({ def }) => (def === undefined ? [] : [def]));
  return constraintsIn(table, added);
}

export function dropsOf(node: Node): readonly Drop[] {
  if ('AlterTableStmt' in node) {
    const table = nameOf(node.AlterTableStmt.relation);
    return commandsOf(node)
      .filter(({ subtype }) => subtype === 'AT_DropConstraint')
      .map(({ name = '' }) => ({ kind: 'constraint', table, name }));
  }
  if (!('DropStmt' in node)) return [];
  const { removeType = '', objects = [] } = node.DropStmt;
  if (removeType === 'OBJECT_INDEX') return listedNames(objects).map((name) => ({ kind: 'index', name }));
  if (ROUTINES.has(removeType)) return listedNames(objects).map((name) => ({ kind: 'function', name }));
  if (removeType !== 'OBJECT_TRIGGER') return [];
  // The parsed name of a trigger is that of its table and its own in one.
  return objects.flatMap((it) => {
    const parts = 'List' in it ? (it.List.items ?? []) : [];
    return [{ kind: 'trigger', table: typeNameOf(parts.slice(0, -1)), name: typeNameOf(parts.slice(-1)) }];
  });
}

function indexKind({ whereClause, indexParams = [], accessMethod = 'btree' }: IndexStmt): string | undefined {
  if (whereClause !== undefined) return 'the partial index';
  if (indexParams.some((it) => 'IndexElem' in it && it.IndexElem.expr !== undefined)) {
    return 'the index on an expression';
  }
  return SCHEMA_INDEX_METHODS.includes(accessMethod) ? undefined : `the ${accessMethod} index`;
}

/** PostgreSQL names an index after its columns and functions. */
function chosenName({ relation, indexParams = [] }: IndexStmt): string {
  const parts = indexParams.map((it) => {
    const { name, expr } = 'IndexElem' in it ? it.IndexElem : {};
    const called = expr !== undefined && 'FuncCall' in expr ? expr.FuncCall.funcname?.slice(-1) : undefined;
    return name ?? (called === undefined ? 'expr' : typeNameOf(called));
  });
  return [relation?.relname, ...parts, 'idx'].join('_');
}

/** Of columns and of tables. */
function constraintsIn(table: string, elements: readonly Node[] = []): UnmanagedObjects {
  return elements.flatMap((element) => {
    if ('ColumnDef' in element) return constraintsIn(table, element.ColumnDef.constraints);
    return 'Constraint' in element ? constraintObject(table, element.Constraint) : [];
  });
}

function constraintObject(table: string, { contype, conname }: Constraint): UnmanagedObjects {
  const what = CONSTRAINTS[contype ?? ''];
  return what === undefined ? [] : [{ kind: 'constraint', table, name: conname, what }];
}

function droppedTables(node: Node): readonly string[] {
  return 'DropStmt' in node && node.DropStmt.removeType === 'OBJECT_TABLE' ? listedNames(node.DropStmt.objects) : [];
}

function renamed(object: UnmanagedObject, node: Node): UnmanagedObject {
  if (!('RenameStmt' in node)) return object;
  const { renameType, relation, subname, newname = '' } = node.RenameStmt;
  const { kind, table, name } = object;
  if (renameType === 'OBJECT_TABLE' && nameOf(relation) === table) return { ...object, table: newname };
  if (renameType === 'OBJECT_INDEX' && kind === 'index' && nameOf(relation) === name) {
    return { ...object, name: newname };
  }
  const isIt = renameType === 'OBJECT_TABCONSTRAINT' && kind === 'constraint' && nameOf(relation) === table;
  return isIt && subname === name ? { ...object, name: newname } : object;
}

function commandsOf(node: Extract<Node, { AlterTableStmt: unknown }>): readonly AlterTableCmd[] {
  return (node.AlterTableStmt.cmds ?? []).flatMap((it) => ('AlterTableCmd' in it ? [it.AlterTableCmd] : []));
}
