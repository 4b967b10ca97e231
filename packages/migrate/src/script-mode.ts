import type { Script } from './files';
import { endsTransaction, type Statement, scanSql, splitStatements } from './sql';

/**
 * The form in which a migration.sql runs, also when it was written for Prisma and must not be edited, because the history holds its
 * checksum. A byte order mark is left out. Pairs of BEGIN and COMMIT are left out too, so that the file and its history row are one
 * transaction. A file runs statement by statement, as with `-- no-transaction`, if a statement refuses to run in a transaction, if a new
 * value of an enumeration must be committed before the file uses it, or if its blocks have an isolation level of their own. Every
 * character stays at its place.
 */
export function asRun<Kept extends Script>(script: Kept): Kept {
  const sql = script.sql.startsWith('\uFEFF') ? ` ${script.sql.slice(1)}` : script.sql;
  if (!script.transactional) return { ...script, sql };
  const statements = splitStatements(sql);
  if (statements.some(needsNoTransaction)) return { ...script, sql, transactional: false };
  const controls = statements.filter(endsTransaction);
  if (controls.length === 0 || !arePairs(controls)) return { ...script, sql };
  if (statements.some((statement) => addsValue(statement) || choosesIsolation(statement)))
    return { ...script, sql, transactional: false };
  return { ...script, sql: blank(sql, controls.map(rangeOf)) };
}

/** The same statements without CONCURRENTLY, VACUUM, BEGIN and COMMIT, at the same places of the file. */
export function inTransaction(script: Script): Script {
  if (script.transactional) return script;
  const blanks = splitStatements(script.sql).flatMap((statement) =>
    statement.words[0] === 'vacuum' || endsTransaction(statement)
      ? [rangeOf(statement)]
      : concurrentlyIn(statement.text, statement.offset),
  );
  return { ...script, sql: blank(script.sql, blanks) };
}

/** As a word of the statement: a comment or string that mentions it changes nothing. */
export function hasConcurrently(text: string): boolean {
  return concurrentlyIn(text, 0).length > 0;
}

/** Whether the statement opens a transaction block. */
export function beginsTransaction({ words: [first] }: Statement): boolean {
  return first === 'begin' || first === 'start';
}

interface Range {
  readonly start: number;
  readonly end: number;
}

function rangeOf({ offset, text }: Statement): Range {
  return { start: offset, end: offset + text.length };
}

function concurrentlyIn(text: string, offset: number): readonly Range[] {
  return [...scanSql(text)]
    .filter(({ kind, start, end }) => kind === 'word' && text.slice(start, end).toLowerCase() === 'concurrently')
    .map(({ start, end }) => ({ start: start + offset, end: end + offset }));
}

/** Line breaks stay, so that the lines keep their numbers. */
function blank(sql: string, ranges: readonly Range[]): string {
  let blanked = '';
  let at = 0;
  for (const { start, end } of ranges) {
    blanked += sql.slice(at, start) + sql.slice(start, end).replace(/[^\n]/g, ' ');
    at = end;
  }
  return blanked + sql.slice(at);
}

/** BEGIN and COMMIT in turn. Anything else, such as ROLLBACK, would change what the file does. */
function arePairs(controls: readonly Statement[]): boolean {
  const isCommit = ({ words: [first] }: Statement) => first === 'commit' || first === 'end';
  return (
    controls.length % 2 === 0 &&
    controls.every((control, at) => (at % 2 === 0 ? beginsTransaction(control) : isCommit(control)))
  );
}

function addsValue({ text, words: [first, second] }: Statement): boolean {
  return first === 'alter' && second === 'type' && /\sadd\s+value\s/i.test(text);
}

/** PostgreSQL takes the isolation level only before the first query of a transaction, and the runner has sent some. */
function choosesIsolation({ words: [first, ...rest] }: Statement): boolean {
  if (first === 'set') return rest[0] === 'transaction';
  return ['begin', 'start'].includes(first ?? '') && rest.some((word) => word !== 'work' && word !== 'transaction');
}

const DATABASE_WIDE: ReadonlySet<string> = new Set(['database', 'tablespace', 'system', 'subscription']);

/** Whether PostgreSQL refuses the statement in a transaction block. REFRESH … CONCURRENTLY may run in one. */
function needsNoTransaction({ text, words: [first = '', second = ''] }: Statement): boolean {
  if (first === 'vacuum') return true;
  if (first === 'create' || first === 'drop') return DATABASE_WIDE.has(second) || hasConcurrently(text);
  if (first === 'alter') return second === 'system' || (second === 'table' && hasConcurrently(text));
  return first === 'reindex' && (DATABASE_WIDE.has(second) || second === 'schema' || hasConcurrently(text));
}
