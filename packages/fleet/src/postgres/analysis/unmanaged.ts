import { quoteLiteral } from '@azora/db-core';
import { IS_USER_SCHEMA, namePart, SCHEMA_PREFIX } from '@azora/db-migrate';
import type { AlterTableCmd, Constraint, IndexStmt, Node } from 'libpg-query';
import type { ClientBase } from 'pg';
import { indexNameOf, listedNames, nameOf, type ParsedStatement, renamedOf, stringsOf, typeNameOf } from './parse';

/**
 * The index methods that the schema language knows. Indexes of other methods, partial indexes, indexes on expressions, CHECK
 * and EXCLUDE constraints, generated columns, triggers and functions are written by hand in migrations. This file defines
 * them once for both sources: syntax trees of migrations, and the catalog of a database.
 */
const SCHEMA_INDEX_METHODS: readonly string[] = ['btree', 'hash', 'gist', 'gin', 'spgist', 'brin'];

/** An index or constraint that schema.prisma cannot express: only its migration defines it. */
export interface UnmanagedObject {
  readonly kind: 'index' | 'constraint';
  readonly table: string;
  /** Undefined for a constraint whose name PostgreSQL chose. */
  readonly name: string | undefined;
  /** The kind in words: `the partial index`. */
  readonly what: string;
}

export type UnmanagedObjects = readonly UnmanagedObject[];

/** An object that a statement drops. */
export interface Drop {
  readonly kind: 'index' | 'constraint' | 'trigger' | 'function';
  /** Undefined for an object that is dropped by its name alone. */
  readonly table?: string;
  readonly name: string;
}

const CONSTRAINTS: Readonly<Record<string, string>> = {
  CONSTR_CHECK: 'the CHECK constraint',
  CONSTR_EXCLUSION: 'the EXCLUDE constraint',
};
/** The endings of the constraint names that PostgreSQL chooses. */
const CHOSEN_NAME = /_(check|excl)\d*$/;
const ROUTINES: ReadonlySet<string> = new Set(['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE']);

/** The unmanaged objects after the statements, given those before. */
export function replayObjects(before: UnmanagedObjects, statements: readonly ParsedStatement[]): UnmanagedObjects {
  let objects = [...before];
  for (const { node } of statements) {
    const drops = dropsOf(node);
    const tables = droppedTables(node);
    if (drops.length + tables.length > 0) {
      objects = objects.filter(
        (object) =>
          !tables.includes(object.table) && !drops.some((drop) => object.name !== undefined && isDropped(object, drop)),
      );
    }
    if ('RenameStmt' in node) objects = objects.map((object) => renamed(object, node));
    objects.push(...objectsMadeBy(node));
  }
  return objects;
}

/** Whether the statement drops that object. */
export function isDropped({ kind, table, name }: UnmanagedObject, drop: Drop): boolean {
  if (kind !== drop.kind || (drop.table !== undefined && drop.table !== table)) return false;
  return name === undefined ? CHOSEN_NAME.test(drop.name) : drop.name === name;
}

/** The unmanaged objects that a statement makes. */
export function objectsMadeBy(node: Node): UnmanagedObjects {
  if ('IndexStmt' in node) {
    const what = indexKind(node.IndexStmt);
    const { relation, idxname = chosenName(node.IndexStmt) } = node.IndexStmt;
    const name = indexNameOf({ ...node.IndexStmt, idxname });
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

/** The indexes, constraints, triggers and functions that a statement drops. */
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
  // The parsed name of a trigger consists of the table's name and its own.
  return objects.flatMap((it) => {
    const parts = 'List' in it ? (it.List.items ?? []) : [];
    return [{ kind: 'trigger', table: typeNameOf(parts.slice(0, -1)), name: stringsOf(parts).at(-1) ?? '' }];
  });
}

function indexKind({ whereClause, indexParams = [], accessMethod = 'btree' }: IndexStmt): string | undefined {
  if (whereClause !== undefined) return 'the partial index';
  if (indexParams.some((it) => 'IndexElem' in it && it.IndexElem.expr !== undefined)) {
    return 'the index on an expression';
  }
  return SCHEMA_INDEX_METHODS.includes(accessMethod) ? undefined : `the ${accessMethod} index`;
}

/** The name that PostgreSQL derives from the columns and functions of an index. */
function chosenName({ relation, indexParams = [] }: IndexStmt): string {
  const parts = indexParams.map((it) => {
    const { name, expr } = 'IndexElem' in it ? it.IndexElem : {};
    const called = expr !== undefined && 'FuncCall' in expr ? expr.FuncCall.funcname?.slice(-1) : undefined;
    return name ?? stringsOf(called)[0] ?? 'expr';
  });
  return [relation?.relname, ...parts, 'idx'].join('_');
}

/** The constraints of columns and of the table. */
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
  if (renameType === 'OBJECT_TABLE' && nameOf(relation) === table)
    return { ...object, table: renamedOf(node.RenameStmt) };
  if (renameType === 'OBJECT_INDEX' && kind === 'index' && nameOf(relation) === name) {
    return { ...object, name: renamedOf(node.RenameStmt) };
  }
  const isIt = renameType === 'OBJECT_TABCONSTRAINT' && kind === 'constraint' && nameOf(relation) === table;
  return isIt && subname === name ? { ...object, name: newname } : object;
}

function commandsOf(node: Extract<Node, { AlterTableStmt: unknown }>): readonly AlterTableCmd[] {
  return (node.AlterTableStmt.cmds ?? []).flatMap((it) => ('AlterTableCmd' in it ? [it.AlterTableCmd] : []));
}

export interface UniqueConstraint {
  /** The table as SQL. */
  readonly table: string;
  readonly definition: string;
}

/**
 * The objects of a database that schema.prisma cannot express: their absence from the schema does not mean "drop". Names begin with
 * their schema unless it is public.
 */
export interface UnmanagedCatalog {
  /** Partial indexes, indexes on expressions or with INCLUDE, and those of methods such as HNSW. */
  readonly indexes: ReadonlySet<string>;
  /** `table.column` */
  readonly generatedColumns: ReadonlySet<string>;
  /** All indexes: the schema engine loses operator classes, and gives GIN an order that it cannot have. */
  readonly allIndexes: ReadonlySet<string>;
  /** The indexes of UNIQUE constraints, which the engine takes for plain indexes. */
  readonly uniqueConstraints: ReadonlyMap<string, UniqueConstraint>;
  /** Sequences that belong to no column: defaults with `dbgenerated` use them. */
  readonly sequences: ReadonlySet<string>;
  /** `table.column` with such a default; the engine takes it for autoincrement(). */
  readonly sequenceColumns: ReadonlySet<string>;
  /** The sequences that autoincrement() would give these columns. */
  readonly engineSequences: ReadonlySet<string>;
  readonly partitionedTables: ReadonlySet<string>;
}

const NAME = `concat(${SCHEMA_PREFIX}, ${namePart('relname')})`;
const IN_USER_SCHEMA = `JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE ${IS_USER_SCHEMA}`;

const INDEXES = `
  SELECT ${NAME} AS name
  FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam ${IN_USER_SCHEMA}
    AND (indpred IS NOT NULL OR indexprs IS NOT NULL OR indnkeyatts <> indnatts OR amname NOT IN (${SCHEMA_INDEX_METHODS.map(quoteLiteral).join(', ')}))`;

const ALL_INDEXES = `
  SELECT ${NAME} AS name FROM pg_class ${IN_USER_SCHEMA} AND relkind IN ('i', 'I')`;

const GENERATED_COLUMNS = `
  SELECT concat(${NAME}, '.', ${namePart('attname')}) AS name
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid ${IN_USER_SCHEMA} AND attgenerated <> '' AND NOT attisdropped`;

const UNIQUE_CONSTRAINTS = `
  SELECT concat(${SCHEMA_PREFIX}, ${namePart('conname')}) AS name, conrelid::regclass::text AS table,
         pg_get_constraintdef(pg_constraint.oid) AS definition
  FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace WHERE ${IS_USER_SCHEMA} AND contype = 'u'`;

const SEQUENCES = `
  SELECT ${NAME} AS name, pg_class.oid FROM pg_class ${IN_USER_SCHEMA} AND relkind = 'S' AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND refobjsubid > 0 AND deptype IN ('a', 'i'))`;

const SEQUENCE_COLUMNS = `
  SELECT concat(${NAME}, '.', ${namePart('attname')}) AS name, concat(${SCHEMA_PREFIX}, ${namePart("concat(relname, '_', attname, '_seq')")}) AS sequence
  FROM pg_attrdef
  JOIN pg_class ON pg_class.oid = adrelid
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
  JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
  JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid AND refclassid = 'pg_class'::regclass
  JOIN (${SEQUENCES}) AS own ON refobjid = own.oid`;

const PARTITIONED_TABLES = `
  SELECT ${NAME} AS name FROM pg_class ${IN_USER_SCHEMA} AND relkind = 'p'`;

/** Reads the unmanaged objects of the connected database. */
export async function readUnmanaged(client: ClientBase): Promise<UnmanagedCatalog> {
  const names = async (sql: string) => {
    const { rows } = await client.query<{ name: string }>(sql);
    return new Set(rows.map(({ name }) => name));
  };
  const constraints = await client.query<UniqueConstraint & { name: string }>(UNIQUE_CONSTRAINTS);
  return {
    indexes: await names(INDEXES),
    generatedColumns: await names(GENERATED_COLUMNS),
    allIndexes: await names(ALL_INDEXES),
    uniqueConstraints: new Map(constraints.rows.map(({ name, ...constraint }) => [name, constraint])),
    sequences: await names(SEQUENCES),
    sequenceColumns: await names(SEQUENCE_COLUMNS),
    engineSequences: await names(`SELECT sequence AS name FROM (${SEQUENCE_COLUMNS}) AS own`),
    partitionedTables: await names(PARTITIONED_TABLES),
  };
}
