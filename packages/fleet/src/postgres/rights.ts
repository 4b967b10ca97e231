import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { RightsDifference } from '@azora/db-migrate';
import type { ClientBase } from 'pg';

/** The row of {@link roleRightsSql}. */
export interface RoleRights {
  readonly database: string;
  /** Options of ALTER ROLE that take powers away, or give the login back. */
  readonly powers: readonly string[];
  /** The roles of which the app role is a member. */
  readonly memberships: readonly string[];
  /** Rights on the database and on schema public, with `*` where the role may pass them on. */
  readonly appDatabase: readonly string[];
  readonly appSchema: readonly string[];
  readonly everyoneDatabase: readonly string[];
  readonly everyoneSchema: readonly string[];
}

/** The powers of a role, and the rights on the current database and its schema public. No row when the role does not exist. */
export function roleRightsSql(role: string): string {
  const held = (acl: string, grantee: string, except = "''") =>
    `ARRAY(SELECT privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END FROM aclexplode(${acl})
           WHERE grantee = ${grantee} AND privilege_type <> ${except} ORDER BY 1)`;
  const [database, schema] = [
    `coalesce(datacl, acldefault('d', datdba))`,
    `coalesce(nspacl, acldefault('n', nspowner))`,
  ];
  return `
  SELECT datname::text AS database,
         array_remove(ARRAY[
           CASE WHEN rolsuper THEN 'NOSUPERUSER' END, CASE WHEN rolcreatedb THEN 'NOCREATEDB' END,
           CASE WHEN rolcreaterole THEN 'NOCREATEROLE' END, CASE WHEN rolreplication THEN 'NOREPLICATION' END,
           CASE WHEN rolbypassrls THEN 'NOBYPASSRLS' END, CASE WHEN NOT rolcanlogin THEN 'LOGIN' END], NULL) AS powers,
         ARRAY(SELECT DISTINCT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = pg_roles.oid ORDER BY 1) AS memberships,
         ${held(database, 'pg_roles.oid')} AS "appDatabase", ${held(schema, 'pg_roles.oid')} AS "appSchema",
         ${held(database, '0')} AS "everyoneDatabase", ${held(schema, '0', "'USAGE'")} AS "everyoneSchema"
  FROM pg_roles, pg_database, pg_namespace
  WHERE rolname = ${quoteLiteral(role)} AND datname = current_database() AND nspname = 'public'`;
}

/**
 * Compares the row of {@link roleRightsSql} with what the suite sets: the role has no powers of its own, may connect and may use
 * the schema. PUBLIC may not connect, create or make temporary tables.
 */
export function compareRoleRights(rows: readonly RoleRights[], role: string): readonly RightsDifference[] {
  const [row] = rows;
  if (row === undefined) return [];
  const app = quoteIdentifier(role);
  const database = quoteIdentifier(row.database);
  const difference = (object: string, message: string, ...statements: readonly string[]) => [
    { object, message, statements },
  ];
  return [
    ...(row.powers.length === 0
      ? []
      : difference(`role ${role}`, `is not ${row.powers.join(' ')}`, `ALTER ROLE ${app} ${row.powers.join(' ')}`)),
    ...row.memberships.flatMap((group) =>
      difference(`role ${role}`, `is a member of ${group}`, `REVOKE ${quoteIdentifier(group)} FROM ${app}`),
    ),
    ...onObject(
      `database ${row.database}`,
      `DATABASE ${database}`,
      'CONNECT',
      row.appDatabase,
      row.everyoneDatabase,
      role,
    ),
    ...onObject('schema public', 'SCHEMA public', 'USAGE', row.appSchema, row.everyoneSchema, role),
  ];
}

/** The app role has one right on the object, and PUBLIC has none of these. */
function onObject(
  object: string,
  name: string,
  wanted: string,
  app: readonly string[],
  everyone: readonly string[],
  role: string,
): readonly RightsDifference[] {
  const more = app.filter((right) => right !== wanted);
  const lacks = !app.includes(wanted);
  if (everyone.length + more.length === 0 && !lacks) return [];
  const problems = [
    ...(everyone.length > 0 ? [`gives PUBLIC the right ${everyone.join(', ')}`] : []),
    ...(more.length > 0 ? [`gives ${role} the right ${more.join(', ')}`] : []),
    ...(lacks ? [`does not give ${role} the right ${wanted}`] : []),
  ];
  const grantee = quoteIdentifier(role);
  const names = (rights: readonly string[]) => rights.map((right) => right.replace('*', '')).join(', ');
  const statements = [
    ...(everyone.length > 0 ? [`REVOKE ${names(everyone)} ON ${name} FROM PUBLIC CASCADE`] : []),
    ...(more.length > 0 ? [`REVOKE ALL ON ${name} FROM ${grantee} CASCADE`] : []),
    ...(more.length > 0 || lacks ? [`GRANT ${wanted} ON ${name} TO ${grantee}`] : []),
  ];
  return [{ object, message: problems.join(', and '), statements }];
}

/**
 * Lets only the app role and administrators connect to the current database, and only administrators create in it. Takes from
 * the role what it has beyond that. The caller holds the rights lock.
 */
export async function restrictDatabase(client: ClientBase, role: string): Promise<void> {
  const { rows } = await client.query<RoleRights>(roleRightsSql(role));
  const statements = compareRoleRights(rows, role).flatMap((difference) => difference.statements);
  if (statements.length > 0) await client.query(statements.join(';\n'));
}
