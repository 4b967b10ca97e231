import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, Node } from 'libpg-query';
import { listedNames, nameOf, typeNameOf, typeText } from './parse';

/** Lock modes of tables, weakest first, as in "Explicit Locking" of the PostgreSQL manual. Weaker modes block no reader or writer. */
export const LOCK_MODES = [
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;

export type LockMode = (typeof LOCK_MODES)[number];

/** Data that a statement removes: a table, a column, values, rows. */
export interface Loss {
  readonly what: 'table' | 'column' | 'type' | 'rows' | 'objects';
  readonly table: string;
  readonly column?: string;
  /** The new type of the column. */
  readonly type?: string;
}

/** The effect of a statement on one table. */
export interface Effect {
  readonly table: string;
  readonly lock: LockMode;
  /** The statement reads every row under the lock, or rewrites every row. */
  readonly work?: 'scan' | 'rewrite' | undefined;
  readonly loss?: Loss | undefined;
  /** Why existing rows make the statement fail. */
  readonly needsNoRows?: string | undefined;
}

/**
 * The effects of a statement on the tables that it names. DO blocks, functions and dynamic SQL are not followed. The lock
 * modes are those of "Explicit Locking" (13.3.1) and of the reference page of each command.
 */
export function statementEffects(node: Node): readonly Effect[] {
  if ('AlterTableStmt' in node) return alterEffects(node.AlterTableStmt);
  if ('DropStmt' in node) return dropEffects(node.DropStmt);
  if ('CreateStmt' in node) return [...referencesOf(node.CreateStmt.tableElts ?? []), ...maintenanceLocks(node)];
  if ('IndexStmt' in node) {
    const { relation, concurrent } = node.IndexStmt;
    return [{ table: nameOf(relation), lock: concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE', work: 'scan' }];
  }
  if ('RenameStmt' in node && node.RenameStmt.relation !== undefined) {
    return [{ table: nameOf(node.RenameStmt.relation), lock: 'ACCESS EXCLUSIVE' }];
  }
  if ('CreateTrigStmt' in node) return [{ table: nameOf(node.CreateTrigStmt.relation), lock: 'SHARE ROW EXCLUSIVE' }];
  if ('TruncateStmt' in node) {
    return listedRelations(node.TruncateStmt.relations).map((table) => ({
      table,
      lock: 'ACCESS EXCLUSIVE',
      loss: { what: 'rows', table },
    }));
  }
  if ('DeleteStmt' in node) {
    const table = nameOf(node.DeleteStmt.relation);
    return [{ table, lock: 'ROW EXCLUSIVE', work: 'scan', loss: { what: 'rows', table } }];
  }
  if ('UpdateStmt' in node) return [{ table: nameOf(node.UpdateStmt.relation), lock: 'ROW EXCLUSIVE', work: 'scan' }];
  if ('InsertStmt' in node) return [{ table: nameOf(node.InsertStmt.relation), lock: 'ROW EXCLUSIVE' }];
  if ('LockStmt' in node)
    return listedRelations(node.LockStmt.relations).map((table) => ({ table, lock: 'ACCESS EXCLUSIVE' }));
  return maintenanceLocks(node);
}

function dropEffects(drop: Extract<Node, { DropStmt: unknown }>['DropStmt']): readonly Effect[] {
  const cascade = drop.behavior === 'DROP_CASCADE';
  const names = listedNames(drop.objects);
  if (drop.removeType === 'OBJECT_TABLE') {
    return names.map((table) => ({ table, lock: 'ACCESS EXCLUSIVE', loss: { what: 'table', table } }));
  }
  if (drop.removeType === 'OBJECT_TRIGGER' || drop.removeType === 'OBJECT_POLICY') {
    return listedTables(drop.objects).map((table) => ({ table, lock: 'ACCESS EXCLUSIVE' }));
  }
  if (drop.removeType === 'OBJECT_INDEX') {
    // Only the catalog knows the table of the index.
    const lock = drop.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE';
    return names.map((index) => ({ table: `index ${index}`, lock }));
  }
  // CASCADE on a type, schema, sequence or extension also drops the columns that use it.
  if (!cascade) return [];
  return names.map((object) => ({ table: object, lock: 'ACCESS EXCLUSIVE', loss: { what: 'objects', table: object } }));
}

/** The tables that new foreign keys reference. */
function referencesOf(elements: readonly Node[]): readonly Effect[] {
  return elements.flatMap((element) => {
    const constraints = 'ColumnDef' in element ? (element.ColumnDef.constraints ?? []) : [element];
    return constraints.flatMap((node): Effect[] =>
      'Constraint' in node && node.Constraint.contype === 'CONSTR_FOREIGN'
        ? [{ table: nameOf(node.Constraint.pktable), lock: 'SHARE ROW EXCLUSIVE' }]
        : [],
    );
  });
}

function listedRelations(nodes: readonly Node[] = []): readonly string[] {
  return nodes.flatMap((node) => ('RangeVar' in node ? [nameOf(node.RangeVar)] : []));
}

/** The tables of `DROP TRIGGER name ON table`, whose parsed name consists of table and name. */
function listedTables(nodes: readonly Node[] = []): readonly string[] {
  return nodes.flatMap((node) => ('List' in node ? [typeNameOf(node.List.items?.slice(0, -1))] : []));
}

/** Subcommands that block neither readers nor writers (ALTER TABLE, SHARE UPDATE EXCLUSIVE). */
const GENTLE: ReadonlySet<string> = new Set([
  'AT_ValidateConstraint',
  'AT_SetStatistics',
  'AT_SetOptions',
  'AT_ResetOptions',
  'AT_ClusterOn',
  'AT_DropCluster',
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
  'AT_AttachPartition',
]);

/** Subcommands that block writers but not readers (ALTER TABLE, SHARE ROW EXCLUSIVE). */
const READABLE: ReadonlySet<string> = new Set([
  'AT_EnableTrig',
  'AT_EnableAlwaysTrig',
  'AT_EnableReplicaTrig',
  'AT_EnableTrigAll',
  'AT_EnableTrigUser',
  'AT_DisableTrig',
  'AT_DisableTrigAll',
  'AT_DisableTrigUser',
]);

const REWRITES: ReadonlySet<string> = new Set([
  'AT_SetLogged',
  'AT_SetUnLogged',
  'AT_SetAccessMethod',
  'AT_SetExpression',
]);
const SCANS: ReadonlySet<string> = new Set(['AT_SetNotNull']);

/** The effects of each subcommand of an ALTER TABLE. */
function alterEffects({ relation, cmds = [], objtype }: AlterTableStmt): readonly Effect[] {
  if (objtype !== undefined && objtype !== 'OBJECT_TABLE') return [];
  const table = nameOf(relation);
  return cmds.flatMap((node) => ('AlterTableCmd' in node ? commandEffects(table, node.AlterTableCmd) : []));
}

function commandEffects(table: string, command: AlterTableCmd): readonly Effect[] {
  const { subtype = '', name = '', def } = command;
  if (GENTLE.has(subtype)) {
    return [{ table, lock: 'SHARE UPDATE EXCLUSIVE', work: subtype === 'AT_ValidateConstraint' ? 'scan' : undefined }];
  }
  if (READABLE.has(subtype)) return [{ table, lock: 'SHARE ROW EXCLUSIVE' }];
  if (subtype === 'AT_AddConstraint' && def !== undefined && 'Constraint' in def)
    return constraintEffects(table, def.Constraint);
  const strong = { table, lock: 'ACCESS EXCLUSIVE' } as const;
  if (subtype === 'AT_DropColumn') return [{ ...strong, loss: { what: 'column', table, column: name } }];
  // Values that do not fit make the statement fail, or are cut. Only the catalog knows whether the new type is wider.
  if (subtype === 'AT_AlterColumnType') {
    const type = def !== undefined && 'ColumnDef' in def ? typeText(def.ColumnDef.typeName) : '';
    return [{ ...strong, work: 'rewrite', loss: { what: 'type', table, column: name, type } }];
  }
  if (subtype === 'AT_AddColumn' && def !== undefined && 'ColumnDef' in def) return [addedColumn(table, def.ColumnDef)];
  if (REWRITES.has(subtype)) return [{ ...strong, work: 'rewrite' }];
  return [{ ...strong, work: SCANS.has(subtype) ? 'scan' : undefined }];
}

function constraintEffects(table: string, constraint: Constraint): readonly Effect[] {
  const work = constraint.skip_validation ? undefined : 'scan';
  if (constraint.contype === 'CONSTR_FOREIGN') {
    const lock = 'SHARE ROW EXCLUSIVE';
    return [
      { table, lock, work },
      { table: nameOf(constraint.pktable), lock },
    ];
  }
  const attached = constraint.indexname !== undefined;
  return [{ table, lock: 'ACCESS EXCLUSIVE', work: attached ? undefined : work }];
}

/** A constant default is stored in the catalog; a default that is computed for each row rewrites the table. */
function addedColumn(table: string, { colname = '', constraints = [], typeName }: ColumnDef): Effect {
  const all = constraints.flatMap((node) => ('Constraint' in node ? [node.Constraint] : []));
  const of = (kind: string) => all.find(({ contype }) => contype === kind);
  const value = of('CONSTR_DEFAULT')?.raw_expr;
  const computed =
    of('CONSTR_GENERATED') !== undefined ||
    of('CONSTR_IDENTITY') !== undefined ||
    /serial\d?$/.test(typeText(typeName)) ||
    !isConstant(value);
  const needed = of('CONSTR_NOTNULL') !== undefined && value === undefined && !computed;
  return {
    table,
    lock: 'ACCESS EXCLUSIVE',
    work: computed ? 'rewrite' : undefined,
    needsNoRows: needed ? `the new column ${colname} is NOT NULL and has no default` : undefined,
  };
}

/** CURRENT_TIMESTAMP and now() are stable: one value for all rows, stored like a constant. */
const STABLE_FUNCTIONS: ReadonlySet<string> = new Set(['now', 'transaction_timestamp', 'statement_timestamp']);

function isConstant(node: Node | undefined): boolean {
  if (node === undefined || 'A_Const' in node || 'SQLValueFunction' in node) return true;
  if ('TypeCast' in node) return isConstant(node.TypeCast.arg);
  if ('A_ArrayExpr' in node) return (node.A_ArrayExpr.elements ?? []).every(isConstant);
  if (!('FuncCall' in node)) return false;
  const last = node.FuncCall.funcname?.at(-1);
  return last !== undefined && 'String' in last && STABLE_FUNCTIONS.has(last.String.sval ?? '');
}

/** The locks of maintenance statements and rare statements. */
function maintenanceLocks(node: Node): readonly Effect[] {
  if ('ReindexStmt' in node) {
    const { relation, kind } = node.ReindexStmt;
    if (relation === undefined || isConcurrentReindex(node)) return [];
    if (kind === 'REINDEX_OBJECT_TABLE') return [{ table: nameOf(relation), lock: 'SHARE', work: 'scan' }];
    return [{ table: `index ${nameOf(relation)}`, lock: 'ACCESS EXCLUSIVE', work: 'scan' }];
  }
  if ('VacuumStmt' in node) {
    const full = hasOption(node.VacuumStmt.options, 'full');
    const tables = (node.VacuumStmt.rels ?? []).flatMap((rel) =>
      'VacuumRelation' in rel ? [nameOf(rel.VacuumRelation.relation)] : [],
    );
    return full ? tables.map((table) => ({ table, lock: 'ACCESS EXCLUSIVE', work: 'rewrite' })) : [];
  }
  const table = exclusivelyLocked(node);
  return table === undefined ? [] : [{ table, lock: 'ACCESS EXCLUSIVE' }];
}

/** Whether the statement is a REINDEX with CONCURRENTLY. */
export function isConcurrentReindex(node: Node): boolean {
  return 'ReindexStmt' in node && hasOption(node.ReindexStmt.params, 'concurrently');
}

function exclusivelyLocked(node: Node): string | undefined {
  if ('ClusterStmt' in node && node.ClusterStmt.relation !== undefined) return nameOf(node.ClusterStmt.relation);
  if ('CreatePolicyStmt' in node) return nameOf(node.CreatePolicyStmt.table);
  if ('AlterPolicyStmt' in node) return nameOf(node.AlterPolicyStmt.table);
  if ('RuleStmt' in node) return nameOf(node.RuleStmt.relation);
  if ('RefreshMatViewStmt' in node && !node.RefreshMatViewStmt.concurrent) {
    return nameOf(node.RefreshMatViewStmt.relation);
  }
  if ('AlterObjectSchemaStmt' in node && node.AlterObjectSchemaStmt.relation !== undefined) {
    return nameOf(node.AlterObjectSchemaStmt.relation);
  }
  // A new partition locks its parent table.
  if ('CreateStmt' in node && node.CreateStmt.partbound !== undefined) {
    const [parent] = node.CreateStmt.inhRelations ?? [];
    if (parent !== undefined && 'RangeVar' in parent) return nameOf(parent.RangeVar);
  }
  return undefined;
}

/** `(FULL)` has no value; `(FULL false)` has one. */
function hasOption(options: readonly Node[] = [], name: string): boolean {
  return options.some((node) => {
    if (!('DefElem' in node) || node.DefElem.defname !== name) return false;
    const { arg } = node.DefElem;
    return !(arg !== undefined && 'String' in arg && /^(false|off|0)$/i.test(arg.String.sval ?? ''));
  });
}
