import type { ColumnSchema } from './model';

/**
 * What a masked backup does with a column: it keeps the value, evaluates its `@mask`, stores NULL, a keyed hash or a pseudonym.
 * `impossible` is a column that has to be replaced and whose type has no replacement.
 */
export type MaskTreatment = 'keep' | 'expression' | 'null' | 'hash' | 'pseudonym' | 'impossible';

/** Base types whose values identify nobody. They are kept, so that ledgers still balance. */
const KEPT = /^(decimal|numeric|integer|bigint|smallint|real|double precision|boolean|timestamp|tsvector)/;
const REPLACED = /^(text|varchar|char|citext|jsonb?|date|bytea|uuid|inet)\b/;
/** Types whose values may hold a copy of anything. Without an annotation they count as derived from personal data. */
const HOLDS_ANYTHING = /^(jsonb?|bytea|xml|hstore)\b/;
/** A hash confirms a guess of the value, so that it counts as a copy. It is recognized by its fixed length, or by its name. */
const HASH_TYPE = /^char\((3[2-9]|[4-9]\d|\d{3,})\)$/;
const HASH_NAME = /(^|_)(hash|checksum|digest)$/;
const TEXT = /^(text|varchar|char|citext)\b/;

/** The treatment of a column, from its annotations and its type. */
export function maskTreatment(column: ColumnSchema): MaskTreatment {
  const { sqlType, enumValues, isNullable, isSecret, mask } = column;
  const isReplaceable = enumValues === undefined && REPLACED.test(sqlType);
  if (mask !== undefined) return 'expression';
  if (isSecret) return isNullable ? 'null' : isReplaceable ? 'hash' : 'impossible';
  if (enumValues !== undefined || KEPT.test(sqlType) || !isPersonal(column)) return 'keep';
  if (isReplaceable) return 'pseudonym';
  return isNullable ? 'null' : 'impossible';
}

function isPersonal({ name, sqlType, pii, derivedFrom }: ColumnSchema): boolean {
  if (pii !== undefined || derivedFrom !== undefined) return true;
  return HOLDS_ANYTHING.test(sqlType) || HASH_TYPE.test(sqlType) || (TEXT.test(sqlType) && HASH_NAME.test(name));
}
