import { setImmediate } from 'node:timers/promises';
import { SuiteError } from '@azora/db-core';
import {
  dottedName,
  offsetOfCharacter,
  placeOf,
  type Script,
  type Statement,
  scanSql,
  splitStatements,
} from '@azora/db-migrate';
import type { IndexStmt, Node, RangeVar, RawStmt, RenameStmt, TypeName } from 'libpg-query';

/** A statement of a file with the syntax tree of PostgreSQL's own parser. */
export interface ParsedStatement {
  /** Where the statement begins in the file, in UTF-16 units. */
  readonly offset: number;
  readonly text: string;
  readonly node: Node;
}

/** The parser is synchronous: after about this number of characters, it lets a Ctrl-C through. */
const CHARACTERS_AT_ONCE = 50_000;

/**
 * Parses a migration's SQL with PostgreSQL's parser compiled to WebAssembly, which also decides where a statement ends. The scan of
 * {@link splitStatements} only finds the places at which the text may be cut into portions.
 * @throws {SuiteError} `MIGRATION.SYNTAX` with file, line and caret; the reason of the signal
 */
export async function parseScript(
  { file, sql }: Pick<Script, 'file' | 'sql'>,
  signal?: AbortSignal,
): Promise<readonly ParsedStatement[]> {
  const { hasSqlDetails, loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  const parse = (statements: readonly Statement[]): readonly ParsedStatement[] => {
    const [first, last] = [statements[0], statements.at(-1)];
    if (first === undefined || last === undefined) return [];
    const text = sql.slice(first.offset, last.offset + last.text.length);
    try {
      return locate(text, parseSync(text).stmts ?? [], first.offset);
    } catch (error) {
      const position = error instanceof Error && hasSqlDetails(error) ? (error.sqlDetails?.cursorPosition ?? 0) : 0;
      const { line, column, excerpt } = placeOf(sql, first.offset + offsetOfCharacter(text, position + 1));
      throw new SuiteError('MIGRATION.SYNTAX', `${file}:${line}:${column} cannot be parsed as SQL`, {
        kind: 'configuration',
        why: `${error instanceof Error ? error.message : String(error)}\n${excerpt}\n`,
        next: 'Correct the statement',
        meta: { file, line, column },
        cause: error,
      });
    }
  };
  const parsed: ParsedStatement[] = [];
  for (const portion of portionsOf(splitStatements(sql))) {
    parsed.push(...parse(portion));
    await setImmediate();
    signal?.throwIfAborted();
  }
  return parsed;
}

function* portionsOf(statements: readonly Statement[]): Generator<readonly Statement[]> {
  let portion: Statement[] = [];
  for (const statement of statements) {
    const [first = statement] = portion;
    if (portion.length > 0 && statement.offset + statement.text.length - first.offset > CHARACTERS_AT_ONCE) {
      yield portion;
      portion = [];
    }
    portion.push(statement);
  }
  yield portion;
}

/** The parser counts bytes, and begins a statement behind the semicolon of the one before. */
function locate(text: string, raw: readonly RawStmt[], base: number): readonly ParsedStatement[] {
  const bytes = Buffer.byteLength(text) === text.length ? undefined : Buffer.from(text);
  const unitsBetween = (start: number, end: number) => bytes?.toString('utf8', start, end).length ?? end - start;
  const located: ParsedStatement[] = [];
  let [byte, unit] = [0, 0];
  for (const { stmt, stmt_location: start = 0, stmt_len: length } of raw) {
    if (stmt === undefined) continue;
    unit += unitsBetween(byte, start);
    byte = start;
    const end = length === undefined ? text.length : unit + unitsBetween(start, start + length);
    located.push({ ...withoutSpace(text.slice(unit, end), base + unit), node: stmt });
  }
  return located;
}

/** A statement without the white space and comments around it. */
function withoutSpace(text: string, base: number): { readonly offset: number; readonly text: string } {
  let [from, to]: [number | undefined, number] = [undefined, 0];
  for (const { kind, start, end } of scanSql(text)) {
    if (kind === 'space' || kind === 'comment') continue;
    from ??= start;
    to = end;
  }
  return { offset: base + (from ?? 0), text: text.slice(from, to) };
}

/** The name of a relation as {@link dottedName} writes it. A name without a schema counts as one in public. */
export function nameOf(relation: RangeVar | undefined): string {
  return dottedName(relation?.schemaname, relation?.relname ?? '');
}

/** The name of an index, which is in the schema of its table. */
export function indexNameOf({ relation, idxname = '' }: IndexStmt): string {
  return dottedName(relation?.schemaname, idxname);
}

/** The name of a relation after it was renamed. */
export function renamedOf({ relation, newname = '' }: RenameStmt): string {
  return dottedName(relation?.schemaname, newname);
}

/** The same as {@link nameOf} for a name that the parser gives as a list of strings. */
export function typeNameOf(nodes: readonly Node[] = []): string {
  const [name = '', schema] = [...stringsOf(nodes)].reverse();
  return dottedName(schema, name);
}

/** The parts of a name that the parser gives as a list of strings. */
export function stringsOf(nodes: readonly Node[] = []): readonly string[] {
  return nodes.flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []));
}

/** The names of the objects in a DROP statement. */
export function listedNames(nodes: readonly Node[] = []): readonly string[] {
  return nodes.map((node) => {
    if ('List' in node) return typeNameOf(node.List.items);
    if ('TypeName' in node) return typeNameOf(node.TypeName.names);
    if ('ObjectWithArgs' in node) return typeNameOf(node.ObjectWithArgs.objname);
    return typeNameOf([node]);
  });
}

/** A type with the parser's name for it: `varchar(20)`, `numeric(18,8)`, `text[]`. */
export function typeText({ names = [], typmods = [], arrayBounds = [] }: TypeName = {}): string {
  const words = stringsOf(names);
  const name = (words[0] === 'pg_catalog' ? words.slice(1) : words).join('.');
  const sizes = typmods.flatMap((node) => ('A_Const' in node ? [node.A_Const.ival?.ival ?? 0] : []));
  return `${name}${sizes.length > 0 ? `(${sizes.join(',')})` : ''}${arrayBounds.length > 0 ? '[]' : ''}`;
}
