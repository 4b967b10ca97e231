/** A condition on an object of a catalog: it does not belong to an extension, with which it would come and go. */
export const isOwnObject = (oid: string, catalog: string): string =>
  `NOT EXISTS (SELECT FROM pg_depend WHERE classid = '${catalog}'::regclass AND objid = ${oid} AND deptype = 'e')`;

/**
 * A condition on a row of pg_class under that alias: a relation in schema public that migrations made. Relations of
 * extensions and Prisma's history table are left out.
 */
export function isOwnRelation(alias: string): string {
  return `${alias}.relnamespace = 'public'::regnamespace AND ${alias}.relname <> '_prisma_migrations'
    AND ${isOwnObject(`${alias}.oid`, 'pg_class')}`;
}

const RELATIONS = `
  SELECT oid, relname, relkind, relrowsecurity, relforcerowsecurity, relpersistence, reloptions, relacl,
         pg_get_expr(relpartbound, oid) AS bound
  FROM pg_class
  WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND ${isOwnRelation('pg_class')}`;

/**
 * The objects in schema public that a migration can make, one row each: kind, name and definition. Left out are owners,
 * comments, grants, values of sequences, and the order of columns, which no migration can restore.
 *
 * Expressions are printed without parentheses that mean nothing. PostgreSQL stores "a BETWEEN 1 AND 5 AND b" with an AND inside
 * another, and after a restore without.
 */
export const CATALOG_OBJECTS = `
  WITH relation AS MATERIALIZED (${RELATIONS})
  SELECT 'relation' AS kind, relname::text AS object, concat_ws(' ', relkind, relpersistence, relrowsecurity,
      relforcerowsecurity, reloptions, bound, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid, true) END) AS definition
    FROM relation
  UNION ALL
  SELECT 'parent', child.relname::text, parent.inhparent::regclass::text
    FROM pg_inherits parent JOIN relation child ON child.oid = parent.inhrelid
  UNION ALL
  SELECT 'column', concat(relation.relname, '.', attname), concat_ws(' ', format_type(atttypid, atttypmod),
      CASE WHEN attnotnull THEN 'NOT NULL' END, nullif(attidentity, ''), nullif(attgenerated, ''),
      CASE WHEN attcollation <> 0 THEN attcollation::regcollation END, pg_get_expr(adbin, adrelid, true))
    FROM relation
    JOIN pg_attribute ON attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind <> 'S'
  UNION ALL
  SELECT 'sequence', relname::text, concat_ws(' ', format_type(seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax,
      seqcache, seqcycle)
    FROM relation JOIN pg_sequence ON seqrelid = relation.oid
  UNION ALL
  SELECT 'constraint', concat(coalesce(relname, typname), '.', conname), pg_get_constraintdef(pg_constraint.oid, true)
    FROM pg_constraint
    LEFT JOIN relation ON relation.oid = conrelid
    LEFT JOIN pg_type ON pg_type.oid = contypid AND typnamespace = 'public'::regnamespace
    -- The column shows NOT NULL; PostgreSQL 18 also has it as a constraint.
    WHERE contype <> 'n' AND (relname IS NOT NULL OR typname IS NOT NULL)
  UNION ALL
  SELECT 'index', indexrelid::regclass::text, concat_ws(' ', CASE WHEN NOT indisvalid THEN 'invalid' END,
      CASE WHEN indisclustered THEN 'clustered' END, pg_get_indexdef(indexrelid, 0, true))
    FROM pg_index JOIN relation ON relation.oid = indrelid
  UNION ALL
  SELECT 'trigger', concat(relname, '.', tgname), concat_ws(' ', tgenabled, pg_get_triggerdef(pg_trigger.oid, true))
    FROM pg_trigger JOIN relation ON relation.oid = tgrelid WHERE NOT tgisinternal
  UNION ALL
  SELECT 'rule', concat(relname, '.', rulename), concat_ws(' ', ev_enabled, pg_get_ruledef(pg_rewrite.oid, true))
    FROM pg_rewrite JOIN relation ON relation.oid = ev_class WHERE rulename <> '_RETURN'
  UNION ALL
  SELECT 'policy', concat(relname, '.', polname), concat_ws(' ', polcmd, polpermissive, polroles::regrole[],
      pg_get_expr(polqual, polrelid, true), pg_get_expr(polwithcheck, polrelid, true))
    FROM pg_policy JOIN relation ON relation.oid = polrelid
  UNION ALL
  SELECT 'function', oid::regprocedure::text, concat_ws(' ', prokind, CASE WHEN prokind <> 'a' THEN pg_get_functiondef(oid) END)
    FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND ${isOwnObject('pg_proc.oid', 'pg_proc')}
  UNION ALL
  SELECT 'type', typname::text, concat_ws(' ', typtype, CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod) END,
      CASE WHEN typnotnull THEN 'NOT NULL' END, typdefault,
      (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid))
    FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd', 'r') AND ${isOwnObject('pg_type.oid', 'pg_type')}
  UNION ALL
  SELECT 'extension', extname::text, '' FROM pg_extension`;

/** The rights on relations, columns, functions and the schema. A function whose default rights are written out has none. */
export const CATALOG_GRANTS = `
  WITH relation AS MATERIALIZED (${RELATIONS})
  SELECT 'grant' AS kind, object, string_agg(item::text, ' ' ORDER BY item::text COLLATE "C") AS definition
  FROM (
    SELECT relname::text AS object, relacl AS acl FROM relation
    UNION ALL
    SELECT concat(relname, '.', attname), attacl FROM relation JOIN pg_attribute ON attrelid = relation.oid
    UNION ALL
    SELECT oid::regprocedure::text, proacl FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace AND ${isOwnObject('pg_proc.oid', 'pg_proc')}
        AND NOT (proacl @> acldefault('f', proowner) AND proacl <@ acldefault('f', proowner))
    UNION ALL
    SELECT concat('schema ', nspname), nspacl FROM pg_namespace WHERE nspname = 'public'
  ) AS held, unnest(acl) AS item
  GROUP BY object`;
