import { type DatabaseUrl, quoteIdentifier, quoteLiteral, SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { Leftover } from '../../system/leftovers';
import { ownerState } from '../../system/owners';
import { withRightsLock } from '../roles';
import { scramVerifier } from '../scram';

/** The login role of a running studio in one database. */
export interface StudioRole {
  readonly name: string;
  readonly password: string;
  readonly database: string;
  /** The comment that marks the role as owned by this studio, until a later start takes the role over. */
  readonly owner: string;
  readonly canWrite: boolean;
  readonly connectionLimit: number;
  /** `ALTER ROLE … SET` for every session of the role. */
  readonly settings: Readonly<Record<string, string>>;
}

/** The privileges of the studio's role on one table. Anything that is not listed is not granted. */
export interface StudioTable {
  readonly table: string;
  /** Columns without SELECT. */
  readonly hidden: ReadonlySet<string>;
  /** Columns without INSERT and UPDATE. */
  readonly fixed: ReadonlySet<string>;
  readonly privileges: readonly ('insert' | 'update' | 'delete')[];
}

/** A column generated from a hidden one: its value reveals the hidden value. */
export interface DerivedColumn {
  readonly table: string;
  readonly column: string;
  readonly source: string;
}

/** The prefix of the comment on a studio's role. */
export const STUDIO_MARK = 'azora-db studio';

/** SQL condition: whether a row of `pg_roles` is the role of a studio. */
export const IS_STUDIO = `coalesce(shobj_description(pg_roles.oid, 'pg_authid'), '') LIKE '${STUDIO_MARK} %'`;

/**
 * Creates the login role, or takes it over from an earlier start: revokes everything it had and ends its sessions.
 * @throws {SuiteError} `STUDIO.ROLE_TOO_POWERFUL`
 */
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

type OwnedRole = Pick<StudioRole, 'name' | 'owner'>;

/**
 * Revokes the role's privileges, password and right to log in, and ends its sessions, unless a later start has taken
 * the role over. The role itself stays for the next start.
 */
export async function releaseStudioRole(client: ClientBase, role: OwnedRole): Promise<void> {
  await release(client, role);
}

/** False when a later start has taken the role over. */
async function release(client: ClientBase, role: OwnedRole): Promise<boolean> {
  const { rows } = await client.query<{ owner: string | null }>(
    `SELECT shobj_description(oid, 'pg_authid') AS owner FROM pg_roles WHERE rolname = $1`,
    [role.name],
  );
  if (rows[0]?.owner !== role.owner) return rows.length === 0;
  const name = quoteIdentifier(role.name);
  await client.query(`BEGIN; ALTER ROLE ${name} NOLOGIN PASSWORD NULL; DROP OWNED BY ${name}; COMMIT`);
  await endSessions(client, role.name);
  return true;
}

/** The role of a studio that may have been killed; `database` is the studio's. */
export interface StudioRemnant extends Leftover {
  readonly database: string;
}

/**
 * Finds the roles of studios that can log in. The one of a killed studio has a password that nobody knows, and its privileges.
 * Versions before 0.2 did not record the process of the studio, so its state is unknown. Removing one disables the role.
 */
export async function findStudioRemnants(
  client: ClientBase,
  roles: ReadonlyMap<string, { readonly database: string; readonly admin: DatabaseUrl }>,
): Promise<readonly StudioRemnant[]> {
  const { rows } = await client.query<{ name: string; owner: string }>(
    `SELECT rolname::text AS name, shobj_description(oid, 'pg_authid') AS owner FROM pg_roles
     WHERE rolcanlogin AND ${IS_STUDIO} AND rolname = ANY($1)`,
    [[...roles.keys()]],
  );
  const found = rows.map(async ({ name, owner }): Promise<readonly StudioRemnant[]> => {
    const place = roles.get(name);
    if (place === undefined) return [];
    const state = await ownerState(owner.slice(STUDIO_MARK.length + 1).split(' ')[1] ?? '');
    return [
      {
        ...{ kind: 'remnant', what: 'role of a studio', name, database: place.database, since: undefined },
        state: state === 'ended' ? 'unused' : state === 'alive' ? 'in-use' : 'unknown',
        bytes: async () => undefined,
        remove: () => disable({ name, owner }, place.admin),
      },
    ];
  });
  return (await Promise.all(found)).flat();
}

/** @throws {SuiteError} `CLEANUP.IN_USE` when a later start has taken the role over */
async function disable(role: OwnedRole, admin: DatabaseUrl): Promise<void> {
  let isReleased = false;
  await withClient(admin, (own) =>
    withRightsLock(own, async () => {
      isReleased = await release(own, role);
    }),
  );
  if (isReleased) return;
  throw new SuiteError('CLEANUP.IN_USE', `The role ${role.name} is in use`, {
    why: 'A studio that started in the meantime uses it.',
    next: 'Stop that studio with Ctrl-C; it then disables the role itself',
    meta: { role: role.name },
  });
}

/**
 * Grants the privileges in `tables` on the tables, partitions and sequences that exist in the current database, in the
 * caller's transaction. Views get no privileges.
 * @throws {SuiteError} `STUDIO.DATABASE_OPEN`, `STUDIO.NOT_HIDDEN`
 */
export async function grantStudioRights(
  client: ClientBase,
  role: StudioRole,
  tables: readonly StudioTable[],
): Promise<void> {
  await requireClosed(client, role.database);
  const names = tables.map(({ table }) => table);
  const { rows } = await client.query<Relation>(RELATIONS, [names]);
  const byTable = new Map(tables.map((table) => [table.table, table]));
  const grantee = quoteIdentifier(role.name);
  const statements = rows.flatMap((relation) => {
    const table = byTable.get(relation.table);
    return table === undefined ? [] : grantsOn(relation, table, grantee);
  });
  await client.query(
    [
      `GRANT CONNECT ON DATABASE ${quoteIdentifier(role.database)} TO ${grantee}`,
      `GRANT USAGE ON SCHEMA public TO ${grantee}`,
      ...statements,
    ].join(';\n'),
  );
  await closeDefinerFunctions(client, role);
  await requireHidden(client, role, rows, byTable);
}

/** Finds the columns of these tables that the database generates from hidden ones. */
export async function findDerived(
  client: ClientBase,
  tables: readonly StudioTable[],
): Promise<readonly DerivedColumn[]> {
  const { rows } = await client.query<DerivedColumn>(DERIVED, [tables.map(({ table }) => table)]);
  const hidden = new Map(tables.map((table) => [table.table, table.hidden]));
  return rows.filter(({ table, source }) => hidden.get(table)?.has(source) === true);
}

/** Creates the role if it is missing. An existing one must have no powers of its own, so that the grants are all it has. */
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
    throw new SuiteError('STUDIO.ROLE_TOO_POWERFUL', `The role ${name} has more privileges than the studio may use`, {
      kind: 'configuration',
      why: `It has: ${found.powers.join(', ')}.`,
      next: `Revoke them, or drop the role: DROP ROLE ${quoted}`,
      meta: { role: name },
    });
  }
  // DROP OWNED needs membership unless the administrator is a superuser.
  const { rows: mine } = await client.query<{ able: boolean }>(`SELECT pg_has_role($1::name, 'USAGE') AS able`, [name]);
  if (mine[0]?.able !== true) await client.query(`GRANT ${quoted} TO CURRENT_USER`);
}

async function endSessions(client: ClientBase, name: string): Promise<void> {
  await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [name]);
}

interface Relation {
  /** Quoted and qualified: `public.events_2026`. */
  readonly relation: string;
  /** The table of the schema: the relation itself, or the table that it is a partition of. */
  readonly table: string;
  readonly columns: readonly string[];
  /** Sequences that `serial` columns own. */
  readonly sequences: readonly string[];
}

function grantsOn({ relation, columns, sequences }: Relation, table: StudioTable, grantee: string): readonly string[] {
  const onColumns = (privilege: string, without: ReadonlySet<string>) => {
    const list = columns.filter((column) => !without.has(column)).map((column) => quoteIdentifier(column));
    return list.length === 0 ? [] : [`GRANT ${privilege} (${list.join(', ')}) ON ${relation} TO ${grantee}`];
  };
  const { privileges } = table;
  return [
    ...onColumns('SELECT', table.hidden),
    ...privileges.flatMap((privilege) =>
      privilege === 'delete'
        ? [`GRANT DELETE ON ${relation} TO ${grantee}`]
        : onColumns(privilege.toUpperCase(), table.fixed),
    ),
    ...(privileges.includes('insert')
      ? sequences.map((sequence) => `GRANT USAGE ON SEQUENCE ${sequence} TO ${grantee}`)
      : []),
  ];
}

/** Closing definer functions to PUBLIC needs a list of legitimate callers; with CONNECT for PUBLIC there is none. */
async function requireClosed(client: ClientBase, database: string): Promise<void> {
  const { rows } = await client.query<{ open: boolean }>(
    `SELECT has_database_privilege('public', $1, 'CONNECT') AS open`,
    [database],
  );
  if (rows[0]?.open !== true) return;
  throw new SuiteError('STUDIO.DATABASE_OPEN', `Every role of the server may connect to ${database}`, {
    kind: 'configuration',
    why: 'The studio cannot restrict its own role while PUBLIC has access.',
    next: 'Run "npm run db:setup", which leaves CONNECT to the app role only',
    meta: { database },
  });
}

/**
 * A SECURITY DEFINER function reads and writes with its owner's privileges, and PUBLIC may call it by default. In one
 * transaction, this grants EXECUTE by name to every role that can connect and revokes it from PUBLIC.
 */
async function closeDefinerFunctions(client: ClientBase, role: StudioRole): Promise<void> {
  const { rows } = await client.query<{ routine: string }>(DEFINER_FUNCTIONS, [role.name]);
  if (rows.length === 0) return;
  const callers = await client.query<{ name: string }>(CALLERS, [role.database, role.name]);
  const names = callers.rows.map(({ name }) => quoteIdentifier(name)).join(', ');
  const statements = rows.flatMap(({ routine }) => [
    ...(names === '' ? [] : [`GRANT EXECUTE ON ROUTINE ${routine} TO ${names}`]),
    `REVOKE EXECUTE ON ROUTINE ${routine} FROM PUBLIC`,
  ]);
  await client.query(statements.join(';\n'));
}

/** Catches what other grants, for example to PUBLIC, give the studio's role. */
async function requireHidden(
  client: ClientBase,
  role: StudioRole,
  relations: readonly Relation[],
  tables: ReadonlyMap<string, StudioTable>,
): Promise<void> {
  const hidden = relations.flatMap(({ relation, table, columns }) =>
    columns.filter((column) => tables.get(table)?.hidden.has(column)).map((column) => ({ relation, column })),
  );
  const { rows } = await client.query<{ found: string }>(
    `SELECT relation || '.' || name AS found FROM unnest($2::text[], $3::text[]) AS hidden (relation, name)
     WHERE has_column_privilege($1::name, relation, name, 'SELECT') OR has_column_privilege($1::name, relation, name, 'UPDATE')
     UNION ALL
     SELECT oid::regprocedure::text FROM (${DEFINER_FUNCTIONS}) AS open_functions`,
    [role.name, hidden.map(({ relation }) => relation), hidden.map(({ column }) => column)],
  );
  if (rows.length === 0) return;
  throw new SuiteError('STUDIO.NOT_HIDDEN', `The studio cannot hide every hidden column of ${role.database}`, {
    kind: 'configuration',
    why: `Other grants, perhaps to PUBLIC, give access to ${rows.map(({ found }) => found).join(', ')}.`,
    next: 'Revoke them from PUBLIC and grant them to the roles that need them, or start with --reveal',
    meta: { database: role.database },
  });
}

/** Includes partitions, because each can be read under its own name. */
const RELATIONS = `
  WITH RECURSIVE known AS (
    SELECT oid, relname::text AS table FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname = ANY ($1)
    UNION
    SELECT inhrelid, known.table FROM pg_inherits JOIN known ON inhparent = known.oid)
  SELECT known.oid::regclass::text AS relation, known.table,
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = known.oid AND attnum > 0 AND NOT attisdropped
          ORDER BY attnum) AS columns,
    ARRAY(SELECT objid::regclass::text FROM pg_depend JOIN pg_class sequence ON sequence.oid = objid AND relkind = 'S'
          WHERE refobjid = known.oid AND classid = 'pg_class'::regclass AND deptype = 'a') AS sequences
  FROM known`;

const DERIVED = `
  SELECT DISTINCT relation.relname::text AS table, made.attname::text AS column, source.attname::text AS source
  FROM pg_class relation
  JOIN pg_attribute made ON made.attrelid = relation.oid AND made.attgenerated <> '' AND NOT made.attisdropped
  JOIN pg_attrdef ON adrelid = relation.oid AND adnum = made.attnum
  JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid AND refobjid = relation.oid
    AND refclassid = 'pg_class'::regclass AND refobjsubid > 0 AND refobjsubid <> made.attnum
  JOIN pg_attribute source ON source.attrelid = relation.oid AND source.attnum = refobjsubid
  WHERE relation.relnamespace = 'public'::regnamespace AND relation.relname = ANY ($1)`;

/** Trigger functions are left out: they cannot be called directly, and firing a trigger needs no EXECUTE. */
const DEFINER_FUNCTIONS = `
  SELECT oid, oid::regprocedure::text AS routine FROM pg_proc
  WHERE prosecdef AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND has_function_privilege($1::name, oid, 'EXECUTE')`;

const CALLERS = `
  SELECT DISTINCT rolname::text AS name FROM pg_database CROSS JOIN aclexplode(datacl) AS acl
  JOIN pg_roles ON pg_roles.oid = acl.grantee
  WHERE datname = $1 AND acl.privilege_type = 'CONNECT' AND rolname <> $2 AND NOT rolsuper`;
