import { SuiteError } from '@azora/db-core';
import type { Script } from '@azora/db-migrate';
import { offsetOfCharacter, placeOf, splitStatements } from '@azora/db-migrate';
import type { Node } from 'libpg-query';

/** A statement of a file with its syntax tree, as PostgreSQL's own parser gives it. */
export interface ParsedStatement {
  /** Where it begins in the file, in UTF-16 units. */
  readonly offset: number;
  readonly text: string;
  readonly node: Node;
}

/**
 * Parses a migration's SQL with PostgreSQL's parser compiled to WebAssembly.
 * @throws {SuiteError} `MIGRATION.SYNTAX` with file, line and caret
 */
export async function parseScript({ file, sql }: Pick<Script, 'file' | 'sql'>): Promise<readonly ParsedStatement[]> {
  const { hasSqlDetails, loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  return splitStatements(sql).map(({ offset, text }) => {
    try {
      const node = parseSync(text).stmts?.[0]?.stmt;
      if (node === undefined) throw new Error('there is no statement');
      return { offset, text, node };
    } catch (error) {
      const position = error instanceof Error && hasSqlDetails(error) ? (error.sqlDetails?.cursorPosition ?? 0) : 0;
      const { line, column, excerpt } = placeOf(sql, offset + offsetOfCharacter(text, position + 1));
      throw new SuiteError('MIGRATION.SYNTAX', `${file}:${line}:${column} is not PostgreSQL's SQL`, {
        kind: 'configuration',
        why: `${error instanceof Error ? error.message : String(error)}\n${excerpt}\n`,
        next: 'Correct the statement',
        meta: { file, line, column },
        cause: error,
      });
    }
  });
}
