import { quoteLiteral } from '@azora/db-core';
import type { ClientBase } from 'pg';

/** The comment on the history table that holds the fingerprint begins with this; the number is the query's version. */
const MARK = 'azora:1';

/**
 * A hash of everything in schema public that a migration makes, in a stable order and by names: columns, constraints,
 * indexes, triggers, functions, enums and extensions. Left out: the history table and what belongs to extensions.
 */
const FINGERPRINT = `
  SELECT md5(string_agg(line, E'\\n' ORDER BY line COLLATE "C"))
  FROM (
    SELECT concat_ws(' ', 'column', relation.relname, attribute.attname, relation.relkind,
        format_type(attribute.atttypid, attribute.atttypmod), attribute.attnotnull, attribute.attidentity,
        attribute.attgenerated, pg_get_expr(default_value.adbin, default_value.adrelid)) AS line
      FROM pg_class relation
      JOIN pg_attribute attribute ON attribute.attrelid = relation.oid AND attribute.attnum > 0
        AND NOT attribute.attisdropped
      LEFT JOIN pg_attrdef default_value ON default_value.adrelid = relation.oid
        AND default_value.adnum = attribute.attnum
      WHERE relation.relnamespace = 'public'::regnamespace AND relation.relkind IN ('r', 'p', 'v', 'm')
        AND relation.relname <> '_prisma_migrations' AND NOT belongs_to_extension(relation.oid)
    UNION ALL
    SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
      FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid <> 0
        AND conrelid <> coalesce(to_regclass('public._prisma_migrations'), 0)
    UNION ALL
    SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid)
      FROM pg_index JOIN pg_class relation ON relation.oid = indexrelid
      WHERE relation.relnamespace = 'public'::regnamespace
        AND indrelid <> coalesce(to_regclass('public._prisma_migrations'), 0)
    UNION ALL
    SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(trigger.oid), trigger.tgenabled)
      FROM pg_trigger trigger JOIN pg_class relation ON relation.oid = trigger.tgrelid
      WHERE NOT trigger.tgisinternal AND relation.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'function', CASE prokind WHEN 'a' THEN proname ELSE pg_get_functiondef(oid) END)
      FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND NOT belongs_to_extension(oid)
    UNION ALL
    SELECT concat_ws(' ', 'enum', typname, string_agg(enumlabel, ',' ORDER BY enumsortorder))
      FROM pg_type JOIN pg_enum ON enumtypid = pg_type.oid
      WHERE typnamespace = 'public'::regnamespace GROUP BY typname
    UNION ALL
    SELECT concat_ws(' ', 'extension', extname) FROM pg_extension
  ) AS lines`.replaceAll(
  /belongs_to_extension\((\w+(?:\.\w+)?)\)/g,
  "EXISTS (SELECT FROM pg_depend WHERE objid = $1 AND deptype = 'e')",
);

const SERVER_MAJOR = "current_setting('server_version_num')::int / 10000";
const STORED = "obj_description(to_regclass('public._prisma_migrations'), 'pg_class')";

/** Keeps the catalog's fingerprint as the comment on the history table, in the caller's transaction. */
export async function storeFingerprint(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ mark: string }>(
    `SELECT concat_ws(' ', '${MARK}', ${SERVER_MAJOR}, (${FINGERPRINT})) AS mark`,
  );
  await client.query(`COMMENT ON TABLE _prisma_migrations IS ${quoteLiteral(rows[0]?.mark ?? '')}`);
}

/**
 * Whether the catalog is other than what the last migration left. Undefined when none was kept, or another major
 * version kept it: PostgreSQL words definitions anew from one to the next.
 */
export async function hasDrifted(client: ClientBase): Promise<boolean | undefined> {
  const { rows } = await client.query<{ stored: string | null; mark: string; live: string }>(
    `SELECT ${STORED} AS stored, concat_ws(' ', '${MARK}', ${SERVER_MAJOR}) AS mark, (${FINGERPRINT}) AS live`,
  );
  const [row] = rows;
  if (row === undefined || !row.stored?.startsWith(`${row.mark} `)) return undefined;
  return row.stored !== `${row.mark} ${row.live}`;
}
