import type { AlterTableCmd, Constraint, CreateStmt, Node, TypeName } from 'libpg-query';

/** What a script may not mention: the runner writes to this table after the script, which runs the code of its triggers and rules. */
const HISTORY_NAME = '_prisma_migrations';

/**
 * Whether all statements are harmless, also together: an index or a constraint calls functions of an extension, which another statement
 * may have replaced.
 */
export function areHarmless(nodes: readonly Node[]): boolean {
  const isReplacing = nodes.some((node) => 'CreateFunctionStmt' in node && node.CreateFunctionStmt.replace === true);
  return nodes.every(
    (node) =>
      isHarmless(node) &&
      !(isReplacing && ('IndexStmt' in node || 'AlterTableStmt' in node)) &&
      !JSON.stringify(node).includes(HISTORY_NAME),
  );
}

/**
 * Whether PostgreSQL's grammar proves that the statement neither removes nor changes a row, a value or the position of a sequence, and
 * runs no code of a user. Everything that is not listed here is measured. Some objects make statements of this list run code, such as
 * event triggers; the caller asks the database whether there are some.
 */
function isHarmless(node: Node): boolean {
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
  return isHarmlessDefinition(node);
}

function isHarmlessDefinition(node: Node): boolean {
  if ('CreateStmt' in node) return isHarmlessTable(node.CreateStmt);
  // The validator of another language may load a library.
  if ('CreateFunctionStmt' in node) return (node.CreateFunctionStmt.options ?? []).every(isHarmlessOption);
  // With another search path, the names of types mean others; with the other setting, the server ends strings elsewhere.
  if ('VariableSetStmt' in node) return !READING_SETTINGS.has(node.VariableSetStmt.name ?? '');
  // A domain may take the name of a type under which a later statement of the file adds a column, and a schema the name of the one with
  // the history.
  if ('RenameStmt' in node) return !RENAMED_MEANINGS.has(node.RenameStmt.renameType ?? '');
  if ('AlterObjectSchemaStmt' in node) return !TYPE_KINDS.has(node.AlterObjectSchemaStmt.objectType ?? '');
  const [kind = ''] = Object.keys(node);
  return KINDS.has(kind);
}

const KINDS: ReadonlySet<string> = new Set([
  'AlterDefaultPrivilegesStmt',
  'AlterOwnerStmt',
  'AlterPolicyStmt',
  'CommentStmt',
  'CompositeTypeStmt',
  'CreateEnumStmt',
  'CreatePolicyStmt',
  'CreateTrigStmt',
  'GrantRoleStmt',
  'GrantStmt',
  'LockStmt',
  'ViewStmt',
]);

const READING_SETTINGS: ReadonlySet<string> = new Set([
  'client_encoding',
  'search_path',
  'standard_conforming_strings',
]);
const TYPE_KINDS: ReadonlySet<string> = new Set(['OBJECT_DOMAIN', 'OBJECT_TYPE']);
const RENAMED_MEANINGS: ReadonlySet<string> = new Set([...TYPE_KINDS, 'OBJECT_SCHEMA']);

/**
 * A table is empty, but PostgreSQL computes the bounds of a partition, searches the default partition for its rows, and plans the
 * expressions of partition keys, generated columns and indexes, which calls the immutable functions in them.
 */
function isHarmlessTable({ partbound, partspec, constraints = [], tableElts = [] }: CreateStmt): boolean {
  const keys = partspec?.partParams ?? [];
  const harmlessKeys = keys.every((key) => 'PartitionElem' in key && key.PartitionElem.expr === undefined);
  return partbound === undefined && harmlessKeys && [...constraints, ...tableElts].every(isHarmlessElement);
}

function isHarmlessElement(element: Node): boolean {
  if ('ColumnDef' in element) return (element.ColumnDef.constraints ?? []).every(isHarmlessElement);
  if ('Constraint' in element) return !PLANNED.has(element.Constraint.contype ?? '');
  return 'TableLikeClause' in element && (element.TableLikeClause.options ?? 0) === 0;
}

const PLANNED: ReadonlySet<string> = new Set(['CONSTR_GENERATED', 'CONSTR_EXCLUSION']);

function isHarmlessOption(option: Node): boolean {
  if (!('DefElem' in option) || option.DefElem.defname !== 'language') return true;
  const { arg } = option.DefElem;
  return arg !== undefined && 'String' in arg && ['sql', 'plpgsql'].includes(arg.String.sval ?? '');
}

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

/** Names of types that the guard has found to mean those of PostgreSQL, with their oids, which are the same on every server. */
export const UNQUALIFIED_TYPES: ReadonlyMap<string, number> = new Map([
  ['bytea', 17],
  ['date', 1082],
  ['inet', 869],
  ['json', 114],
  ['jsonb', 3802],
  ['text', 25],
  ['timestamptz', 1184],
  ['uuid', 2950],
]);

/** Names that the grammar itself puts into pg_catalog, where a superuser may have made other types. */
const GRAMMAR_TYPES: ReadonlySet<string> = new Set([
  ...['bool', 'bpchar', 'float4', 'float8', 'int2', 'int4', 'int8', 'interval', 'numeric', 'time', 'timestamp'],
  ...['timestamptz', 'timetz', 'varchar'],
]);

function isBuiltIn({ names = [] }: TypeName): boolean {
  const [first = '', second] = names.map((name) => ('String' in name ? (name.String.sval ?? '') : ''));
  if (first === 'pg_catalog') return GRAMMAR_TYPES.has(second ?? '') || UNQUALIFIED_TYPES.has(second ?? '');
  return second === undefined && UNQUALIFIED_TYPES.has(first);
}
