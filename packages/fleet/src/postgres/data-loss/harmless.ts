import type { AlterTableCmd, Constraint, Node, TypeName } from 'libpg-query';

/**
 * Whether PostgreSQL's grammar proves that the statement neither removes nor changes a row, a value or the position of a sequence, and
 * runs no code of a user. Everything that is not listed here is measured. Event triggers can make any statement of this list run code;
 * the caller asks the database whether there are some.
 */
export function isHarmless(node: Node): boolean {
  if ('DropStmt' in node) {
    return node.DropStmt.behavior !== 'DROP_CASCADE' && DROPPED.has(node.DropStmt.removeType ?? '');
  }
  if ('AlterTableStmt' in node) {
    const { cmds = [], objtype = '' } = node.AlterTableStmt;
    return ALTERED.has(objtype) && cmds.every((cmd) => 'AlterTableCmd' in cmd && isHarmlessCommand(cmd.AlterTableCmd));
  }
  if ('IndexStmt' in node) {
    const { whereClause, indexParams = [] } = node.IndexStmt;
    // An expression calls a function, which may do more than its mark as immutable says.
    return whereClause === undefined && indexParams.every((it) => 'IndexElem' in it && it.IndexElem.expr === undefined);
  }
  // ANALYZE, FULL, REINDEX and CLUSTER call the functions of indexes, which the same file may have replaced.
  if ('VacuumStmt' in node) return node.VacuumStmt.is_vacuumcmd === true && node.VacuumStmt.options === undefined;
  // Renames the label in every row that has it.
  if ('AlterEnumStmt' in node) return node.AlterEnumStmt.oldVal === undefined;
  const [kind = ''] = Object.keys(node);
  return KINDS.has(kind);
}

const KINDS: ReadonlySet<string> = new Set([
  'AlterDefaultPrivilegesStmt',
  'AlterObjectSchemaStmt',
  'AlterOwnerStmt',
  'AlterPolicyStmt',
  'CommentStmt',
  'CompositeTypeStmt',
  'CreateEnumStmt',
  'CreateFunctionStmt',
  'CreatePolicyStmt',
  'CreateStmt',
  'CreateTrigStmt',
  'GrantRoleStmt',
  'GrantStmt',
  'LockStmt',
  'RenameStmt',
  'VariableSetStmt',
  'ViewStmt',
]);

/** Without CASCADE, these objects take no table and no column with them. */
const DROPPED: ReadonlySet<string> = new Set([
  'OBJECT_AGGREGATE',
  'OBJECT_DOMAIN',
  'OBJECT_FUNCTION',
  'OBJECT_INDEX',
  'OBJECT_MATVIEW',
  'OBJECT_POLICY',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
  'OBJECT_RULE',
  'OBJECT_SCHEMA',
  'OBJECT_STATISTIC_EXT',
  'OBJECT_TRIGGER',
  'OBJECT_TYPE',
  'OBJECT_VIEW',
]);

const ALTERED: ReadonlySet<string> = new Set(['OBJECT_TABLE', 'OBJECT_INDEX', 'OBJECT_VIEW']);

const COMMANDS: ReadonlySet<string> = new Set([
  'AT_ChangeOwner',
  'AT_ClusterOn',
  'AT_ColumnDefault',
  'AT_DetachPartition',
  'AT_DetachPartitionFinalize',
  'AT_DisableRowSecurity',
  'AT_DisableTrig',
  'AT_DisableTrigAll',
  'AT_DisableTrigUser',
  'AT_DropCluster',
  'AT_DropNotNull',
  'AT_EnableAlwaysTrig',
  'AT_EnableReplicaTrig',
  'AT_EnableRowSecurity',
  'AT_EnableTrig',
  'AT_EnableTrigAll',
  'AT_EnableTrigUser',
  'AT_ForceRowSecurity',
  'AT_NoForceRowSecurity',
  'AT_ReplicaIdentity',
  'AT_ResetOptions',
  'AT_ResetRelOptions',
  'AT_SetCompression',
  'AT_SetNotNull',
  'AT_SetOptions',
  'AT_SetRelOptions',
  'AT_SetStatistics',
  'AT_SetStorage',
]);

function isHarmlessCommand({ subtype, behavior, def }: AlterTableCmd): boolean {
  if (subtype === undefined) return false;
  if (COMMANDS.has(subtype)) return true;
  if (subtype === 'AT_DropConstraint') return behavior !== 'DROP_CASCADE';
  if (subtype === 'AT_AddConstraint') {
    return def !== undefined && 'Constraint' in def && isHarmlessConstraint(def.Constraint);
  }
  // A default would be computed for each row, and the type of a user has a default of its own.
  if (subtype !== 'AT_AddColumn' || def === undefined || !('ColumnDef' in def)) return false;
  const { constraints = [], typeName } = def.ColumnDef;
  return constraints.length === 0 && typeName !== undefined && isBuiltIn(typeName);
}

/** A CHECK and an EXCLUDE call functions for the rows that are there. */
function isHarmlessConstraint({ contype, skip_validation }: Constraint): boolean {
  if (contype === 'CONSTR_CHECK') return skip_validation === true;
  return ['CONSTR_FOREIGN', 'CONSTR_NOTNULL', 'CONSTR_PRIMARY', 'CONSTR_UNIQUE'].includes(contype ?? '');
}

/** Unqualified names that PostgreSQL finds in pg_catalog first, unless a search path puts pg_catalog behind another schema. */
const TYPES: ReadonlySet<string> = new Set(['bytea', 'date', 'inet', 'json', 'jsonb', 'text', 'timestamptz', 'uuid']);

function isBuiltIn({ names = [] }: TypeName): boolean {
  const [first = '', second] = names.map((name) => ('String' in name ? (name.String.sval ?? '') : ''));
  if (first === 'pg_catalog') return true;
  return second === undefined && TYPES.has(first);
}
