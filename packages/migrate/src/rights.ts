import { quoteIdentifier, quoteLiteral } from '@azora/db-core/quote';
import type { ClientBase } from 'pg';
import { IS_USER_SCHEMA, isOwnObject, relationName } from './catalog-scope';
import type { TableGrants, TablePrivilege } from './grants';

/** A right that is not as the suite sets it, and the statements that set it. */
export interface RightsDifference {
  /** Such as `table wallets`, `function transfer_money(text, text)` or `database azora_mint`. */
  readonly object: string;
  /** The rest of a sentence that begins with the object: `gives PUBLIC the right SELECT`. */
  readonly message: string;
  readonly statements: readonly string[];
}

/** A row of {@link objectRightsSql}: an object, and the rights on it of the app role and of PUBLIC. */
export interface ObjectRights {
  readonly kind: 'SCHEMA' | 'TABLE' | 'SEQUENCE' | 'FUNCTION' | 'PROCEDURE' | 'DEFAULT';
  /** The schema of the object, without quotes. */
  readonly schema: string;
  /** The name as SQL, without schema public. For a default, everything of the statement between ALTER and REVOKE. */
  readonly name: string;
  /** The table itself, the table whose column uses the sequence, as in {@link TableGrants}; for a default the kind of objects. */
  readonly table: string;
  /** Rights that the role may pass on end in `*`; rights on single columns name the column. */
  readonly app: readonly string[];
  readonly everyone: readonly string[];
  /** For a function: whether the app role calls it. A trigger needs no right to run its function. */
  readonly isCalled: boolean;
}

/** The table with a default that takes its values from a sequence that belongs to no column. */
const USER_OF_SEQUENCE = `(
        SELECT min(adrelid::int8)::oid FROM pg_depend JOIN pg_attrdef ON pg_attrdef.oid = objid
        WHERE classid = 'pg_attrdef'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = relation.oid AND relation.relkind = 'S')`;

/**
 * The rights of a role and of PUBLIC on the schemas of users and the objects in them, without those of extensions. It has no row
 * when the role does not exist: the service then connects as another one. Schema public belongs to the rights on the database.
 *
 * Of the functions only those with SECURITY DEFINER count. Any other one has the rights of its caller.
 */
export function objectRightsSql(role: string): string {
  return `
  WITH app AS (SELECT oid FROM pg_roles WHERE rolname = ${quoteLiteral(role)}),
  space AS (
    SELECT oid, nspname::text AS schema, CASE nspname WHEN 'public' THEN '' ELSE concat(quote_ident(nspname), '.') END AS prefix, nspacl
    FROM pg_namespace WHERE ${IS_USER_SCHEMA} AND ${isOwnObject('pg_namespace.oid', 'pg_namespace')}
  ),
  held (catalog, oid, grantee, privilege) AS (
    SELECT 'pg_class', pg_class.oid, acl.grantee, acl.privilege_type || CASE WHEN acl.is_grantable THEN '*' ELSE '' END
      FROM pg_class, aclexplode(relacl) AS acl WHERE relnamespace IN (SELECT oid FROM space)
    UNION ALL
    SELECT 'pg_class', attrelid, acl.grantee, format('%s (%I)', acl.privilege_type, attname)
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, aclexplode(attacl) AS acl
      WHERE relnamespace IN (SELECT oid FROM space) AND NOT attisdropped
    UNION ALL
    SELECT 'pg_namespace', space.oid, acl.grantee, acl.privilege_type || CASE WHEN acl.is_grantable THEN '*' ELSE '' END
      FROM space, aclexplode(nspacl) AS acl
    UNION ALL
    SELECT 'pg_proc', pg_proc.oid, acl.grantee, acl.privilege_type || CASE WHEN acl.is_grantable THEN '*' ELSE '' END
      FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl
      WHERE pronamespace IN (SELECT oid FROM space) AND prosecdef
    UNION ALL
    SELECT 'pg_default_acl', pg_default_acl.oid, acl.grantee, acl.privilege_type
      FROM pg_default_acl, aclexplode(defaclacl) AS acl
      WHERE (defaclnamespace = 0 OR defaclnamespace IN (SELECT oid FROM space))
        -- PostgreSQL's own defaults.
        AND NOT (acl.grantee = 0 AND defaclnamespace = 0 AND defaclobjtype IN ('f', 'T'))
  ), objects AS (
    SELECT 'pg_class' AS catalog, relation.oid, CASE relation.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
           schema, concat(prefix, quote_ident(relation.relname)) AS name,
           coalesce(${relationName('owner_table')}, ${relationName('relation')}) AS "table", false AS "isCalled"
      FROM pg_class relation JOIN space ON space.oid = relation.relnamespace
      LEFT JOIN pg_depend owned ON owned.objid = relation.oid AND owned.classid = 'pg_class'::regclass
        AND owned.refclassid = 'pg_class'::regclass AND owned.deptype IN ('a', 'i') AND relation.relkind = 'S'
      LEFT JOIN pg_class owner_table ON owner_table.oid = coalesce(owned.refobjid, ${USER_OF_SEQUENCE})
      WHERE relation.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND ${isOwnObject('relation.oid', 'pg_class')}
    UNION ALL
    SELECT 'pg_namespace', oid, 'SCHEMA', schema, quote_ident(schema), schema, false FROM space WHERE schema <> 'public'
    UNION ALL
    SELECT 'pg_proc', pg_proc.oid, CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, schema,
           format('%s%I(%s)', prefix, proname, pg_get_function_identity_arguments(pg_proc.oid)), proname::text,
           prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
      FROM pg_proc JOIN space ON space.oid = pronamespace
      WHERE prosecdef AND ${isOwnObject('pg_proc.oid', 'pg_proc')}
    UNION ALL
    SELECT 'pg_default_acl', pg_default_acl.oid, 'DEFAULT', coalesce(schema, ''),
           concat(format('DEFAULT PRIVILEGES FOR ROLE %I', pg_get_userbyid(defaclrole)), ' IN SCHEMA ' || quote_ident(schema)),
           CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
             WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END, false
      FROM pg_default_acl LEFT JOIN space ON space.oid = defaclnamespace WHERE defaclnamespace = 0 OR schema IS NOT NULL
  )
  SELECT kind, schema, name, "table", "isCalled",
         ARRAY(SELECT privilege FROM held JOIN app ON grantee = app.oid
               WHERE held.catalog = objects.catalog AND held.oid = objects.oid ORDER BY 1) AS app,
         ARRAY(SELECT privilege FROM held
               WHERE held.catalog = objects.catalog AND held.oid = objects.oid AND grantee = 0 ORDER BY 1) AS everyone
  FROM objects WHERE EXISTS (SELECT FROM app) ORDER BY kind, name`;
}

/** Compares the rights on objects with those that the annotations give. PUBLIC has none. */
export function compareObjectRights(
  rows: readonly ObjectRights[],
  role: string,
  grants: TableGrants,
): readonly RightsDifference[] {
  const wantedOf = (row: ObjectRights) => wantedRights(row, grants.get(row.table) ?? []);
  const used = new Set(rows.filter((row) => wantedOf(row).length > 0).map(({ schema }) => schema));
  return rows.flatMap((row) => {
    const wanted = row.kind === 'SCHEMA' ? (used.has(row.schema) ? ['USAGE'] : []) : wantedOf(row);
    const [more, less] = [without(row.app, wanted), without(wanted, row.app)];
    if (more.length + less.length + row.everyone.length === 0) return [];
    const problems = [
      ...(row.everyone.length > 0 ? [`gives PUBLIC the right ${row.everyone.join(', ')}`] : []),
      ...(more.length > 0 ? [`gives ${role} the right ${more.join(', ')}`] : []),
      ...(less.length > 0 ? [`does not give ${role} the right ${less.join(', ')}`] : []),
    ];
    return [{ object: objectOf(row), message: problems.join(', and '), statements: statementsOf(row, role, wanted) }];
  });
}

function objectOf({ kind, name, table }: ObjectRights): string {
  return kind === 'DEFAULT' ? `${name} on ${table}` : `${kind.toLowerCase()} ${name}`;
}

function wantedRights({ kind, isCalled }: ObjectRights, privileges: readonly TablePrivilege[]): readonly string[] {
  if (kind === 'DEFAULT' || kind === 'SCHEMA') return [];
  if (kind === 'FUNCTION' || kind === 'PROCEDURE') return isCalled ? ['EXECUTE'] : [];
  if (kind === 'TABLE') return privileges.map((privilege) => privilege.toUpperCase());
  return privileges.includes('insert') ? ['USAGE', 'SELECT', 'UPDATE'] : [];
}

/** Revoking the rights on a table revokes those on its columns. CASCADE takes the rights that the role passed on. */
function statementsOf(row: ObjectRights, role: string, wanted: readonly string[]): readonly string[] {
  const app = quoteIdentifier(role);
  const { kind, schema, name, table, everyone } = row;
  if (kind === 'DEFAULT') return [`ALTER ${name} REVOKE ALL ON ${table} FROM PUBLIC, ${app}`];
  const object = `${kind} ${schema === 'public' ? 'public.' : ''}${name}`;
  const isWrong = without(row.app, wanted).length + without(wanted, row.app).length > 0;
  return [
    ...(everyone.length > 0 ? [`REVOKE ALL ON ${object} FROM PUBLIC CASCADE`] : []),
    ...(isWrong && row.app.length > 0 ? [`REVOKE ALL ON ${object} FROM ${app} CASCADE`] : []),
    ...(isWrong && wanted.length > 0 ? [`GRANT ${wanted.join(', ')} ON ${object} TO ${app}`] : []),
  ];
}

function without(rights: readonly string[], others: readonly string[]): readonly string[] {
  return rights.filter((right) => !others.includes(right));
}

/**
 * Makes the rights of the app role and of PUBLIC on the existing objects exactly those of the annotations, and leaves rights
 * alone that are already right. On the sequences of tables that the role inserts into, it may read and advance: inserting and
 * seeding with fixed ids need both. Of the functions with SECURITY DEFINER, the role may call all but trigger functions. It may use the
 * schemas in which it has a right.
 */
export async function syncGrants(client: ClientBase, role: string, grants: TableGrants): Promise<void> {
  const { rows } = await client.query<ObjectRights>(objectRightsSql(role));
  const statements = compareObjectRights(rows, role, grants).flatMap((difference) => difference.statements);
  if (statements.length > 0) await client.query(statements.join(';\n'));
}
