import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { Stage } from '../stage';
import { JOURNAL_SCHEMA } from './journal';
import { LINKS } from './links';
import { STAGED, stagedColumns } from './staging';
import type { TableReference, TargetTable } from './target-table';

const q = quoteIdentifier;
const list = (names: readonly string[], each: (name: string) => string) => names.map(each).join(', ');

/** The text that identifies a row in the journal. */
export const keyText = (alias: string, key: readonly string[]) =>
  `jsonb_build_array(${list(key, (name) => `${alias}.${q(name)}`)})::text`;

/** The hash of a row of the table, over all columns that do not follow from others. */
export const rowHash = (alias: string, columns: readonly { readonly name: string }[]) =>
  `md5(ROW(${columns.map(({ name }) => `${alias}.${q(name)}`).join(', ')})::text)::uuid`;

const matches = (left: string, right: string, key: readonly string[]) =>
  key.map((name) => `${left}.${q(name)} = ${right}.${q(name)}`).join(' AND ');

/** The columns whose values decide whether a row that exists is updated. */
export function comparedColumns({ columns, key, keep = [] }: Stage): readonly string[] {
  return columns.filter((name) => !key.includes(name) && !keep.includes(name));
}

/**
 * The rows of the batch from $1 to $2 with the types of the table: `keyed` holds one row for each key, with its text in `#key`, and
 * `repeated` the others. A linked row that is new gets its key from the sequence, or none when nothing is written.
 */
export function typedRows(
  stage: Stage,
  { relation, columns }: TargetTable,
  options: { readonly draws: boolean },
): string {
  const { key, expressions = {}, isLinked } = stage;
  const baseOf = new Map(columns.map(({ name, base }) => [name, base]));
  const typed = stage.columns.map((name) => {
    const value = name in expressions ? `(${expressions[name]})` : `row.${q(name)}`;
    return `CAST(${value} AS ${baseOf.get(name)}) AS ${q(name)}`;
  });
  const content = `md5(ROW(${list(stagedColumns(stage), (name) => `row.${q(name)}`)})::text)::uuid AS "#content"`;
  const [generated = ''] = key;
  const drawn = options.draws
    ? `coalesce(CAST(link.key AS ${baseOf.get(generated)}), nextval(pg_get_serial_sequence(${quoteLiteral(relation)}, ${quoteLiteral(generated)})))`
    : `CAST(link.key AS ${baseOf.get(generated)})`;
  const identity = isLinked ? 'row."#legacy"' : keyText('row', key);
  const linkJoin = `LEFT JOIN ${LINKS} AS link ON link.relation = ${quoteLiteral(relation)} AND link.legacy = first."#legacy"`;
  return `
    typed AS MATERIALIZED (
      SELECT row."#ordinal", row."#record", ${[...typed, content].join(', ')}${isLinked ? ', row."legacy" AS "#legacy"' : ''}
      FROM ${STAGED} AS row WHERE row."#ordinal" BETWEEN $1 AND $2
    ), ranked AS MATERIALIZED (
      SELECT row.*, first_value(row."#ordinal") OVER same AS "#first", first_value(row."#content") OVER same AS "#firstContent",
             first_value(row."#record") OVER same AS "#firstRecord"
      FROM typed AS row WINDOW same AS (PARTITION BY ${identity} ORDER BY row."#ordinal")
    ), drawn AS MATERIALIZED (
      SELECT first.*${isLinked ? `, ${drawn} AS ${q(generated)}` : ''}
      FROM ranked AS first ${isLinked ? linkJoin : ''} WHERE first."#ordinal" = first."#first"
    ), keyed AS MATERIALIZED (
      SELECT row.*, ${keyText('row', key)} AS "#key" FROM drawn AS row
    ), repeated AS (
      SELECT "#ordinal", "#content" = "#firstContent" AS "isSame", "#firstRecord" AS "earlier" FROM ranked WHERE "#ordinal" <> "#first"
    )`;
}

/**
 * Settings for statements whose only joins look up rows by the key of an index. The planner knows nothing about the rows of a batch
 * and would now and then read the whole table instead.
 */
export const LOOKUPS_ONLY = 'SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off';

/** The foreign keys whose columns the stage writes. */
function writtenParents({ columns }: Stage, { parents }: TargetTable): readonly TableReference[] {
  return parents.filter((parent) => parent.columns.every((name) => columns.includes(name)));
}

/**
 * Locks the parents of each row, and names the foreign key of a row that lacks one: triggers, and with them foreign keys, are off
 * while an import writes.
 */
function parentLookups(stage: Stage, target: TargetTable) {
  const parents = writtenParents(stage, target);
  const joins = parents.map(({ table, columns, otherColumns }, at) => {
    const isParent = columns
      .map((name, index) => `other.${q(otherColumns[index] ?? '')} = row.${q(name)}`)
      .join(' AND ');
    return `LEFT JOIN LATERAL (SELECT true AS "isThere" FROM ${table} AS other WHERE ${isParent} FOR KEY SHARE OF other)
        AS parent${at} ON true`;
  });
  const rules = parents.map(({ name, table, columns, otherColumns }, at) => {
    const isSet = columns.map((column) => `row.${q(column)} IS NOT NULL`).join(' AND ');
    const own = `(${list(columns, (column) => `row.${q(column)}`)}) NOT IN (SELECT ${list(otherColumns, q)} FROM keyed)`;
    const among = table === target.relation ? ` AND ${own}` : '';
    return `WHEN ${isSet} AND parent${at}."isThere" IS NULL${among} THEN ${quoteLiteral(name)}`;
  });
  return { joins: joins.join('\n      '), rule: rules.length === 0 ? 'NULL::text' : `CASE ${rules.join(' ')} END` };
}

/**
 * Writes the rows from $1 to $2 of the batch of an import ($3), stage ($4) and source ($5), with their journal, in one statement.
 * Returns counts, and the records that it did not write with the reason.
 */
export function writeStatement(stage: Stage, target: TargetTable): string {
  const { relation, columns } = target;
  const { key, isLinked, updatesOnly, newerBy } = stage;
  const written = [...new Set([...stage.columns, ...(isLinked ? key : [])])];
  const compared = comparedColumns(stage);
  const typeOf = new Map(columns.map(({ name, type }) => [name, type]));
  const texts = (alias: string) =>
    `ARRAY[${list(compared, (name) => `CAST(${alias}.${q(name)} AS ${typeOf.get(name)})::text`)}]::text[]`;
  const newer = newerBy === undefined ? '' : ` AND row.${q(newerBy)} > t.${q(newerBy)}`;
  const parents = parentLookups(stage, target);
  const nothing = `SELECT NULL::text AS key, NULL::text AS hash WHERE false`;
  const inserted = updatesOnly
    ? nothing
    : `INSERT INTO ${relation} AS t (${list(written, q)})
      SELECT ${list(written, (name) => `row.${q(name)}`)} FROM judged AS row WHERE row."#isNew" ORDER BY row."#ordinal"
      RETURNING ${keyText('t', key)} AS key, ${rowHash('t', columns)}::text AS hash`;
  const updated =
    compared.length === 0
      ? nothing
      : `UPDATE ${relation} AS t SET ${list(compared, (name) => `${q(name)} = row.${q(name)}`)}
      FROM judged AS row WHERE row."#differs" AND ${matches('t', 'row', key)}
      RETURNING ${keyText('t', key)} AS key, ${rowHash('t', columns)}::text AS hash`;
  const links = isLinked
    ? `, linked AS (
      INSERT INTO ${JOURNAL_SCHEMA}.links (relation, legacy, key)
      SELECT ${quoteLiteral(relation)}, row."#legacy", row.${q(key[0] ?? '')}::text FROM judged AS row WHERE row."#isNew"
      ON CONFLICT DO NOTHING)`
    : '';
  return `
    WITH ${typedRows(stage, target, { draws: true })}, placed AS MATERIALIZED (
      SELECT row.*, seen.record AS "#seen", seen.content AS "#seenContent", ${parents.rule} AS "#orphan"
      FROM keyed AS row
      LEFT JOIN LATERAL (
        SELECT record, content FROM ${JOURNAL_SCHEMA}.imported_rows AS journal
        WHERE journal.import_id = $3 AND journal.stage = $4 AND journal.key = row."#key") AS seen ON true
      ${parents.joins}
    ), judged AS MATERIALIZED (
      SELECT row.*, known.before AS "#before", known.differs AS "#differs",
             row."#seen" IS NULL AND row."#orphan" IS NULL AND known.before IS NULL AS "#isNew"
      FROM placed AS row
      LEFT JOIN LATERAL (
        SELECT ARRAY[${list(
          columns.map(({ name }) => name),
          (name) => `t.${q(name)}::text`,
        )}] AS before, ${texts('t')} IS DISTINCT FROM ${texts('row')}${newer} AS differs
        FROM ${relation} AS t
        WHERE ${matches('t', 'row', key)} AND row."#seen" IS NULL AND row."#orphan" IS NULL FOR UPDATE OF t) AS known ON true
    ), inserted AS (${inserted}), updated AS (${updated})${links}, outcome AS (
      SELECT "#key" AS key, '='::text AS action, NULL::text AS hash, "#record" AS record, "#content"::text AS content, "#before" AS before
      FROM judged AS row WHERE row."#before" IS NOT NULL OR row."#isNew"
      UNION ALL SELECT key, 'i', hash, NULL, NULL, NULL FROM inserted
      UNION ALL SELECT key, 'u', hash, NULL, NULL, NULL FROM updated
    ), noted AS (
      INSERT INTO ${JOURNAL_SCHEMA}.imported_rows (import_id, stage, key, action, source, record, content, hash, before)
      SELECT $3, $4, key, max(action COLLATE "C")::"char", $5, max(record), max(content)::uuid, max(hash)::uuid,
             CASE WHEN max(action COLLATE "C") = 'u' THEN max(before) END
      FROM outcome GROUP BY key HAVING ${updatesOnly ? 'max(before) IS NOT NULL' : 'true'}
    ), repeats AS (
      SELECT "#ordinal", "isSame", earlier FROM repeated
      UNION ALL SELECT "#ordinal", "#content" = "#seenContent", "#seen" FROM judged WHERE "#seen" IS NOT NULL
    )
    SELECT (SELECT count(*)::int FROM inserted) AS inserted, (SELECT count(*)::int FROM updated) AS updated,
      (SELECT count(*)::int FROM judged WHERE "#before" IS NOT NULL) - (SELECT count(*)::int FROM updated) AS unchanged,
      (SELECT count(*)::int FROM repeats WHERE "isSame") AS duplicates,
      (SELECT coalesce(json_agg(json_build_object('ordinal', "#ordinal", 'earlier', earlier)), '[]')
       FROM repeats WHERE NOT "isSame") AS conflicting,
      (SELECT coalesce(json_agg(json_build_object('ordinal', "#ordinal", 'constraint', "#orphan")), '[]')
       FROM judged WHERE "#orphan" IS NOT NULL AND "#seen" IS NULL) AS orphaned,
      ${updatesOnly ? `(SELECT coalesce(json_agg("#ordinal"), '[]') FROM judged WHERE "#isNew")` : `'[]'::json`} AS missing`;
}
