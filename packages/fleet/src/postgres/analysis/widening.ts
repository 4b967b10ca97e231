/** Types of which each holds every value of those before it. */
const CHAINS: readonly (readonly string[])[] = [
  ['smallint', 'integer', 'bigint', 'numeric'],
  ['real', 'double precision'],
  ['character varying', 'text'],
  ['character', 'character varying', 'text'],
];

/** What the parser calls the types that SQL has longer names for. */
const NAMES: Readonly<Record<string, string>> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  varchar: 'character varying',
  bpchar: 'character',
};

/**
 * Whether the second type holds every value of the first. Both as `format_type` gives them, or as the parser does:
 * `character varying(20)`, `varchar(20)`. False when it is not known.
 */
export function isWidening(from: string, to: string): boolean {
  const [old, next] = [partsOf(from), partsOf(to)];
  if (old.name === next.name) return holds(old, next);
  const chain = CHAINS.find((names) => names.includes(old.name) && names.includes(next.name));
  if (chain === undefined || chain.indexOf(old.name) > chain.indexOf(next.name)) return false;
  return next.name === 'numeric' ? next.sizes.length === 0 : holds(old, next);
}

/** A size that is not given is no limit. */
function holds(from: TypeParts, to: TypeParts): boolean {
  if (to.sizes.length === 0) return true;
  const [length = Number.POSITIVE_INFINITY, scale = 0] = from.sizes;
  const [newLength = 0, newScale = 0] = to.sizes;
  return newScale >= scale && newLength - newScale >= length - scale;
}

interface TypeParts {
  readonly name: string;
  readonly sizes: readonly number[];
}

function partsOf(type: string): TypeParts {
  const [, base = type, sizes = '', suffix = ''] =
    /^(.*?)(?:\(([\d, ]+)\))?( with(?:out)? time zone|\[\])?$/.exec(type) ?? [];
  const name = base.trim();
  return {
    name: `${NAMES[name] ?? name}${suffix}`,
    sizes: sizes === '' ? [] : sizes.split(',').map(Number),
  };
}
