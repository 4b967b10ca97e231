import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import { keyText } from './batch-sql';
import { JOURNAL_SCHEMA } from './journal';
import type { TargetTable } from './target-table';

const q = quoteIdentifier;
const ROWS = `${JOURNAL_SCHEMA}.imported_rows`;

/** A stage as the journal describes it. */
export interface JournaledStage {
  readonly stage: number;
  readonly name: string;
  /** With its schema, quoted where that is necessary. */
  readonly relation: string;
  readonly key: readonly string[];
  readonly keyTypes: readonly string[];
  readonly columns: readonly string[];
  readonly types: readonly string[];
}

/** The next rows to undo; what was kept once stays kept in this run. */
const chosen = `
  chosen AS MATERIALIZED (
    SELECT key, action, hash, before FROM ${ROWS}
    WHERE import_id = $1 AND stage = $2 AND kept IS NULL AND action <> '=' ORDER BY key LIMIT $3
  )`;

const joins = ({ key, keyTypes }: JournaledStage) =>
  key.map((name, at) => `t.${q(name)} = CAST(chosen.key::jsonb ->> ${at} AS ${keyTypes[at]})`).join(' AND ');

/** Locks the rows of the table, so that no row that refers to one of them can appear before the next statement. */
export function lockStatement(stage: JournaledStage): string {
  return `WITH ${chosen} SELECT count(*) FROM (
    SELECT FROM chosen JOIN ${stage.relation} AS t ON ${joins(stage)} FOR UPDATE OF t) AS locked`;
}

/**
 * Undoes the next rows of an import ($1) and stage ($2), at most $3: rows that it inserted go, rows that it updated return to what
 * they were. A row that somebody changed since then, or that another row refers to, stays and is named.
 */
export function undoStatement(stage: JournaledStage, { children }: TargetTable): string {
  const { relation, columns, types, key } = stage;
  const hash = `md5(ROW(${columns.map((name) => `t.${q(name)}`).join(', ')})::text)::uuid`;
  const referring = children.map(({ name, table, columns: own, otherColumns }) => {
    const refers = own.map((column, at) => `other.${q(otherColumns[at] ?? '')} = t.${q(column)}`).join(' AND ');
    return `WHEN chosen.action = 'i' AND EXISTS (SELECT FROM ${table} AS other WHERE ${refers})
            THEN ${quoteLiteral(`${table} refers to it (${name})`)}`;
  });
  const restored = columns.map((name, at) => `${q(name)} = CAST(found.before[${at + 1}] AS ${types[at]})`);
  return `
    WITH ${chosen}, found AS MATERIALIZED (
      SELECT chosen.*, CASE
          WHEN ${hash} IS DISTINCT FROM chosen.hash THEN 'changed since the import'
          ${referring.join('\n          ')}
        END AS reason
      FROM chosen JOIN ${relation} AS t ON ${joins(stage)}
    ), deleted AS (
      DELETE FROM ${relation} AS t USING found AS chosen
      WHERE chosen.reason IS NULL AND chosen.action = 'i' AND ${joins(stage)} RETURNING ${keyText('t', key)} AS key
    ), restored AS (
      UPDATE ${relation} AS t SET ${restored.join(', ')} FROM found
      WHERE found.reason IS NULL AND found.action = 'u' AND ${joins(stage).replaceAll('chosen.', 'found.')}
      RETURNING ${keyText('t', key)} AS key
    ), kept AS (
      UPDATE ${ROWS} AS journal SET kept = found.reason FROM found
      WHERE journal.import_id = $1 AND journal.stage = $2 AND journal.key = found.key AND found.reason IS NOT NULL
      RETURNING journal.key
    ), unlinked AS (
      DELETE FROM ${JOURNAL_SCHEMA}.links AS link USING deleted
      WHERE link.relation = ${quoteLiteral(relation)} AND link.key = deleted.key::jsonb ->> 0
    ), forgotten AS (
      DELETE FROM ${ROWS} AS journal
      WHERE journal.import_id = $1 AND journal.stage = $2 AND journal.key IN (SELECT key FROM chosen)
        AND journal.key NOT IN (SELECT key FROM found WHERE reason IS NOT NULL)
    )
    SELECT (SELECT count(*)::int FROM chosen) AS chosen, (SELECT count(*)::int FROM deleted) AS deleted,
      (SELECT count(*)::int FROM restored) AS restored, (SELECT count(*)::int FROM kept) AS kept,
      (SELECT count(*)::int FROM chosen) - (SELECT count(*)::int FROM found) AS gone`;
}
