/** Characters with a meaning in regular expressions of PostgreSQL. */
const SPECIAL = /[\\^$.|+()[\]{}*?]/g;
/** The parts of a pattern: `**` with a slash is special only where a folder begins. */
const PARTS = /(?<=^|\/)\*\*\/|\*\*|[*?{},]|\[[!^]?.[^\]]*\]|\\.|./gsu;
const WILDCARDS: ReadonlyMap<string, string> = new Map([
  ['**/', '(?:[^/]+/)*'],
  ['**', '.*'],
  ['*', '[^/]*'],
  ['?', '[^/]'],
]);
/** Alternatives. A comma and a closing brace outside of them are ordinary characters. */
const GROUPS: ReadonlyMap<string, { readonly regex: string; readonly depth: number }> = new Map([
  ['{', { regex: '(?:', depth: 1 }],
  [',', { regex: '|', depth: 0 }],
  ['}', { regex: ')', depth: -1 }],
]);

/**
 * The regular expression of PostgreSQL for a glob pattern: `*` and `?` stay within a folder, `**` does not, `[a-z]` and `[!a-z]` are
 * sets, and `{a,b}` are alternatives. Returns undefined for a pattern with a set or alternatives that do not end.
 */
export function globRegex(glob: string): string | undefined {
  let regex = '';
  let depth = 0;
  for (const [part] of glob.matchAll(PARTS)) {
    if (part === '[') return undefined;
    const group = part === '{' || depth > 0 ? GROUPS.get(part) : undefined;
    depth += group?.depth ?? 0;
    regex += group?.regex ?? WILDCARDS.get(part) ?? (part.length > 2 ? setOf(part) : literalOf(part));
  }
  return depth === 0 ? `^(?:${regex})$` : undefined;
}

function setOf(part: string): string {
  const isNegated = /^\[[!^]/.test(part);
  const members = part.slice(isNegated ? 2 : 1, -1).replace(/[\\[\]^]/g, '\\$&');
  return isNegated ? `[^/${members}]` : `[${members}]`;
}

/** A character, or one after a backslash. */
function literalOf(part: string): string {
  return part.replace(/^\\(.)/su, '$1').replace(SPECIAL, '\\$&');
}
