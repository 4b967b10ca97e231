import type { ClientBase } from 'pg';
import { IS_STUDIO } from '../studio/role';

/** A role that has privileges in the database, without its password. */
export interface DatabaseRole {
  readonly name: string;
  /** The options of CREATE ROLE. */
  readonly attributes: string;
  /** For example `SELECT, INSERT ON TABLE public.users`. */
  readonly grants: readonly string[];
}

/**
 * Reads the roles that have privileges on a table, a sequence or a function. The studio's role is left out, because the
 * studio revokes its privileges when it closes. A restore grants privileges anew and only reports these.
 */
export async function readRoles(client: ClientBase): Promise<readonly DatabaseRole[]> {
  const { rows } = await client.query<DatabaseRole>(`
    WITH granted AS (
      SELECT acl.grantee, acl.privilege_type,
             CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || relation.oid::regclass AS object
      FROM pg_class AS relation CROSS JOIN aclexplode(relacl) AS acl
      WHERE acl.grantee <> relowner AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
      UNION ALL
      SELECT acl.grantee, acl.privilege_type, 'FUNCTION ' || routine.oid::regprocedure
      FROM pg_proc AS routine CROSS JOIN aclexplode(proacl) AS acl
      WHERE acl.grantee <> proowner AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)),
    by_object AS (
      SELECT grantee, object, string_agg(privilege_type, ', ' ORDER BY privilege_type) AS privileges
      FROM granted GROUP BY grantee, object)
    SELECT rolname::text AS name,
           concat_ws(' ', CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
                     CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
                     CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
                     CASE WHEN rolreplication THEN 'REPLICATION' END) AS attributes,
           json_agg(privileges || ' ON ' || object ORDER BY object COLLATE "C") AS grants
    FROM by_object JOIN pg_roles ON pg_roles.oid = grantee AND NOT ${IS_STUDIO}
    GROUP BY rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication ORDER BY rolname`);
  return rows;
}
