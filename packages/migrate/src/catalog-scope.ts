/** A condition on an object of a catalog: it does not belong to an extension, with which it would come and go. */
export const isOwnObject = (oid: string, catalog: string): string =>
  `NOT EXISTS (SELECT FROM pg_catalog.pg_depend
    WHERE classid = 'pg_catalog.${catalog}'::pg_catalog.regclass AND objid = ${oid} AND deptype = 'e')`;

/** The schema in which `azora-db import` keeps its journal. No migration makes it. */
export const IMPORT_JOURNAL = 'azora_import';

/** A condition on a row of pg_namespace: it is not a schema of the system, nor the journal of imports. */
export const IS_USER_SCHEMA = `nspname NOT IN ('information_schema', '${IMPORT_JOURNAL}') AND nspname NOT LIKE 'pg\\_%'`;

/** A part of a name that is written with dots: quoted if it holds a dot itself. */
export const namePart = (column: string): string =>
  `CASE WHEN ${column} ~ '[."]' THEN quote_ident(${column}) ELSE ${column}::text END`;

/** The beginning of the names in a schema: the schema and a dot, unless it is public. */
export const SCHEMA_PREFIX = `CASE nspname WHEN 'public' THEN '' ELSE concat(${namePart('nspname')}, '.') END`;

/** A condition on a row of pg_class under that alias: a partition in another schema than its table. Functions make and drop these. */
export const isSeparatePartition = (alias: string): string => `(${alias}.relispartition AND ${alias}.relnamespace <>
        (SELECT root.relnamespace FROM pg_class root WHERE root.oid = pg_partition_root(${alias}.oid)))`;

/**
 * A condition on a row of pg_class under that alias: a relation that migrations made, in any schema of users. Relations of
 * extensions, Prisma's history table and partitions in another schema than their table are left out.
 */
export function isOwnRelation(alias: string): string {
  return `${alias}.relnamespace IN (SELECT oid FROM pg_namespace WHERE ${IS_USER_SCHEMA})
    AND NOT (${alias}.relname = '_prisma_migrations' AND ${alias}.relnamespace = 'public'::regnamespace)
    AND NOT ${isSeparatePartition(alias)} AND ${isOwnObject(`${alias}.oid`, 'pg_class')}`;
}

/** The name of a row of pg_class under that alias, for people: with its schema unless that is public. */
export function relationName(alias: string): string {
  return `(SELECT concat(${SCHEMA_PREFIX}, ${namePart(`${alias}.relname`)}) FROM pg_namespace WHERE oid = ${alias}.relnamespace)`;
}

/**
 * The schemas of users as `space`, and their relations as `relation`: two entries of a WITH clause. Names outside of schema
 * public begin with their schema. The relations are those of {@link isOwnRelation}.
 */
export const OWN_RELATIONS = `
  space AS MATERIALIZED (
    SELECT oid, nspname::text AS schema, ${SCHEMA_PREFIX} AS prefix FROM pg_namespace WHERE ${IS_USER_SCHEMA}
  ),
  relation AS MATERIALIZED (
    SELECT pg_class.*, concat(prefix, ${namePart('relname')}) AS name, pg_class.oid::regclass::text AS quoted
    FROM pg_class JOIN space ON space.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
      AND NOT (schema = 'public' AND relname = '_prisma_migrations')
      AND NOT ${isSeparatePartition('pg_class')}
      AND ${isOwnObject('pg_class.oid', 'pg_class')}
  )`;
