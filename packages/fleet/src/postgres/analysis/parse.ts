import { setImmediate } from 'node:timers/promises';
import { SuiteError } from '@azora/db-core';
import {
  dottedName,
  offsetOfCharacter,
  placeOf,
  type Script,
  type Statement,
  splitStatements,
} from '@azora/db-migrate';
import type { IndexStmt, Node, RangeVar, RenameStmt, TypeName } from 'libpg-query';

/** A statement of a file with the syntax tree of PostgreSQL's own parser. */
export interface ParsedStatement {
  /** Where the statement begins in the file, in UTF-16 units. */
  readonly offset: number;
  readonly text: string;
  readonly node: Node;
}

/** The parser is synchronous: after this number of statements, it lets a Ctrl-C through. */
const STATEMENTS_AT_ONCE = 500;

/**
 * Parses a migration's SQL with PostgreSQL's parser compiled to WebAssembly.
 * @throws {SuiteError} `MIGRATION.SYNTAX` with file, line and caret; the reason of the signal
 */
export async function parseScript(
  { file, sql }: Pick<Script, 'file' | 'sql'>,
  signal?: AbortSignal,
): Promise<readonly ParsedStatement[]> {
  const { hasSqlDetails, loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  const parse = ({ offset, text }: Statement): ParsedStatement => {
    try {
      const node = parseSync(text).stmts?.[0]?.stmt;
      if (node === undefined) throw new Error('the text has no statement');
      return { offset, text, node };
    } catch (error) {
      const position = error instanceof Error && hasSqlDetails(error) ? (error.sqlDetails?.cursorPosition ?? 0) : 0;
      const { line, column, excerpt } = placeOf(sql, offset + offsetOfCharacter(text, position + 1));
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
  for (const statement of splitStatements(sql)) {
    parsed.push(parse(statement));
    if (parsed.length % STATEMENTS_AT_ONCE !== 0) continue;
    await setImmediate();
    signal?.throwIfAborted();
  }
  return parsed;
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
