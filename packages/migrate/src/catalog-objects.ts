import { OTHER_OBJECTS } from './catalog-others';
import { ATTRIBUTES, RELATION_OBJECTS } from './catalog-relations';
import { isOwnObject, OWN_RELATIONS } from './catalog-scope';

/**
 * The objects in the schemas of users that a migration can make, one row each: kind, name and definition, and for what belongs
 * to a relation the quoted name of the relation and the name within it. It is what pg_dump prints for the schema, and the
 * invalid indexes and disabled foreign keys that pg_dump does not print. Left out are owners, grants, security labels, values
 * of sequences, user mappings, publications and subscriptions, the names of NOT NULL constraints, and the order of columns,
 * which no migration can restore.
 */
export const CATALOG_OBJECTS = `
  WITH ${OWN_RELATIONS}, ${ATTRIBUTES}
  ${RELATION_OBJECTS}
  UNION ALL${OTHER_OBJECTS}`;

/** The rights on relations, columns, functions and schemas. A function whose default rights are written out has none. */
export const CATALOG_GRANTS = `
  WITH ${OWN_RELATIONS}
  SELECT 'grant' AS kind, object, string_agg(item::text, ' ' ORDER BY item::text COLLATE "C") AS definition,
    NULL::text AS relation, NULL::text AS name
  FROM (
    SELECT name AS object, relacl AS acl FROM relation
    UNION ALL
    SELECT concat(name, '.', attname), attacl FROM relation JOIN pg_attribute ON attrelid = relation.oid
    UNION ALL
    SELECT pg_proc.oid::regprocedure::text, proacl FROM pg_proc JOIN space ON space.oid = pronamespace
      WHERE ${isOwnObject('pg_proc.oid', 'pg_proc')}
        AND NOT (proacl @> acldefault('f', proowner) AND proacl <@ acldefault('f', proowner))
    UNION ALL
    SELECT concat('schema ', schema), nspacl FROM pg_namespace JOIN space USING (oid)
  ) AS held, unnest(acl) AS item
  GROUP BY object`;
