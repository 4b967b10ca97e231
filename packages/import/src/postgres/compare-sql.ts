import { quoteIdentifier } from '@azora/db-core';
import type { Stage } from '../stage';
import { comparedColumns, typedRows } from './batch-sql';
import type { TargetTable } from './target-table';

const q = quoteIdentifier;
/** The keys that a plan or a verification has seen in a stage, as a run would find them in its journal. */
const SEEN_NAME = 'azora_seen';
const SEEN = `pg_temp.${SEEN_NAME}`;

export const CREATE_SEEN = `DROP TABLE IF EXISTS ${SEEN}; CREATE TEMP TABLE azora_seen (identity text PRIMARY KEY, content uuid NOT NULL)`;
export const DROP_SEEN = `DROP TABLE IF EXISTS ${SEEN}`;

/** The sum of the first 64 bits of hashes: equal for equal sets of rows in any order. */
const sum = (hash: string) =>
  `coalesce(sum(('x' || left(${hash}, 16))::bit(64)::bigint::numeric) FILTER (WHERE "isNewer" OR here = there), 0)::text`;

/**
 * Compares the staged rows from $1 to $2 with the table and writes nothing to it. Returns how many are new, different or the same,
 * how many repeat an earlier row, how many take the unique values of another row, and the hashes of the rows in the source and
 * in the table.
 */
export function compareStatement(stage: Stage, target: TargetTable): string {
  const { key, isLinked } = stage;
  const compared = comparedColumns(stage);
  const typeOf = new Map(target.columns.map(({ name, type }) => [name, type]));
  const text = (alias: string) =>
    `jsonb_build_array(${compared.map((name) => `CAST(${alias}.${q(name)} AS ${typeOf.get(name)})::text`).join(', ')})::text`;
  const matches = key.map((name) => `t.${q(name)} = row.${q(name)}`).join(' AND ');
  const newer = stage.newerBy === undefined ? '' : ` AND row.${q(stage.newerBy)} > t.${q(stage.newerBy)}`;
  const identity = isLinked ? 'row."#legacy"' : 'row."#key"';
  const written = new Set(stage.columns);
  const uniques = target.uniques.filter(
    ({ expressions, columns }) =>
      !isLinked && expressions.some((it) => !key.includes(unquoted(it))) && columns.every((name) => written.has(name)),
  );
  const collisions = uniques.map(({ expressions, condition }) => {
    const values = expressions.map((it, at) => `${it} AS e${at}`).join(', ');
    const keys = key.map((name) => `${q(name)} AS ${q(`k ${name}`)}`).join(', ');
    const same = expressions.map((_, at) => `mine.e${at} = other.e${at}`).join(' AND ');
    const differs = key.map((name) => `mine.${q(`k ${name}`)} = other.${q(`k ${name}`)}`).join(' AND ');
    return `SELECT mine."#ordinal" FROM (SELECT "#ordinal", ${keys}, ${values} FROM fresh WHERE ${condition}) AS mine
      JOIN (SELECT ${keys}, ${values} FROM ${target.relation} WHERE ${condition}) AS other ON ${same} WHERE NOT (${differs})`;
  });
  return `
    WITH ${typedRows(stage, target, { draws: false })}, added AS (
      INSERT INTO ${SEEN} (identity, content) SELECT ${identity}, row."#content" FROM keyed AS row ON CONFLICT DO NOTHING
    ), fresh AS MATERIALIZED (
      SELECT row.*, known.there, known.here, known."isNewer" FROM keyed AS row
      LEFT JOIN LATERAL (SELECT true AS "isThere" FROM ${SEEN} WHERE ${SEEN_NAME}.identity = ${identity}) AS seen ON true
      LEFT JOIN LATERAL (
        SELECT ${text('t')} AS there, ${text('row')} AS here, true${newer} AS "isNewer" FROM ${target.relation} AS t
        WHERE ${matches} OFFSET 0) AS known ON true
      WHERE seen."isThere" IS NULL
    ), colliding AS (${collisions.length === 0 ? 'SELECT NULL::integer AS "#ordinal" WHERE false' : collisions.join(' UNION ')})
    SELECT count(*) FILTER (WHERE there IS NULL)::int AS missing,
      count(*) FILTER (WHERE here <> there AND "isNewer")::int AS different,
      count(*) FILTER (WHERE here = there OR NOT "isNewer")::int AS same,
      (SELECT count(*)::int FROM typed) - count(*)::int AS repeated,
      (SELECT count(*)::int FROM colliding) AS colliding,
      ${sum('md5("#key" || here)')} AS "sourceHash", ${sum('md5("#key" || there)')} AS "targetHash"
    FROM fresh`;
}

const unquoted = (expression: string) => expression.replace(/^"(.*)"$/, '$1').replaceAll('""', '"');
