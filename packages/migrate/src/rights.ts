import { quoteIdentifier, quoteLiteral } from '@azora/db-core/quote';
import type { ClientBase } from 'pg';
import { isOwnObject } from './catalog-scope';
import type { TableGrants, TablePrivilege } from './grants';

/** A right that is not as the suite sets it, and the statements that set it. */
export interface RightsDifference {
  /** Such as `table wallets`, `function transfer_money(text, text)` or `database azora_mint`. */
  readonly object: string;
  /** The rest of a sentence that begins with the object: `gives PUBLIC the right SELECT`. */
  readonly message: string;
  readonly statements: readonly string[];
}

/** A row of {@link objectRightsSql}: an object of schema public, and the rights on it of the app role and of PUBLIC. */
export interface ObjectRights {
  readonly kind: 'TABLE' | 'SEQUENCE' | 'FUNCTION' | 'PROCEDURE' | 'DEFAULT';
  /** The quoted name. For a default, everything of the statement between ALTER and REVOKE. */
  readonly name: string;
  /** The table itself, the table whose column uses the sequence, or for a default the kind of objects. */
  readonly table: string;
  /** Rights that the role may pass on end in `*`; rights on single columns name the column. */
  readonly app: readonly string[];
  readonly everyone: readonly string[];
  /** For a function: whether the app role calls it. A trigger needs no right to run its function. */
  readonly isCalled: boolean;
}

/**
 * The rights of a role and of PUBLIC on the objects in schema public, without those of extensions. It has no row when the role
 * does not exist: the service then connects as another one.
 *
 * Of the functions only those with SECURITY DEFINER count. Any other one has the rights of its caller.
 */
export function objectRightsSql(role: string): string {
  return `
  WITH app AS (SELECT oid FROM pg_roles WHERE rolname = ${quoteLiteral(role)}),
  held (catalog, oid, grantee, privilege) AS (
    SELECT 'pg_class', pg_class.oid, acl.grantee, acl.privilege_type || CASE WHEN acl.is_grantable THEN '*' ELSE '' END
      FROM pg_class, aclexplode(relacl) AS acl WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'pg_class', attrelid, acl.grantee, format('%s (%I)', acl.privilege_type, attname)
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, aclexplode(attacl) AS acl
      WHERE relnamespace = 'public'::regnamespace AND NOT attisdropped
    UNION ALL
    SELECT 'pg_proc', pg_proc.oid, acl.grantee, acl.privilege_type || CASE WHEN acl.is_grantable THEN '*' ELSE '' END
      FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl
      WHERE pronamespace = 'public'::regnamespace AND prosecdef
    UNION ALL
    SELECT 'pg_default_acl', pg_default_acl.oid, acl.grantee, acl.privilege_type
      FROM pg_default_acl, aclexplode(defaclacl) AS acl
      WHERE defaclnamespace IN (0, 'public'::regnamespace)
        -- PostgreSQL's own defaults.
        AND NOT (acl.grantee = 0 AND defaclnamespace = 0 AND defaclobjtype IN ('f', 'T'))
  ), objects AS (
    SELECT 'pg_class' AS catalog, relation.oid, CASE relation.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
           format('%I', relation.relname) AS name, coalesce(owner_table.relname, relation.relname)::text AS "table",
           false AS "isCalled"
      FROM pg_class relation
      LEFT JOIN pg_depend owned ON owned.objid = relation.oid AND owned.classid = 'pg_class'::regclass
        AND owned.refclassid = 'pg_class'::regclass AND owned.deptype IN ('a', 'i') AND relation.relkind = 'S'
      LEFT JOIN pg_class owner_table ON owner_table.oid = owned.refobjid
      WHERE relation.relnamespace = 'public'::regnamespace AND relation.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND ${isOwnObject('relation.oid', 'pg_class')}
    UNION ALL
    SELECT 'pg_proc', oid, CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
           format('%I(%s)', proname, pg_get_function_identity_arguments(oid)), proname::text,
           prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
      FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace AND prosecdef AND ${isOwnObject('pg_proc.oid', 'pg_proc')}
    UNION ALL
    SELECT 'pg_default_acl', oid, 'DEFAULT',
           format('DEFAULT PRIVILEGES FOR ROLE %I%s', pg_get_userbyid(defaclrole),
             CASE WHEN defaclnamespace = 0 THEN '' ELSE ' IN SCHEMA public' END),
           CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
             WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END, false
      FROM pg_default_acl WHERE defaclnamespace IN (0, 'public'::regnamespace)
  )
  SELECT kind, name, "table", "isCalled",
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
  return rows.flatMap((row) => {
    const wanted = wantedRights(row, grants.get(row.table) ?? []);
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
  if (kind === 'DEFAULT') return [];
  if (kind === 'FUNCTION' || kind === 'PROCEDURE') return isCalled ? ['EXECUTE'] : [];
  if (kind === 'TABLE') return privileges.map((privilege) => privilege.toUpperCase());
  return privileges.includes('insert') ? ['USAGE', 'SELECT', 'UPDATE'] : [];
}

/** Revoking the rights on a table revokes those on its columns. CASCADE takes the rights that the role passed on. */
function statementsOf(row: ObjectRights, role: string, wanted: readonly string[]): readonly string[] {
  const app = quoteIdentifier(role);
  const { kind, name, table, everyone } = row;
  if (kind === 'DEFAULT') return [`ALTER ${name} REVOKE ALL ON ${table} FROM PUBLIC, ${app}`];
  const object = `${kind} public.${name}`;
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
 * seeding with fixed ids need both. Of the functions with SECURITY DEFINER, the role may call all but trigger functions.
 */
export async function syncGrants(client: ClientBase, role: string, grants: TableGrants): Promise<void> {
  const { rows } = await client.query<ObjectRights>(objectRightsSql(role));
  const statements = compareObjectRights(rows, role, grants).flatMap((difference) => difference.statements);
  if (statements.length > 0) await client.query(statements.join(';\n'));
}
