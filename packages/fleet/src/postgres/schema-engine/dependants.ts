import { IS_USER_SCHEMA, namePart, partsOf, SCHEMA_PREFIX } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { type ParsedStatement, parseScript, typeNameOf } from '../analysis/parse';

/** An object that must be dropped before the type of its column changes, and made again afterwards. */
interface Dependant {
  readonly drop: string;
  readonly make: readonly string[];
}

/** Functions that call each other would have no end. */
const DEEPEST = 32;

/**
 * The objects to drop before an enumeration is replaced, as `gone`, with the length of the longest way to it: those that depend on
 * the type or on a column of it, and those that depend on these. PostgreSQL itself rebuilds the keys and plain
 * indexes of a column whose type changes.
 */
const GONE = `
  enumeration AS (
    SELECT pg_type.oid, typarray FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace
    WHERE ${IS_USER_SCHEMA} AND concat(${SCHEMA_PREFIX}, ${namePart('typname')}) = ANY ($1)
  ),
  affected (classid, objid, objsubid, retyped, depth) AS (
    SELECT 'pg_type'::regclass::oid, type, 0, false, 0 FROM enumeration, unnest(ARRAY[enumeration.oid, typarray]) AS type
    UNION
    SELECT 'pg_class'::regclass::oid, attrelid, attnum::int, attgenerated = '', CASE attgenerated WHEN '' THEN 0 ELSE 1 END
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, enumeration
      WHERE atttypid IN (enumeration.oid, typarray) AND relkind IN ('r', 'p') AND NOT attisdropped
    UNION
    SELECT coalesce(CASE WHEN viewed.oid IS NOT NULL OR attgenerated <> '' THEN 'pg_class'::regclass::oid END, link.classid),
           coalesce(viewed.oid, CASE WHEN attgenerated <> '' THEN adrelid END, link.objid),
           CASE WHEN attgenerated <> '' THEN adnum::int ELSE 0 END, false, depth + 1
      FROM affected
      JOIN pg_depend link ON link.refclassid = affected.classid AND link.refobjid = affected.objid
          AND (affected.objsubid = 0 OR link.refobjsubid = affected.objsubid)
        OR affected.classid = 'pg_class'::regclass AND affected.objsubid = 0 AND link.refclassid = 'pg_type'::regclass
          AND link.refobjid = (SELECT reltype FROM pg_class WHERE pg_class.oid = affected.objid)
      LEFT JOIN pg_rewrite ON link.classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = link.objid
      LEFT JOIN pg_class viewed ON viewed.oid = ev_class AND rulename = '_RETURN'
      LEFT JOIN pg_attrdef ON link.classid = 'pg_attrdef'::regclass AND pg_attrdef.oid = link.objid
      LEFT JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
      LEFT JOIN pg_index ON link.classid = 'pg_class'::regclass AND indexrelid = link.objid
      LEFT JOIN pg_constraint ON link.classid = 'pg_constraint'::regclass AND pg_constraint.oid = link.objid
      WHERE depth < ${DEEPEST}
        AND NOT (link.classid = 'pg_class'::regclass AND link.objid = affected.objid)
        AND viewed.oid IS DISTINCT FROM affected.objid
        AND (adrelid, adnum::int) IS DISTINCT FROM (affected.objid, affected.objsubid)
        AND (link.classid IN ('pg_rewrite'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_proc'::regclass)
          OR link.classid = 'pg_attrdef'::regclass AND (attgenerated <> '' OR atttypid NOT IN (SELECT oid FROM enumeration UNION SELECT typarray FROM enumeration))
          OR contype IN ('c', 'x', 'f') OR contype IN ('p', 'u') AND NOT retyped
          OR indexrelid IS NOT NULL AND (NOT retyped OR indpred IS NOT NULL OR indexprs IS NOT NULL))
  ),
  gone AS (
    SELECT classid, objid, objsubid, max(depth) AS depth FROM affected WHERE depth > 0 GROUP BY 1, 2, 3
  )`;

/** The rights on a view or function that a new one would not have. */
const rightsOn = (object: string, acl: string, owner: string): string => `
  (SELECT array_agg(format('GRANT %s ON %s TO %s%s', privilege_type, ${object},
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
       ORDER BY grantee, privilege_type)
     FROM aclexplode(${acl}) WHERE grantee <> ${owner})`;

const VIEW_KIND = `CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END`;
const ROUTINE_KIND = `CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END`;
const ROUTINE = `format('%s %s', ${ROUTINE_KIND}, pg_proc.oid::regprocedure)`;

/** The statements for each of them: "target" is what COMMENT ON takes. */
const DEPENDANTS = `
  WITH RECURSIVE ${GONE},
  statement (depth, classid, objid, objsubid, target, dropped, made, rights) AS (
    SELECT depth, classid, objid, objsubid, format('CONSTRAINT %I ON %s', conname, conrelid::regclass),
           format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(pg_constraint.oid)), NULL::text[]
      FROM gone JOIN pg_constraint ON classid = 'pg_constraint'::regclass AND objid = pg_constraint.oid
      WHERE conrelid <> 0 AND conparentid = 0
    UNION ALL
    SELECT depth, classid, objid, objsubid, format('INDEX %s', indexrelid::regclass), format('DROP INDEX %s', indexrelid::regclass),
           pg_get_indexdef(indexrelid), NULL
      FROM gone JOIN pg_index ON classid = 'pg_class'::regclass AND objid = indexrelid
        JOIN pg_class ON pg_class.oid = indexrelid AND NOT relispartition
      WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT depth, classid, objid, objsubid, format('TRIGGER %I ON %s', tgname, tgrelid::regclass),
           format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass), pg_get_triggerdef(pg_trigger.oid), NULL
      FROM gone JOIN pg_trigger ON classid = 'pg_trigger'::regclass AND objid = pg_trigger.oid
      WHERE NOT tgisinternal AND tgparentid = 0 AND tgenabled = 'O'
    UNION ALL
    SELECT depth, classid, objid, objsubid, format('POLICY %I ON %s', polname, polrelid::regclass),
           format('DROP POLICY %I ON %s', polname, polrelid::regclass),
           concat_ws(' ', format('CREATE POLICY %I ON %s AS', polname, polrelid::regclass),
             CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, 'FOR',
             CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
             'TO', (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ') FROM unnest(polroles) AS role),
             'USING (' || pg_get_expr(polqual, polrelid) || ')', 'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'), NULL
      FROM gone JOIN pg_policy ON classid = 'pg_policy'::regclass AND objid = pg_policy.oid
    UNION ALL
    SELECT depth, classid, objid, objsubid, format('%s %s', ${VIEW_KIND}, pg_class.oid::regclass),
           format('DROP %s %s', ${VIEW_KIND}, pg_class.oid::regclass),
           concat(format('CREATE %s %s ', ${VIEW_KIND}, pg_class.oid::regclass), 'WITH (' || array_to_string(reloptions, ', ') || ') ',
             E'AS\\n', rtrim(pg_get_viewdef(pg_class.oid), ';'), CASE WHEN NOT relispopulated THEN E'\\n  WITH NO DATA' END),
           ${rightsOn('pg_class.oid::regclass', 'relacl', 'relowner')}
      FROM gone JOIN pg_class ON classid = 'pg_class'::regclass AND objid = pg_class.oid AND relkind IN ('v', 'm')
    UNION ALL
    SELECT depth, classid, objid, objsubid, ${ROUTINE}, format('DROP %s', ${ROUTINE}), rtrim(pg_get_functiondef(pg_proc.oid), E'\\n'),
           CASE WHEN proacl IS NOT NULL THEN array_prepend(format('REVOKE ALL ON %s FROM PUBLIC', ${ROUTINE}),
             ${rightsOn(ROUTINE, 'proacl', 'proowner')}) END
      FROM gone JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND prokind <> 'a'
    UNION ALL
    SELECT depth, classid, objid, objsubid, format('COLUMN %s.%I', attrelid::regclass, attname),
           format('ALTER TABLE %s DROP COLUMN %I', attrelid::regclass, attname),
           format('ALTER TABLE %s ADD COLUMN %I %s%s GENERATED ALWAYS AS (%s) %s', attrelid::regclass, attname,
             format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' NOT NULL' END, pg_get_expr(adbin, adrelid),
             CASE attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END), NULL
      FROM gone JOIN pg_attribute ON classid = 'pg_class'::regclass AND objid = attrelid AND objsubid = attnum AND attgenerated <> ''
        JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum AND attinhcount = 0
    UNION ALL
    SELECT depth, classid, objid, objsubid, NULL, format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', attrelid::regclass, attname),
           format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', attrelid::regclass, attname, pg_get_expr(adbin, adrelid)), NULL
      FROM gone JOIN pg_attrdef ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid
        JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
  )
  SELECT depth, dropped AS drop,
         array_prepend(made, rights) || CASE WHEN description IS NOT NULL THEN ARRAY[format('COMMENT ON %s IS %L', target, description)] END AS make
  FROM statement LEFT JOIN pg_description own ON own.classoid = classid AND own.objoid = objid AND own.objsubid = statement.objsubid
  ORDER BY depth, dropped`;

/**
 * The statements with the dependants of every enumeration that they replace: dropped before, and made again after that. The
 * client's database must be in the state in which the statements will run.
 */
export async function withDependants(client: ClientBase, statements: readonly string[]): Promise<readonly string[]> {
  const parsed = await parseScript({ file: 'migration.sql', sql: statements.map((text) => `${text};\n`).join('') });
  const types = parsed.flatMap(replacedType);
  const first = parsed.findIndex(({ node }) => 'CreateEnumStmt' in node);
  const last = parsed.findLastIndex(({ node }) => 'DropStmt' in node && node.DropStmt.removeType === 'OBJECT_TYPE');
  if (types.length === 0 || first === -1 || last < first) return statements;
  const { rows } = await client.query<Dependant>(DEPENDANTS, [types]);
  const made = rows.flatMap(({ make }) => make);
  const foreignLast = (text: string) => Number(/ FOREIGN KEY /.test(text));
  return [
    ...statements.slice(0, first),
    ...rows.map(({ drop }) => drop).reverse(),
    ...statements.slice(first, last + 1),
    ...made.sort((left, right) => foreignLast(left) - foreignLast(right)),
    ...statements.slice(last + 1),
  ];
}

/** The engine renames an enumeration that it replaces to `<name>_old`. */
function replacedType({ node }: ParsedStatement): readonly string[] {
  if (!('RenameStmt' in node) || node.RenameStmt.renameType !== 'OBJECT_TYPE') return [];
  const { object, newname = '' } = node.RenameStmt;
  const name = object !== undefined && 'List' in object ? typeNameOf(object.List.items) : '';
  return newname === `${partsOf(name).name}_old` ? [name] : [];
}
