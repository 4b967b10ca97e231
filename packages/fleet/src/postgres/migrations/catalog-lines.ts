/** Members of extensions come and go with them; the history table is not of the schema. */
const OWN = (oid: string, catalog: string) =>
  `NOT EXISTS (SELECT FROM pg_depend WHERE classid = '${catalog}'::regclass AND objid = ${oid} AND deptype = 'e')`;

const RELATIONS = `
  SELECT oid, relname, relkind, relrowsecurity, relforcerowsecurity, relpersistence, reloptions,
         pg_get_expr(relpartbound, oid) AS bound
  FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    AND relname <> '_prisma_migrations' AND ${OWN('pg_class.oid', 'pg_class')}`;

/**
 * What is in schema public, a line each, by names: what a migration can make and a hand can change. Left out: owners,
 * grants and comments; the order of columns, which no migration can restore; values of sequences.
 */
export const CATALOG_LINES = `
  WITH relation AS MATERIALIZED (${RELATIONS})
  SELECT concat_ws(' ', 'relation', relname, relkind, relpersistence, relrowsecurity, relforcerowsecurity, reloptions,
      bound, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END) AS line
    FROM relation
  UNION ALL
  SELECT concat_ws(' ', 'parent', child.relname, parent.inhparent::regclass)
    FROM pg_inherits parent JOIN relation child ON child.oid = parent.inhrelid
  UNION ALL
  SELECT concat_ws(' ', 'column', relation.relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
      attgenerated, attcollation::regcollation, pg_get_expr(adbin, adrelid))
    FROM relation
    JOIN pg_attribute ON attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind <> 'S'
  UNION ALL
  SELECT concat_ws(' ', 'sequence', relname, format_type(seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax, seqcache,
      seqcycle)
    FROM relation JOIN pg_sequence ON seqrelid = relation.oid
  UNION ALL
  SELECT concat_ws(' ', 'constraint', coalesce(relname, typname), conname, pg_get_constraintdef(pg_constraint.oid))
    FROM pg_constraint
    LEFT JOIN relation ON relation.oid = conrelid
    LEFT JOIN pg_type ON pg_type.oid = contypid AND typnamespace = 'public'::regnamespace
    -- NOT NULL is told by the column; PostgreSQL 18 also has it as a constraint.
    WHERE contype <> 'n' AND (relname IS NOT NULL OR typname IS NOT NULL)
  UNION ALL
  SELECT concat_ws(' ', 'index', relname, indisvalid, indisclustered, pg_get_indexdef(indexrelid))
    FROM pg_index JOIN relation ON relation.oid = indrelid
  UNION ALL
  SELECT concat_ws(' ', 'trigger', tgenabled, pg_get_triggerdef(pg_trigger.oid))
    FROM pg_trigger JOIN relation ON relation.oid = tgrelid WHERE NOT tgisinternal
  UNION ALL
  SELECT concat_ws(' ', 'rule', ev_enabled, pg_get_ruledef(pg_rewrite.oid))
    FROM pg_rewrite JOIN relation ON relation.oid = ev_class WHERE rulename <> '_RETURN'
  UNION ALL
  SELECT concat_ws(' ', 'policy', relname, polname, polcmd, polpermissive, pg_get_expr(polqual, polrelid),
      pg_get_expr(polwithcheck, polrelid))
    FROM pg_policy JOIN relation ON relation.oid = polrelid
  UNION ALL
  SELECT concat_ws(' ', 'function', oid::regprocedure, prokind, CASE WHEN prokind <> 'a' THEN pg_get_functiondef(oid) END)
    FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND ${OWN('pg_proc.oid', 'pg_proc')}
  UNION ALL
  SELECT concat_ws(' ', 'type', typname, typtype, CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod) END,
      typnotnull, typdefault,
      (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid))
    FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd', 'r') AND ${OWN('pg_type.oid', 'pg_type')}
  UNION ALL
  SELECT concat_ws(' ', 'extension', extname) FROM pg_extension`;
