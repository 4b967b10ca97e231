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

/** The schema in which `azora-db import` keeps its journal. No migration makes it. */
export const IMPORT_JOURNAL = 'azora_import';

/**
 * The schemas of users as `space`, and their relations as `relation`: two entries of a WITH clause. Names outside of schema
 * public begin with their schema. Left out are relations of extensions, Prisma's history table, and partitions in another
 * schema than their table, which functions make and drop as time goes by.
 */
export const OWN_RELATIONS = `
  space AS MATERIALIZED (
    SELECT oid, nspname::text AS schema, CASE nspname WHEN 'public' THEN '' ELSE concat(nspname, '.') END AS prefix
    FROM pg_namespace WHERE nspname NOT IN ('information_schema', '${IMPORT_JOURNAL}') AND nspname NOT LIKE 'pg\\_%'
  ),
  relation AS MATERIALIZED (
    SELECT pg_class.*, concat(prefix, relname) AS name, pg_class.oid::regclass::text AS quoted
    FROM pg_class JOIN space ON space.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
      AND NOT (schema = 'public' AND relname = '_prisma_migrations')
      AND NOT (relispartition AND relnamespace <>
        (SELECT root.relnamespace FROM pg_class root WHERE root.oid = pg_partition_root(pg_class.oid)))
      AND ${isOwnObject('pg_class.oid', 'pg_class')}
  )`;
