import { SuiteError } from '@azora/db-core/errors';
import type { ClientBase } from 'pg';
import { IS_USER_SCHEMA, isOwnObject } from './catalog-scope';
import { HISTORY, type HistoryRow, isApplied, readHistory } from './history';

/** The objects of a database without applied migrations. */
interface ForeignContents {
  readonly database: string;
  readonly count: number;
  /** The names of the first objects, with their schema: `public.users`. */
  readonly examples: readonly string[];
  /** Whether one of them is in schema public, where migrations make their objects. */
  readonly inPublic: boolean;
  readonly hasHistoryTable: boolean;
}

const EXAMPLES = 3;

/** A condition on a row of pg_class: a sequence of a serial or identity column, which comes and goes with its table. */
const BELONGS_TO_COLUMN = `EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
      AND refobjsubid > 0 AND deptype IN ('a', 'i') AND relkind = 'S')`;

/**
 * Every object in the schemas of users: relations, functions and types, except those of extensions and Prisma's history
 * table. Indexes, row types and array types belong to other objects.
 */
const OWN_OBJECTS = `
  SELECT nspname, relname::text AS name FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND ${isOwnObject('pg_class.oid', 'pg_class')}
      AND NOT (nspname = 'public' AND relname = '_prisma_migrations') AND NOT ${BELONGS_TO_COLUMN}
  UNION ALL
  SELECT nspname, proname::text FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE ${isOwnObject('pg_proc.oid', 'pg_proc')}
  UNION ALL
  SELECT nspname, typname::text FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace
    WHERE typtype IN ('e', 'd', 'r') AND ${isOwnObject('pg_type.oid', 'pg_type')}`;

const FOREIGN_CONTENTS = `
  SELECT current_database()::text AS database, count(*)::int AS count,
         coalesce(bool_or(nspname = 'public'), false) AS "inPublic",
         to_regclass('${HISTORY}') IS NOT NULL AS "hasHistoryTable",
         (array_agg(concat(nspname, '.', name) ORDER BY nspname <> 'public', nspname COLLATE "C", name COLLATE "C")
         )[1:${EXAMPLES}] AS examples
  FROM (${OWN_OBJECTS}) AS own
  WHERE ${IS_USER_SCHEMA}`;

/**
 * Rejects a database that contains objects and no applied migration, as Prisma does with P3005: the first migration would
 * fail on it, or mix its tables with those of another product. Changes nothing. `service` is the name for the next step.
 * @throws {SuiteError} `MIGRATION.SCHEMA_NOT_EMPTY`
 */
export async function refuseForeignContents(
  client: ClientBase,
  history: readonly HistoryRow[],
  service = '<service>',
): Promise<void> {
  if (history.some(isApplied)) return;
  const { rows } = await client.query<ForeignContents>(FOREIGN_CONTENTS);
  const [found] = rows;
  if (found === undefined || found.count === 0) return;
  // An empty history table is the end of a run down: what is left here was made beside the migrations.
  if (found.hasHistoryTable && history.length === 0) return;
  // A runner of another tool may have applied the first migration since the history was read.
  if ((await readHistory(client)).some(isApplied)) return;
  throw schemaNotEmpty(found, service);
}

function schemaNotEmpty({ database, count, examples, inPublic }: ForeignContents, service: string): SuiteError {
  const more = count > examples.length ? ` and ${count - examples.length} more` : '';
  const adopt = `If they are the objects of this service, run "npx azora-db migrate baseline ${service}"; otherwise use`;
  return new SuiteError(
    'MIGRATION.SCHEMA_NOT_EMPTY',
    `The database ${database} is not empty and has no applied migration`,
    {
      kind: 'configuration',
      why: `It contains ${examples.join(', ')}${more}. Nothing was changed.`,
      next: `${inPublic ? adopt : 'Use'} an empty database, or one that does not exist yet`,
      meta: { database, count, examples },
    },
  );
}
