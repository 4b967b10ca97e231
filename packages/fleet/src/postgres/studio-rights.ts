import { quoteIdentifier, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { StudioRole, StudioTable } from './studio-role';

/** A column that is generated from a hidden one, and so tells what that holds. */
export interface DerivedColumn {
  readonly table: string;
  readonly column: string;
  readonly source: string;
}

interface Relation {
  /** `public.events_2026`, quoted. */
  readonly relation: string;
  /** The table of the schema: the relation itself, or that which it is a partition of. */
  readonly table: string;
  readonly columns: readonly string[];
  /** Of columns like `serial`. */
  readonly sequences: readonly string[];
}

/** Grants what `tables` says on what the current database has of them, in the caller's transaction; nothing on views. */
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

/** Columns of these tables that the database computes from hidden ones. */
export async function findDerived(
  client: ClientBase,
  tables: readonly StudioTable[],
): Promise<readonly DerivedColumn[]> {
  const { rows } = await client.query<DerivedColumn>(DERIVED, [tables.map(({ table }) => table)]);
  const hidden = new Map(tables.map((table) => [table.table, table.hidden]));
  return rows.filter(({ table, source }) => hidden.get(table)?.has(source) === true);
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

/** A database that everybody may connect to has callers that nobody knows; setting up closes it. */
async function requireClosed(client: ClientBase, database: string): Promise<void> {
  const { rows } = await client.query<{ open: boolean }>(
    `SELECT has_database_privilege('public', $1, 'CONNECT') AS open`,
    [database],
  );
  if (rows[0]?.open !== true) return;
  throw new SuiteError('STUDIO.DATABASE_OPEN', `Every role of the server may connect to ${database}`, {
    why: 'What the studio may see cannot be held apart from what everybody may.',
    next: 'Run "npm run db:setup", which lets only the app role connect',
    meta: { database },
  });
}

/**
 * A function that runs as its owner reads and writes what the owner may, and everybody may call it. Here only those may
 * who can connect anyway: they are granted by name what PUBLIC loses, in one transaction.
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

/** What was granted by others, to PUBLIC for instance, is found here. */
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
  throw new SuiteError('STUDIO.NOT_HIDDEN', `The studio could read what it must hide in ${role.database}`, {
    why: `Others granted it, to PUBLIC perhaps: ${rows.map(({ found }) => found).join(', ')}.`,
    next: 'Revoke that from PUBLIC and grant it to those who need it, or start with --reveal',
    meta: { database: role.database },
  });
}

/** Partitions come with the table that they belong to, for they can be read by their own names. */
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

/** A trigger's function cannot be called, and its trigger asks for no right. */
const DEFINER_FUNCTIONS = `
  SELECT oid, oid::regprocedure::text AS routine FROM pg_proc
  WHERE prosecdef AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND has_function_privilege($1::name, oid, 'EXECUTE')`;

const CALLERS = `
  SELECT DISTINCT rolname::text AS name FROM pg_database CROSS JOIN aclexplode(datacl) AS acl
  JOIN pg_roles ON pg_roles.oid = acl.grantee
  WHERE datname = $1 AND acl.privilege_type = 'CONNECT' AND rolname <> $2 AND NOT rolsuper`;
