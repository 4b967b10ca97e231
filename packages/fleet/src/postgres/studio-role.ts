import { quoteIdentifier, quoteLiteral, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { scramVerifier } from './scram';

/** What the studio's role may do with one table; what is not named it may not. */
export interface StudioTable {
  readonly table: string;
  readonly hidden: ReadonlySet<string>;
  /** Columns that are neither filled nor changed. */
  readonly fixed: ReadonlySet<string>;
  readonly privileges: readonly ('insert' | 'update' | 'delete')[];
}

export interface StudioRole {
  readonly name: string;
  readonly password: string;
  readonly database: string;
  /** Marks the role as this studio's, until a later start takes it. */
  readonly owner: string;
  readonly canWrite: boolean;
  readonly connectionLimit: number;
  /** `SET` for every session of it. */
  readonly settings: Readonly<Record<string, string>>;
}

/** How the mark of a studio's role begins, its comment. */
export const STUDIO_MARK = 'azora-db studio';

/** SQL for whether a role of `pg_roles` is a studio's. */
export const IS_STUDIO = `coalesce(shobj_description(pg_roles.oid, 'pg_authid'), '') LIKE '${STUDIO_MARK} %'`;

/** Makes the login role, or takes it over from an earlier start: what that one could do, and its sessions, end. */
export async function claimStudioRole(client: ClientBase, role: StudioRole): Promise<void> {
  const name = quoteIdentifier(role.name);
  await requireRole(client, role.name);
  const settings = Object.entries(role.settings).map(
    ([setting, value]) => `ALTER ROLE ${name} SET ${setting} = ${quoteLiteral(value)}`,
  );
  await client.query(
    [
      'BEGIN',
      `ALTER ROLE ${name} LOGIN NOINHERIT CONNECTION LIMIT ${role.connectionLimit} VALID UNTIL 'infinity'
         PASSWORD ${quoteLiteral(scramVerifier(role.password))}`,
      `COMMENT ON ROLE ${name} IS ${quoteLiteral(role.owner)}`,
      `ALTER ROLE ${name} RESET ALL`,
      ...settings,
      `DROP OWNED BY ${name}`,
      'COMMIT',
    ].join(';\n'),
  );
  await endSessions(client, role.name);
}

/**
 * Takes everything away from the role again, unless a later start has taken it: rights, password and the right to log in.
 * The role itself stays, for a start after this one.
 */
export async function releaseStudioRole(client: ClientBase, role: Pick<StudioRole, 'name' | 'owner'>): Promise<void> {
  const { rows } = await client.query<{ owner: string | null }>(
    `SELECT shobj_description(oid, 'pg_authid') AS owner FROM pg_roles WHERE rolname = $1`,
    [role.name],
  );
  if (rows[0]?.owner !== role.owner) return;
  const name = quoteIdentifier(role.name);
  await client.query(`BEGIN; ALTER ROLE ${name} NOLOGIN PASSWORD NULL; DROP OWNED BY ${name}; COMMIT`);
  await endSessions(client, role.name);
}

/** Only a role that can do nothing by itself is used: what it is granted then is all it can do. */
async function requireRole(client: ClientBase, name: string): Promise<void> {
  const quoted = quoteIdentifier(name);
  const { rows } = await client.query<{ powers: string[] }>(
    `SELECT array_remove(ARRAY[
        CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
        CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
        CASE WHEN rolreplication THEN 'REPLICATION' END,
        (SELECT 'member of ' || string_agg(roleid::regrole::text, ', ') FROM pg_auth_members WHERE member = pg_roles.oid)
      ], NULL) AS powers
     FROM pg_roles WHERE rolname = $1`,
    [name],
  );
  const [found] = rows;
  if (found === undefined) await client.query(`CREATE ROLE ${quoted} NOLOGIN`);
  if (found !== undefined && found.powers.length > 0) {
    throw new SuiteError('STUDIO.ROLE_TOO_POWERFUL', `The role ${name} can do more than the studio may`, {
      why: `It is ${found.powers.join(', ')}.`,
      next: `Take that from it, or drop it: DROP ROLE ${quoted}`,
      meta: { role: name },
    });
  }
  // DROP OWNED wants membership of who is no superuser.
  const { rows: mine } = await client.query<{ able: boolean }>(`SELECT pg_has_role($1::name, 'USAGE') AS able`, [name]);
  if (mine[0]?.able !== true) await client.query(`GRANT ${quoted} TO CURRENT_USER`);
}

async function endSessions(client: ClientBase, name: string): Promise<void> {
  await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [name]);
}
