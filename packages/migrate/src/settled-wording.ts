import { scanSql, type Token } from './sql';

/** The form in which PostgreSQL prints `varchar IN ('a', 'b')`. */
const LIST = /\b(ANY|ALL) \(\(ARRAY\[((?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)::text\[\]\)/g;
const VALUE = /'(?:[^']|'')*'::character varying/g;
/** Words beside an AND that joins no conditions of the parentheses: a subquery, or the frame of a window. */
const OTHER_AND: ReadonlySet<string> = new Set(['select', 'between']);

/**
 * The wording of a definition after a dump and restore. PostgreSQL reads some texts that it printed into another form with the
 * same meaning: it joins an AND in the first place of an AND (as BETWEEN gives) with the outer one, likewise for OR, and casts
 * each value of a list instead of the whole list. A text that it printed after that stays the same.
 */
export function settledWording(definition: string): string {
  if (!/ (AND|OR) |::text\[\]/.test(definition)) return definition;
  return withoutInnerGroups(definition).replace(
    LIST,
    (_, quantifier: string, values: string) => `${quantifier} (ARRAY[${values.replace(VALUE, '($&)::text')}])`,
  );
}

interface Group {
  readonly open: number;
  close: number;
  /** The AND or OR that joins the conditions in these parentheses. */
  operator: string | undefined;
  mixed: boolean;
}

function withoutInnerGroups(sql: string): string {
  const tokens = [...scanSql(sql)].filter(({ kind }) => kind !== 'space');
  const textAt = (at: number) => wordOf(sql, tokens[at]);
  const dropped = groupsOf(sql, tokens)
    .filter(({ open, close, operator, mixed }) => {
      return operator !== undefined && !mixed && textAt(open - 1) === '(' && textAt(close + 1) === operator;
    })
    .flatMap(({ open, close }) => [tokens[open]?.start ?? 0, tokens[close]?.start ?? 0])
    .sort((left, right) => left - right);
  const kept = [...dropped, sql.length].map((end, at) => sql.slice(at === 0 ? 0 : (dropped[at - 1] ?? 0) + 1, end));
  return kept.join('');
}

function groupsOf(sql: string, tokens: readonly Token[]): readonly Group[] {
  const groups: Group[] = [];
  const open: Group[] = [];
  for (const [at, token] of tokens.entries()) {
    const text = wordOf(sql, token);
    const group = open.at(-1);
    if (text === '(') open.push({ open: at, close: at, operator: undefined, mixed: false });
    else if (group === undefined) continue;
    else if (text === ')') groups.push(Object.assign(open.pop() as Group, { close: at }));
    else if (text === 'and' || text === 'or') group.operator ??= text;
    else if (OTHER_AND.has(text)) group.mixed = true;
  }
  return groups;
}

/** Empty for strings and quoted names. */
function wordOf(sql: string, token: Token | undefined): string {
  if (token === undefined || (token.kind !== 'word' && token.kind !== 'mark')) return '';
  return sql.slice(token.start, token.end).toLowerCase();
}
