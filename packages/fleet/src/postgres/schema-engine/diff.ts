import path from 'node:path';
import type { DatabaseUrl } from '@azora/db-core';
import { endsTransaction, splitStatements } from '@azora/db-migrate';
import type { DiffTarget } from '@prisma/schema-engine-wasm/schema_engine_bg';
import type { Node } from 'libpg-query';
import { listedNames, nameOf, type ParsedStatement } from '../analysis/parse';
import type { UnmanagedCatalog } from '../analysis/unmanaged';
import { openEngine } from './engine';

export interface SchemaDiff {
  /** The SQL that changes the database to match the schema; empty when they match. */
  readonly up: string;
  /** The SQL that reverts `up`. */
  readonly down: string;
}

const FILTERS = { externalTables: [], externalEnums: [] };
const NOTHING = /^-- This is an empty migration\.\s*$/;

/** Compares a database with the text of a schema.prisma, with Prisma's own engine. Nothing is changed. */
export async function diffSchema(url: DatabaseUrl, schema: string): Promise<SchemaDiff> {
  const file = path.resolve('schema.prisma');
  const { engine, close } = await openEngine(url.href, file, schema);
  const files = [{ path: file, content: schema }];
  const database: DiffTarget = { tag: 'schemaDatasource', files, configDir: path.dirname(file) };
  const datamodel: DiffTarget = { tag: 'schemaDatamodel', files };
  const script = async (from: DiffTarget, to: DiffTarget) => {
    const { stdout } = await engine.diff({ from, to, script: true, exitCode: null, filters: FILTERS });
    return NOTHING.test(stdout ?? '') ? '' : (stdout ?? '').trim();
  };
  try {
    return { up: await script(database, datamodel), down: await script(datamodel, database) };
  } finally {
    await close();
  }
}

/**
 * The statements of the engine's script that may stay, without comments. Left out are statements that drop or make objects
 * that the engine does not know, and BEGIN and COMMIT, because the runner controls the transaction.
 */
export function withoutUnmanaged(
  statements: readonly ParsedStatement[],
  unmanaged: UnmanagedCatalog,
  direction: 'up' | 'down',
): readonly string[] {
  return statements.flatMap(({ node, text }) => {
    if (isTransactionControl(text) || touchesIndex(node, unmanaged, direction)) return [];
    if ('CreateStmt' in node) return [generateColumns(nameOf(node.CreateStmt.relation), text, unmanaged)];
    if (!('AlterTableStmt' in node)) return [text];
    const altered = withoutDefaults(node.AlterTableStmt, text, unmanaged);
    return altered === '' ? [] : [generateColumns(nameOf(node.AlterTableStmt.relation), altered, unmanaged)];
  });
}

function isTransactionControl(text: string): boolean {
  return splitStatements(text).some(endsTransaction);
}

function touchesIndex(node: Node, { indexes, allIndexes }: UnmanagedCatalog, direction: 'up' | 'down'): boolean {
  // In down.sql, existing indexes are restored from the catalog instead.
  if ('IndexStmt' in node) return allIndexes.has(node.IndexStmt.idxname ?? '') && direction === 'down';
  if ('RenameStmt' in node && node.RenameStmt.renameType === 'OBJECT_INDEX') {
    return indexes.has(nameOf(node.RenameStmt.relation));
  }
  return (
    'DropStmt' in node &&
    node.DropStmt.removeType === 'OBJECT_INDEX' &&
    listedNames(node.DropStmt.objects).some((name) => indexes.has(name))
  );
}

/** The separator between the subcommands of an ALTER TABLE that the engine writes. */
const BETWEEN_COMMANDS = /,\n(?=(?:ADD|ALTER|DROP|RENAME) )/;

/** The engine takes the expression of a generated column for a default, and sets or drops it. */
function withoutDefaults(
  { relation, cmds = [] }: Extract<Node, { AlterTableStmt: unknown }>['AlterTableStmt'],
  text: string,
  { generatedColumns }: UnmanagedCatalog,
): string {
  const table = nameOf(relation);
  const stays = cmds.map(
    (node) =>
      !('AlterTableCmd' in node) ||
      node.AlterTableCmd.subtype !== 'AT_ColumnDefault' ||
      !generatedColumns.has(`${table}.${node.AlterTableCmd.name}`),
  );
  if (stays.every(Boolean)) return text;
  if (!stays.some(Boolean)) return '';
  const [, head = '', body = ''] = /^(ALTER TABLE \S+ )([\s\S]*)$/.exec(text) ?? [];
  const commands = body.split(BETWEEN_COMMANDS);
  if (commands.length !== cmds.length) throw new Error(`unexpected form of the engine's SQL: ${text}`);
  return `${head}${commands.filter((_, at) => stays[at]).join(',\n')}`;
}

/** Turns the engine's DEFAULT back into the generated column. The engine writes one column per line. */
function generateColumns(table: string, text: string, { generatedColumns }: UnmanagedCatalog): string {
  return text
    .split('\n')
    .map((line) => {
      const [, before = '', column = '', type = '', value = '', end = ''] = COLUMN_WITH_DEFAULT.exec(line) ?? [];
      if (!generatedColumns.has(`${table}.${column}`)) return line;
      return `${before}"${column}"${type} GENERATED ALWAYS AS (${value}) STORED${end}`;
    })
    .join('\n');
}

const COLUMN_WITH_DEFAULT = /^(.*?(?:ADD COLUMN\s+|^\s+))"([^"]+)"(.*?) DEFAULT (.*?)(,?)$/;
