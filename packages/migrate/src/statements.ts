/** One statement of a file, without its semicolon. */
export interface Statement {
  /** Where it begins in the file, in UTF-16 units. */
  readonly offset: number;
  readonly text: string;
  /** Its first words, in lower case: what kind of statement it is. Longer ones than any keyword of interest are empty. */
  readonly words: readonly string[];
}

const KEPT_WORDS = 4;
const LONGEST_KEYWORD = 'transaction'.length;

// PostgreSQL's own white space and identifier characters (scan.l); JavaScript's \s also holds U+00A0, which to it is a letter.
const SPACE = /[ \t\n\r\f\v]+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const COMMENT_EDGE = /\/\*|\*\//g;
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const NUMBER = /[0-9][\w.]*/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
/** What may stand between two pieces of one string: white space with a line break in it, and line comments. */
const CONTINUATION = /[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y;

/**
 * Splits SQL into its statements as the server's scanner does; empty ones and comments alone are none. PostgreSQL's parser
 * compiled to WebAssembly takes twenty times as long, for which a run over the fleet would wait.
 */
export function splitStatements(sql: string): readonly Statement[] {
  const statements: Statement[] = [];
  let open: OpenStatement | undefined;
  const close = (end: number) => {
    if (open !== undefined) {
      const text = sql.slice(open.offset, Math.max(open.end, open.offset));
      statements.push({ offset: open.offset, text, words: open.words });
    }
    open = undefined;
    return end;
  };
  for (let at = sql.startsWith('\uFEFF') ? 1 : 0; at < sql.length; ) {
    const blank = endOfBlank(sql, at);
    if (blank > at) {
      at = blank;
      continue;
    }
    if (sql[at] === ';' && (open === undefined || isOutermost(open))) {
      at = close(at + 1);
      continue;
    }
    open ??= { offset: at, end: at, words: [], parentheses: 0, blocks: 0, previous: '' };
    const end = endOfToken(sql, at);
    countToken(open, sql, at, end);
    open.end = end;
    at = end;
  }
  close(sql.length);
  return statements;
}

/** Whether the statement begins or ends a transaction; savepoints do neither. */
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
  /** Depth of `BEGIN ATOMIC … END` and the CASE … END in it: the one place where a semicolon stands inside a statement. */
  blocks: number;
  previous: string;
}

function isOutermost({ parentheses, blocks }: OpenStatement): boolean {
  return parentheses === 0 && blocks === 0;
}

function countToken(open: OpenStatement, sql: string, at: number, end: number): void {
  const token = end - at > LONGEST_KEYWORD ? '' : sql.slice(at, end).toLowerCase();
  if (token === '(') open.parentheses += 1;
  else if (token === ')') open.parentheses = Math.max(0, open.parentheses - 1);
  else if (token === 'atomic' && open.previous === 'begin' && open.words[0] === 'create') open.blocks += 1;
  else if (token === 'case' && open.blocks > 0) open.blocks += 1;
  else if (token === 'end' && open.blocks > 0) open.blocks -= 1;
  if (open.words.length < KEPT_WORDS && endOf(WORD, sql, at) === end) open.words.push(token);
  open.previous = token;
}

/** Where white space and comments that begin here end; the same place when there are none. */
function endOfBlank(sql: string, at: number): number {
  if (sql.startsWith('/*', at)) return endOfComment(sql, at);
  return endOf(SPACE, sql, at) ?? endOf(LINE_COMMENT, sql, at) ?? at;
}

/** Comments nest. */
function endOfComment(sql: string, at: number): number {
  COMMENT_EDGE.lastIndex = at;
  let depth = 0;
  for (let edge = COMMENT_EDGE.exec(sql); edge !== null; edge = COMMENT_EDGE.exec(sql)) {
    depth += edge[0] === '/*' ? 1 : -1;
    if (depth === 0) return COMMENT_EDGE.lastIndex;
  }
  return sql.length;
}

function endOfToken(sql: string, at: number): number {
  if (sql[at] === "'") return endOfString(sql, at, false);
  if (sql[at] === '"') return endOfQuoted(sql, at, '"');
  const word = endOf(WORD, sql, at);
  if (word !== undefined) {
    // E'…' alone knows backslash escapes.
    const escapes = word === at + 1 && /[eE]/.test(sql.charAt(at)) && sql[word] === "'";
    return escapes ? endOfString(sql, word, true) : word;
  }
  const tag = endOf(DOLLAR_TAG, sql, at);
  if (tag !== undefined) {
    const closing = sql.indexOf(sql.slice(at, tag), tag);
    return closing === -1 ? sql.length : closing + tag - at;
  }
  return endOf(NUMBER, sql, at) ?? at + 1;
}

function endOfString(sql: string, at: number, escapes: boolean): number {
  let end = escapes ? endOfEscaped(sql, at) : endOfQuoted(sql, at, "'");
  // A string that goes on after a line break keeps its kind: E'a' ⏎ '\'' is one.
  for (let next = endOf(CONTINUATION, sql, end); next !== undefined; next = endOf(CONTINUATION, sql, end)) {
    end = escapes ? endOfEscaped(sql, next - 1) : endOfQuoted(sql, next - 1, "'");
  }
  return end;
}

/** A doubled quote needs no care: two pieces that touch end where one would. */
function endOfQuoted(sql: string, at: number, quote: string): number {
  const closing = sql.indexOf(quote, at + 1);
  return closing === -1 ? sql.length : closing + 1;
}

function endOfEscaped(sql: string, at: number): number {
  for (let end = at + 1; end < sql.length; end += 1) {
    if (sql[end] === '\\') end += 1;
    else if (sql[end] === "'" && sql[end + 1] === "'") end += 1;
    else if (sql[end] === "'") return end + 1;
  }
  return sql.length;
}

function endOf(pattern: RegExp, sql: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(sql) ? pattern.lastIndex : undefined;
}
