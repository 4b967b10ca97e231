import { quoteIdentifier, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { Stage } from '../stage';

interface TableColumn {
  readonly name: string;
  /** With its length, such as `character varying(255)`. */
  readonly type: string;
  /** Without its length (`bpchar`, not `character`, which is one character), because a cast to the full type cuts off what is too long. */
  readonly base: string;
}

/** A foreign key of the table, or one that points to it. */
export interface TableReference {
  readonly name: string;
  /** The other table, quoted, with its schema. */
  readonly table: string;
  /** The columns of the table of the stage, and those of the other table. */
  readonly columns: readonly string[];
  readonly otherColumns: readonly string[];
}

/** A unique index of the table, with SQL expressions over its columns. */
export interface TableUnique {
  readonly name: string;
  readonly expressions: readonly string[];
  /** All columns in the expressions and in the condition. */
  readonly columns: readonly string[];
  /** The condition of a partial index. */
  readonly condition: string;
}

/** What the statements of a stage need to know about its table. */
export interface TargetTable {
  /** With its schema, quoted where that is necessary: `public.tasks`. */
  readonly relation: string;
  /** Without generated columns, which follow from the others. */
  readonly columns: readonly TableColumn[];
  readonly parents: readonly TableReference[];
  readonly children: readonly TableReference[];
  readonly uniques: readonly TableUnique[];
}

const NAME_OF = (table: string) =>
  `(SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = ${table})`;

const COLUMNS = `
  SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type,
         format_type(atttypid, -1) AS base
  FROM pg_attribute
  WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
  ORDER BY attnum`;

const NAMES_OF = (table: string, positions: string) => `
  (SELECT array_agg(attname::text ORDER BY ordinality) FROM unnest(${positions}) WITH ORDINALITY AS it (position, ordinality)
   JOIN pg_attribute ON attrelid = ${table} AND attnum = position)`;

/** Constraints of partitions repeat those of their table. */
const PARENTS = `
  SELECT conname::text AS name, ${NAME_OF('confrelid')} AS table,
         ${NAMES_OF('conrelid', 'conkey')} AS columns, ${NAMES_OF('confrelid', 'confkey')} AS "otherColumns"
  FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass($1) AND conparentid = 0 ORDER BY conname`;

const CHILDREN = `
  SELECT conname::text AS name, ${NAME_OF('conrelid')} AS table,
         ${NAMES_OF('confrelid', 'confkey')} AS columns, ${NAMES_OF('conrelid', 'conkey')} AS "otherColumns"
  FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass($1) AND conparentid = 0 ORDER BY conname`;

const UNIQUES = `
  SELECT index.indexrelid::regclass::text AS name, coalesce(pg_get_expr(indpred, indrelid), 'true') AS condition,
         (SELECT array_agg(pg_get_indexdef(index.indexrelid, position, true) ORDER BY position)
          FROM generate_series(1, indnkeyatts) AS position) AS expressions,
         (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = indrelid AND attnum > 0
            AND (attnum = ANY (indkey) OR EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = index.indexrelid
              AND refclassid = 'pg_class'::regclass AND refobjid = indrelid AND refobjsubid = attnum))) AS columns
  FROM pg_index AS index WHERE indrelid = to_regclass($1) AND indisunique ORDER BY 1`;

/**
 * Reads the table of a stage from the catalog.
 * @throws {SuiteError} `IMPORT.UNKNOWN_TABLE`, `IMPORT.UNKNOWN_COLUMN`
 */
export async function readTargetTable(client: ClientBase, stage: Stage): Promise<TargetTable> {
  const { rows: named } = await client.query<{ relation: string | null }>(
    `SELECT ${NAME_OF('to_regclass($1)')} AS relation`,
    [`public.${quoteIdentifier(stage.table)}`],
  );
  const relation = named[0]?.relation;
  if (relation === null || relation === undefined) {
    throw new SuiteError('IMPORT.UNKNOWN_TABLE', `The database of ${stage.service} has no table ${stage.table}`, {
      kind: 'usage',
      next: 'Run "npx azora-db migrate up" first, or correct the name of the table',
      meta: { service: stage.service, table: stage.table },
    });
  }
  const target = await readRelations(client, relation);
  const { columns } = target;
  const known = new Set(columns.map(({ name }) => name));
  const unknown = [...stage.key, ...stage.columns].find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new SuiteError('IMPORT.UNKNOWN_COLUMN', `The table ${stage.table} has no column ${unknown} to write`, {
      kind: 'usage',
      why: `Its columns are: ${[...known].join(', ')}.`,
      next: 'Run "npx azora-db migrate up" first, or correct the name of the column',
      meta: { service: stage.service, table: stage.table, column: unknown },
    });
  }
  return target;
}

/** Reads the columns, foreign keys and unique indexes of a table. */
export async function readRelations(client: ClientBase, relation: string): Promise<TargetTable> {
  const { rows: columns } = await client.query<TableColumn>(COLUMNS, [relation]);
  const { rows: parents } = await client.query<TableReference>(PARENTS, [relation]);
  const { rows: children } = await client.query<TableReference>(CHILDREN, [relation]);
  const { rows: uniques } = await client.query<TableUnique>(UNIQUES, [relation]);
  return { relation, columns, parents, children, uniques };
}
