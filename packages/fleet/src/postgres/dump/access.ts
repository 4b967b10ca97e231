import type { ClientBase } from 'pg';
import { z } from 'zod';
import { IS_STUDIO } from '../studio/role';

/** The rights of one role; null is PUBLIC. A right that the role may pass on ends with `*`. */
const grant = z.strictObject({ role: z.string().nullable(), rights: z.array(z.string()) });
const grants = z.array(grant);

/** How the texts of a database are compared. */
const locale = z.strictObject({
  /** `c` for the C library, `i` for ICU, `b` for the builtin one. */
  provider: z.string(),
  collate: z.string(),
  ctype: z.string(),
  /** Of ICU and the builtin provider. */
  locale: z.string().nullable(),
  /** Of ICU: what differs from the locale. */
  rules: z.string().nullable(),
});

/** The schema of `access.json`; docs/FORMATS.md describes each field. */
export const accessSchema = z.strictObject({
  /** The role that made the backup. It owns every object that `owners` does not name. */
  administrator: z.string(),
  appRole: z.string(),
  database: z.strictObject({
    grants,
    connectionLimit: z.int(),
    comment: z.string().nullable(),
    /** The settings of ALTER DATABASE, and those of ALTER ROLE IN DATABASE with their role. */
    settings: z.array(z.strictObject({ role: z.string().nullable(), values: z.array(z.string()) })),
    locale,
  }),
  /** The objects with another owner than the administrator. */
  owners: z.array(z.strictObject({ kind: z.string(), name: z.string(), owner: z.string() })),
  /** The objects and columns whose rights are not those of a new one. */
  grants: z.array(z.strictObject({ kind: z.string(), name: z.string(), column: z.string().nullable(), grants })),
  defaults: z.array(z.strictObject({ role: z.string(), schema: z.string().nullable(), kind: z.string(), grants })),
  /** What the database has and a set cannot carry, such as `the subscription orders`. */
  notCarried: z.array(z.string()),
});

/** Who owns the objects of a database, who may use them, and the settings of the database. */
export type Access = z.infer<typeof accessSchema>;
export type Grant = z.infer<typeof grant>;
export type Locale = z.infer<typeof locale>;

/** The role of the target that stands for a role of the set; undefined when the target has none. */
export type RoleOf = (role: string) => string | undefined;

/** The rights in an ACL, without those of the studio's role, which the studio revokes when it closes. */
const grantsIn = (acl: string, kind: string, owner: string) => `
  (SELECT coalesce(json_agg(json_build_object('role', role, 'rights', rights) ORDER BY role COLLATE "C" NULLS FIRST), '[]')
   FROM (SELECT rolname::text AS role,
                CASE WHEN array_agg(privilege_type) @> "all" AND bool_and(flag = '*') THEN '{ALL*}'
                     WHEN array_agg(privilege_type) @> "all" AND NOT bool_or(flag = '*') THEN '{ALL}'
                     ELSE array_agg(DISTINCT (privilege_type || flag) COLLATE "C") END AS rights
         FROM (SELECT grantee, privilege_type, CASE WHEN is_grantable THEN '*' ELSE '' END AS flag FROM aclexplode(${acl})) AS one
         LEFT JOIN pg_roles ON pg_roles.oid = grantee
         CROSS JOIN (SELECT array_agg(privilege_type) AS "all" FROM aclexplode(acldefault(${kind}, ${owner})) WHERE grantee = ${owner}) AS every
         WHERE grantee = 0 OR (rolname IS NOT NULL AND NOT ${IS_STUDIO}) GROUP BY rolname, "all") AS of_role)`;

/** Catalogs of objects with an owner: the kind in GRANT or ALTER, the prefix of the columns, and the letter of `acldefault`. */
const CATALOGS: readonly (readonly [catalog: string, kind: string, prefix: string, letter: string | null])[] = [
  ['pg_proc', `'ROUTINE'`, 'pro', `'f'`],
  ['pg_namespace', `'SCHEMA'`, 'nsp', `'n'`],
  ['pg_language', `'LANGUAGE'`, 'lan', `'l'`],
  ['pg_foreign_data_wrapper', `'FOREIGN DATA WRAPPER'`, 'fdw', `'F'`],
  ['pg_foreign_server', `'FOREIGN SERVER'`, 'srv', `'S'`],
  ['pg_operator', `'OPERATOR'`, 'opr', null],
  ['pg_opclass', `'OPERATOR CLASS'`, 'opc', null],
  ['pg_opfamily', `'OPERATOR FAMILY'`, 'opf', null],
  ['pg_collation', `'COLLATION'`, 'coll', null],
  ['pg_conversion', `'CONVERSION'`, 'con', null],
  ['pg_ts_dict', `'TEXT SEARCH DICTIONARY'`, 'dict', null],
  ['pg_ts_config', `'TEXT SEARCH CONFIGURATION'`, 'cfg', null],
  ['pg_statistic_ext', `'STATISTICS'`, 'stx', null],
  ['pg_event_trigger', `'EVENT TRIGGER'`, 'evt', null],
  ['pg_publication', `'PUBLICATION'`, 'pub', null],
];

const OBJECTS = `
  SELECT 'pg_class'::regclass::oid AS classid, oid, 0 AS sub, CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
         relowner AS owner, relacl AS acl, CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END AS letter
  FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'pg_class'::regclass, attrelid, attnum, 'COLUMN', relowner, attacl, 'c'
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE attacl IS NOT NULL AND NOT attisdropped
  UNION ALL
  SELECT 'pg_type'::regclass, oid, 0, 'TYPE', typowner, typacl, 'T'
  FROM pg_type
  WHERE typtype <> 'm' AND typcategory <> 'A' AND (typrelid = 0 OR (SELECT relkind FROM pg_class WHERE pg_class.oid = typrelid) = 'c')
  ${CATALOGS.map(
    ([catalog, kind, prefix, letter]) =>
      `UNION ALL SELECT '${catalog}'::regclass, oid, 0, ${kind}, ${prefix}owner, ${letter === null ? 'NULL' : `${prefix}acl`}, ${letter ?? 'NULL'} FROM ${catalog}`,
  ).join('\n  ')}`;

/** The first oid that is not of initdb (FirstNormalObjectId). */
const FIRST_OWN_OID = 16_384;

/** The columns of `pg_database AS database`, whose names differ between versions of the server. */
const LOCALE = `json_build_object(
  'provider', datlocprovider, 'collate', datcollate, 'ctype', datctype,
  'locale', coalesce(to_jsonb(database) ->> 'datlocale', to_jsonb(database) ->> 'daticulocale'),
  'rules', to_jsonb(database) ->> 'daticurules')`;

const QUERY = `
  WITH object AS MATERIALIZED (${OBJECTS})
  SELECT current_user::text AS administrator,
    (SELECT json_build_object(
       'grants', ${grantsIn('datacl', `'d'`, 'datdba')},
       'connectionLimit', datconnlimit,
       'comment', shobj_description(oid, 'pg_database'),
       'settings', (SELECT coalesce(json_agg(json_build_object('role', rolname, 'values', setconfig) ORDER BY rolname COLLATE "C" NULLS FIRST), '[]')
                    FROM pg_db_role_setting LEFT JOIN pg_roles ON pg_roles.oid = setrole WHERE setdatabase = database.oid),
       'locale', ${LOCALE})
     FROM pg_database AS database WHERE datname = current_database()) AS database,
    (SELECT coalesce(json_agg(json_build_object('kind', kind, 'name', identity, 'owner', pg_get_userbyid(owner)::text)
                     ORDER BY kind, identity COLLATE "C"), '[]')
     FROM object CROSS JOIN pg_identify_object(classid, oid, 0)
     WHERE sub = 0 AND owner <> current_user::regrole
       AND (oid >= ${FIRST_OWN_OID} OR (kind = 'SCHEMA' AND identity = 'public' AND owner <> 10 AND pg_get_userbyid(owner) <> 'pg_database_owner'))
       AND NOT EXISTS (SELECT FROM pg_depend WHERE pg_depend.classid = object.classid AND objid = object.oid AND deptype = 'e')
       -- The sequence of a column has the owner of its table.
       AND NOT (kind = 'SEQUENCE' AND EXISTS (SELECT FROM pg_depend
         WHERE pg_depend.classid = object.classid AND objid = object.oid AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')))
    ) AS owners,
    (SELECT coalesce(json_agg(json_build_object(
       'kind', CASE kind WHEN 'COLUMN' THEN 'TABLE' ELSE kind END, 'name', identity,
       'column', (SELECT attname FROM pg_attribute WHERE sub > 0 AND attrelid = object.oid AND attnum = sub),
       'grants', ${grantsIn('acl', 'letter', 'owner')}) ORDER BY kind, identity COLLATE "C", sub), '[]')
     FROM object CROSS JOIN pg_identify_object(classid, oid, 0)
     WHERE acl IS NOT NULL AND acl IS DISTINCT FROM (
       SELECT initprivs FROM pg_init_privs WHERE objoid = object.oid AND classoid = object.classid AND objsubid = sub)
    ) AS grants,
    (SELECT coalesce(json_agg(json_build_object('role', pg_get_userbyid(defaclrole)::text, 'schema', nspname,
       'kind', CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES'
                                  WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END,
       'grants', ${grantsIn('defaclacl', `CASE defaclobjtype WHEN 'S' THEN 's' ELSE defaclobjtype END`, 'defaclrole')})
       ORDER BY defaclrole::regrole::text COLLATE "C", nspname COLLATE "C" NULLS FIRST, defaclobjtype), '[]')
     FROM pg_default_acl LEFT JOIN pg_namespace ON pg_namespace.oid = defaclnamespace) AS defaults,
    ARRAY(SELECT 'the subscription ' || quote_ident(subname) FROM pg_subscription
          WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
          UNION SELECT 'the place in the tablespace ' || quote_ident(spcname)
          FROM pg_database JOIN pg_tablespace ON pg_tablespace.oid = dattablespace
          WHERE datname = current_database() AND spcname <> 'pg_default'
          UNION SELECT 'the security label ' || quote_literal(label) || ' of the database'
          FROM pg_shseclabel WHERE classoid = 'pg_database'::regclass
            AND objoid = (SELECT oid FROM pg_database WHERE datname = current_database())
          UNION SELECT 'the place of objects in the tablespace ' || quote_ident(spcname)
          FROM pg_class JOIN pg_tablespace ON pg_tablespace.oid = reltablespace WHERE pg_class.oid >= ${FIRST_OWN_OID}
          ORDER BY 1) AS "notCarried"`;

/**
 * How the roles of a set are called on a server: its administrator and app role stand for those of the set, and any other role
 * for itself if it exists there.
 */
export async function rolesAt(client: ClientBase, access: Access, appRole: string): Promise<RoleOf> {
  const { rows } = await client.query<{ name: string; administrator: string }>(
    'SELECT rolname::text AS name, current_user::text AS administrator FROM pg_roles',
  );
  const known = new Set(rows.map(({ name }) => name));
  return (role) => {
    if (role === access.administrator) return rows[0]?.administrator;
    const name = role === access.appRole ? appRole : role;
    return known.has(name) ? name : undefined;
  };
}

/** How the texts of the database are compared. */
export async function readLocale(client: ClientBase): Promise<Locale> {
  const { rows } = await client.query<{ locale: Locale }>(
    `SELECT ${LOCALE} AS locale FROM pg_database AS database WHERE datname = current_database()`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('a session is in a database');
  return row.locale;
}

/**
 * Takes from PUBLIC the right to call functions with SECURITY DEFINER. For sets of earlier versions, which do not say who may
 * call them.
 */
export async function closeDefinerFunctions(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(
    `SELECT format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', identity) AS statement
     FROM pg_proc CROSS JOIN pg_identify_object('pg_proc'::regclass, pg_proc.oid, 0)
     WHERE prosecdef AND pg_proc.oid >= ${FIRST_OWN_OID} AND NOT EXISTS (
       SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')`,
  );
  if (rows.length > 0) await client.query(rows.map(({ statement }) => statement).join(';\n'));
}

/** Reads who owns the objects of the database, who may use them, and the settings of the database. */
export async function readAccess(client: ClientBase, appRole: string): Promise<Access> {
  const { rows } = await client.query<Omit<Access, 'appRole'>>(QUERY);
  const [row] = rows;
  if (row === undefined) throw new Error('a SELECT without FROM gives one row');
  return { ...row, appRole };
}
