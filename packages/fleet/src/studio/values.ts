import { types } from 'pg';

/** Types whose values the page wants as JavaScript has them; of every other it gets the text that PostgreSQL prints. */
const PARSED: ReadonlySet<number> = new Set([
  types.builtins.BOOL,
  types.builtins.INT2,
  types.builtins.INT4,
  types.builtins.OID,
  types.builtins.JSON,
  types.builtins.JSONB,
]);
const FLOATS: ReadonlySet<number> = new Set([types.builtins.FLOAT4, types.builtins.FLOAT8]);
/** Of bool, int2, int4, int8, text, varchar, char, float4, float8, json, jsonb, oid and numeric. */
const ARRAYS: ReadonlySet<number> = new Set([
  1000, 1005, 1007, 1016, 1009, 1015, 1014, 1021, 1022, 199, 3807, 1028, 1231,
]);

type Parse = (text: string) => unknown;

const asText: Parse = (text) => text;

/** JSON has no NaN and no infinities: those stay text. */
const asFloat: Parse = (text) => (Number.isFinite(Number(text)) ? Number(text) : text);

/** How values of a type go into the answer. */
export function parserOf(typeId: number): Parse {
  if (FLOATS.has(typeId)) return asFloat;
  return PARSED.has(typeId) || ARRAYS.has(typeId) ? types.getTypeParser(typeId) : asText;
}

/** A parameter of the page's as text for PostgreSQL, which knows its type. */
export function parameterText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return arrayText(value);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function arrayText(values: readonly unknown[]): string {
  const items = values.map((value) => {
    if (Array.isArray(value)) return arrayText(value);
    const text = parameterText(value);
    return text === null ? 'NULL' : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  });
  return `{${items.join(',')}}`;
}
