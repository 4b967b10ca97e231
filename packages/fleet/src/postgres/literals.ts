/** What a statement is made of and may hold a value or look like one, the first that fits; the rest is marks and spaces. */
const PARTS = new RegExp(
  [
    // A comment may hold another.
    String.raw`(?<comment>--[^\n]*|/\*(?:/\*[\s\S]*?\*/|(?!\*/)[\s\S])*(?:\*/|$))`,
    String.raw`[eE]'(?:[^'\\]|''|\\[\s\S])*(?:'|$)`,
    "(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)",
    String.raw`(?<name>"(?:[^"]|"")*"|\$\d+|[\p{L}_][\p{L}\p{N}_$]*)`,
    String.raw`\$(?<tag>(?:[\p{L}_][\p{L}\p{N}_]*)?)\$[\s\S]*?(?:\$\k<tag>\$|$)`,
    String.raw`0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?`,
  ].join('|'),
  'gu',
);

/**
 * A statement with `?` for every value in it, and without its comments. PostgreSQL keeps most statements with `$1` for their
 * values, but not those that are no queries (`CREATE ROLE … PASSWORD '…'`), nor one that was forgotten while it ran.
 */
export function withoutLiterals(sql: string): string {
  return sql.replace(PARTS, (part: string, ...rest: unknown[]) => {
    const groups = rest.at(-1);
    if (typeof groups !== 'object' || groups === null) return '?';
    if ('name' in groups && groups.name !== undefined) return part;
    return 'comment' in groups && groups.comment !== undefined ? ' ' : '?';
  });
}
