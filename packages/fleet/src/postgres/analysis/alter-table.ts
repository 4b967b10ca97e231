import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, Node } from 'libpg-query';
import type { Effect } from './effect';
import { nameOf, typeText } from './names';

/** Subcommands that leave readers and writers alone (ALTER TABLE, «SHARE UPDATE EXCLUSIVE»). */
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

/** Subcommands that block writers and let readers in (ALTER TABLE, «SHARE ROW EXCLUSIVE»). */
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

/** What each subcommand of an ALTER TABLE does. */
export function alterEffects({ relation, cmds = [], objtype }: AlterTableStmt): readonly Effect[] {
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
  // Values that do not fit make it fail or are cut; whether a type is wider, the catalog would have to say.
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

/** A default that is a constant is kept beside the table; one that is computed for each row rewrites it. */
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

/** CURRENT_TIMESTAMP and now() are stable: one value for all rows, kept as a constant is. */
const STABLE_FUNCTIONS: ReadonlySet<string> = new Set(['now', 'transaction_timestamp', 'statement_timestamp']);

function isConstant(node: Node | undefined): boolean {
  if (node === undefined || 'A_Const' in node || 'SQLValueFunction' in node) return true;
  if ('TypeCast' in node) return isConstant(node.TypeCast.arg);
  if ('A_ArrayExpr' in node) return (node.A_ArrayExpr.elements ?? []).every(isConstant);
  if (!('FuncCall' in node)) return false;
  const last = node.FuncCall.funcname?.at(-1);
  return last !== undefined && 'String' in last && STABLE_FUNCTIONS.has(last.String.sval ?? '');
}
