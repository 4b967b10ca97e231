/** A piece of SQL text, as PostgreSQL's scanner (scan.l) divides it. */
export interface Token {
  /**
   * `literal`: a string, dollar-quoted string or number. `name`: a quoted identifier or a parameter such as `$1`.
   * `word`: a keyword or an unquoted identifier. `mark`: one character of punctuation.
   */
  readonly kind: 'space' | 'comment' | 'literal' | 'name' | 'word' | 'mark';
  /** In UTF-16 units; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

/** One statement of a file, without its semicolon. */
export interface Statement {
  /** Where the statement begins in the file, in UTF-16 units. */
  readonly offset: number;
  readonly text: string;
  /** The first words in lower case, which tell the kind of statement. A word longer than any keyword of interest is empty. */
  readonly words: readonly string[];
}

const KEPT_WORDS = 4;
const LONGEST_KEYWORD = 'transaction'.length;

// PostgreSQL's own white space and identifier characters; JavaScript's \s includes U+00A0, which PostgreSQL takes for a letter.
const SPACE = /[ \t\n\r\f\v]+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const COMMENT_EDGE = /\/\*|\*\//g;
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const NUMBER = /0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?\w*/y;
const PARAMETER = /\$\d+/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
/** `U&'…'`, `U&"…"`, and the one-letter prefixes of strings. E'…' alone knows backslash escapes. */
const QUOTE_PREFIX = /(?:[uU]&(?=['"])|[bBxXnNeE](?='))/y;
/** The text between two pieces of one string: white space with a line break in it, and line comments. */
const CONTINUATION = /[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y;

/**
 * Divides SQL as the server's scanner does, with standard_conforming_strings on. A string, comment or name without an end
 * reaches to the end of the text. PostgreSQL's parser compiled to WebAssembly takes twenty times as long, which would delay
 * every run over all databases.
 */
export function* scanSql(sql: string): Generator<Token> {
  for (let start = sql.startsWith('\uFEFF') ? 1 : 0; start < sql.length; ) {
    const token = tokenAt(sql, start);
    yield token;
    start = token.end;
  }
}

/** Splits SQL into its statements. Empty statements and comments alone are left out. */
export function splitStatements(sql: string): readonly Statement[] {
  const statements: Statement[] = [];
  let open: OpenStatement | undefined;
  const close = () => {
    if (open !== undefined) {
      statements.push({ offset: open.offset, text: sql.slice(open.offset, open.end), words: open.words });
    }
    open = undefined;
  };
  for (const token of scanSql(sql)) {
    if (token.kind === 'space' || token.kind === 'comment') continue;
    if (sql[token.start] === ';' && (open === undefined || isOutermost(open))) {
      close();
      continue;
    }
    open ??= { offset: token.start, end: token.end, words: [], parentheses: 0, blocks: 0, previous: '' };
    countToken(open, sql, token);
    open.end = token.end;
  }
  close();
  return statements;
}

/** Whether the statement begins or ends a transaction. Savepoints do neither. */
export function endsTransaction({ words: [first = '', second = '', third = ''] }: Statement): boolean {
  if (first === 'rollback') return second !== 'to' && third !== 'to';
  if (first === 'start' || first === 'prepare') return second === 'transaction' && third !== 'as';
  return ['begin', 'commit', 'end', 'abort'].includes(first);
}

interface OpenStatement {
  readonly offset: number;
  end: number;
  readonly words: string[];
  parentheses: number;
  /** Depth of `BEGIN ATOMIC … END` in routines: beside parentheses, the one place where a semicolon stands inside a statement. */
  blocks: number;
  previous: string;
}

function isOutermost({ parentheses, blocks }: OpenStatement): boolean {
  return parentheses === 0 && blocks === 0;
}

function countToken(open: OpenStatement, sql: string, { kind, start, end }: Token): void {
  const text = end - start > LONGEST_KEYWORD ? '' : sql.slice(start, end).toLowerCase();
  if (text === '(') open.parentheses += 1;
  else if (text === ')') open.parentheses = Math.max(0, open.parentheses - 1);
  else if (open.parentheses === 0) {
    if (text === 'atomic' && open.previous === 'begin' && makesRoutine(open.words)) open.blocks += 1;
    // In PostgreSQL's grammar, each statement of a body ends with a semicolon. Any other END belongs to a CASE, or is a name.
    if (text === 'end' && (open.previous === ';' || open.previous === 'atomic'))
      open.blocks = Math.max(0, open.blocks - 1);
  }
  if (open.words.length < KEPT_WORDS && kind === 'word') open.words.push(text);
  open.previous = text;
}

/** Elsewhere, BEGIN and ATOMIC may be names: `SELECT begin atomic FROM lots`. */
function makesRoutine([first, ...rest]: readonly string[]): boolean {
  const kind = rest[0] === 'or' ? rest[2] : rest[0];
  return first === 'create' && (kind === 'function' || kind === 'procedure');
}

function tokenAt(sql: string, start: number): Token {
  const token = (kind: Token['kind'], end: number): Token => ({ kind, start, end });
  const space = endOf(SPACE, sql, start);
  if (space !== undefined) return token('space', space);
  if (sql.startsWith('/*', start)) return token('comment', endOfComment(sql, start));
  const comment = endOf(LINE_COMMENT, sql, start);
  if (comment !== undefined) return token('comment', comment);
  const quote = endOf(QUOTE_PREFIX, sql, start) ?? start;
  if (sql[quote] === '"') return token('name', endOfQuoted(sql, quote, '"'));
  if (sql[quote] === "'") return token('literal', endOfString(sql, quote, /[eE]/.test(sql.slice(start, quote))));
  const word = endOf(WORD, sql, start);
  if (word !== undefined) return token('word', word);
  const parameter = endOf(PARAMETER, sql, start);
  if (parameter !== undefined) return token('name', parameter);
  const tag = endOf(DOLLAR_TAG, sql, start);
  if (tag !== undefined) {
    const closing = sql.indexOf(sql.slice(start, tag), tag);
    return token('literal', closing === -1 ? sql.length : closing + tag - start);
  }
  const number = endOf(NUMBER, sql, start);
  return number === undefined ? token('mark', start + 1) : token('literal', number);
}

/** Comments nest. */
function endOfComment(sql: string, start: number): number {
  COMMENT_EDGE.lastIndex = start;
  let depth = 0;
  for (let edge = COMMENT_EDGE.exec(sql); edge !== null; edge = COMMENT_EDGE.exec(sql)) {
    depth += edge[0] === '/*' ? 1 : -1;
    if (depth === 0) return COMMENT_EDGE.lastIndex;
  }
  return sql.length;
}

function endOfString(sql: string, start: number, escapes: boolean): number {
  let end = escapes ? endOfEscaped(sql, start) : endOfQuoted(sql, start, "'");
  // A string that continues after a line break keeps its kind: E'a' ⏎ '\'' is one string.
  for (let next = endOf(CONTINUATION, sql, end); next !== undefined; next = endOf(CONTINUATION, sql, end)) {
    end = escapes ? endOfEscaped(sql, next - 1) : endOfQuoted(sql, next - 1, "'");
  }
  return end;
}

function endOfQuoted(sql: string, start: number, quote: string): number {
  for (let from = start + 1; ; ) {
    const closing = sql.indexOf(quote, from);
    if (closing === -1) return sql.length;
    if (sql[closing + 1] !== quote) return closing + 1;
    from = closing + 2;
  }
}

function endOfEscaped(sql: string, start: number): number {
  for (let end = start + 1; end < sql.length; end += 1) {
    if (sql[end] === '\\') end += 1;
    else if (sql[end] === "'" && sql[end + 1] === "'") end += 1;
    else if (sql[end] === "'") return end + 1;
  }
  return sql.length;
}

function endOf(pattern: RegExp, sql: string, start: number): number | undefined {
  pattern.lastIndex = start;
  return pattern.test(sql) ? pattern.lastIndex : undefined;
}
