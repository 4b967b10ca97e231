import { findDatabaseError, quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { scramVerifier } from './scram';

export type TablePrivilege = 'select' | 'insert' | 'update' | 'delete';

/** What an app role may do with each table, by table name; a table that is not named gives nothing. */
export type TableGrants = ReadonlyMap<string, readonly TablePrivilege[]>;

const DUPLICATE_OBJECT = '42710';
const UNIQUE_VIOLATION = '23505';

/** Creates the login role if it is missing; true when it was made now. */
export async function createRole(client: ClientBase, role: string, password: string): Promise<boolean> {
  const found = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
  if (found.rowCount !== 0) return false;
  const attributes = 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION';
  const verifier = quoteLiteral(scramVerifier(password));
  try {
    await client.query(`CREATE ROLE ${quoteIdentifier(role)} ${attributes} PASSWORD ${verifier}`);
    return true;
  } catch (error) {
    const state = findDatabaseError(error)?.sqlState;
    // Another setup made it between the question and the statement.
    if (state === DUPLICATE_OBJECT || state === UNIQUE_VIOLATION) return false;
    throw error;
  }
}

export async function setPassword(client: ClientBase, role: string, password: string): Promise<void> {
  await client.query(`ALTER ROLE ${quoteIdentifier(role)} PASSWORD ${quoteLiteral(scramVerifier(password))}`);
}

/** Rights on databases are rows that PostgreSQL refuses to update twice at once; the number is "role" in ASCII. */
const RIGHTS_LOCK = 0x726f6c65;

/** One session at a time changes rights: two that grant on the same thing at once would fail («tuple concurrently updated»). */
export async function withRightsLock(client: ClientBase, work: () => Promise<void>): Promise<void> {
  await client.query('SELECT pg_advisory_lock($1)', [RIGHTS_LOCK]);
  try {
    await work();
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [RIGHTS_LOCK]).catch(() => undefined);
  }
}

/** Databases of the server's own that every role may connect to unless that is taken back. */
export async function closeMaintenanceDatabases(client: ClientBase): Promise<void> {
  const open = await client.query<{ name: string }>(
    `SELECT datname::text AS name FROM pg_database
     WHERE datname IN ('postgres', 'template1') AND has_database_privilege('public', oid, 'CONNECT')`,
  );
  for (const { name } of open.rows)
    await client.query(`REVOKE CONNECT ON DATABASE ${quoteIdentifier(name)} FROM PUBLIC`);
}

/** Only the app role, and administrators, may connect to the current database; nobody else may create in it. */
export async function restrictDatabase(client: ClientBase, database: string, role: string): Promise<void> {
  const restricted = await client.query<{ restricted: boolean }>(
    `SELECT NOT has_database_privilege('public', $1, 'CONNECT') AND has_database_privilege($2, $1, 'CONNECT')
        AND NOT has_schema_privilege('public', 'public', 'CREATE') AND has_schema_privilege($2, 'public', 'USAGE')
        AS restricted`,
    [database, role],
  );
  if (restricted.rows[0]?.restricted === true) return;
  const name = quoteIdentifier(database);
  const app = quoteIdentifier(role);
  await client.query(`
    REVOKE ALL ON DATABASE ${name} FROM PUBLIC;
    GRANT CONNECT ON DATABASE ${name} TO ${app};
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO ${app};`);
}

/**
 * Makes the app role's rights on the tables that exist exactly what `grants` says, and touches none that are right.
 * Sequences of tables that it inserts into may be read and advanced, as inserting and seeding with fixed ids need.
 */
export async function syncGrants(client: ClientBase, role: string, grants: TableGrants): Promise<void> {
  const { rows } = await client.query<RelationRights>(RELATION_RIGHTS, [role]);
  const app = quoteIdentifier(role);
  const statements = rows.flatMap(({ kind, name, held, table_name }) => {
    const wanted = wantedRights(kind, grants.get(table_name) ?? []);
    if (sameSet(wanted, held)) return [];
    const relation = `${kind} ${quoteIdentifier(name)}`;
    const revoke = `REVOKE ALL ON ${relation} FROM ${app}`;
    return wanted.length === 0 ? [revoke] : [revoke, `GRANT ${wanted.join(', ')} ON ${relation} TO ${app}`];
  });
  if (statements.length > 0) await client.query(statements.join(';\n'));
}

interface RelationRights {
  readonly kind: 'TABLE' | 'SEQUENCE';
  readonly name: string;
  /** The table itself, or the table whose column the sequence serves. */
  readonly table_name: string;
  readonly held: readonly string[];
}

function wantedRights(kind: RelationRights['kind'], privileges: readonly TablePrivilege[]): readonly string[] {
  if (kind === 'TABLE') return privileges.map((privilege) => privilege.toUpperCase());
  return privileges.includes('insert') ? ['USAGE', 'SELECT', 'UPDATE'] : [];
}

function sameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((item) => right.includes(item));
}

const RELATION_RIGHTS = `
  SELECT CASE relation.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
         relation.relname::text AS name,
         coalesce(owner_table.relname, relation.relname)::text AS table_name,
         ARRAY(SELECT acl.privilege_type FROM aclexplode(relation.relacl) acl
               WHERE acl.grantee = (SELECT oid FROM pg_roles WHERE rolname = $1)) AS held
  FROM pg_class relation
  LEFT JOIN pg_depend owned ON owned.objid = relation.oid AND owned.classid = 'pg_class'::regclass
    AND owned.refclassid = 'pg_class'::regclass AND owned.deptype IN ('a', 'i') AND relation.relkind = 'S'
  LEFT JOIN pg_class owner_table ON owner_table.oid = owned.refobjid
  WHERE relation.relnamespace = 'public'::regnamespace AND relation.relkind IN ('r', 'p', 'S')
  ORDER BY relation.relname`;
