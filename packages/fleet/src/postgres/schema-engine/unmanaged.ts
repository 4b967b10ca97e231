import { quoteLiteral } from '@azora/db-core';
import { endsTransaction, splitStatements } from '@azora/db-migrate';
import type { Node } from 'libpg-query';
import type { ClientBase } from 'pg';
import { SCHEMA_INDEX_METHODS } from '../analysis/index-methods';
import { listedNames, nameOf } from '../analysis/names';
import type { ParsedStatement } from '../analysis/parse';

/** What a schema.prisma cannot express, so that its silence about it means nothing. */
export interface Unmanaged {
  /** Partial ones, those on expressions, and those of methods such as HNSW. */
  readonly indexes: ReadonlySet<string>;
  /** `table.column` */
  readonly generatedColumns: ReadonlySet<string>;
  /** Every index that is there: the engine loses operator classes, and gives GIN an order that it cannot have. */
  readonly allIndexes: ReadonlySet<string>;
}

const INDEXES = `
  SELECT relname::text AS name
  FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
  WHERE relnamespace = 'public'::regnamespace
    AND (indpred IS NOT NULL OR indexprs IS NOT NULL OR amname NOT IN (${SCHEMA_INDEX_METHODS.map(quoteLiteral).join(', ')}))`;

const ALL_INDEXES = `
  SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'i'`;

const GENERATED_COLUMNS = `
  SELECT concat(relname, '.', attname) AS name
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
  WHERE relnamespace = 'public'::regnamespace AND attgenerated <> '' AND NOT attisdropped`;

export async function readUnmanaged(client: ClientBase): Promise<Unmanaged> {
  const names = async (sql: string) => {
    const { rows } = await client.query<{ name: string }>(sql);
    return new Set(rows.map(({ name }) => name));
  };
  return {
    indexes: await names(INDEXES),
    generatedColumns: await names(GENERATED_COLUMNS),
    allIndexes: await names(ALL_INDEXES),
  };
}

/**
 * The statements of the engine's script that may stay, without their comments: none that drops or makes what it does not
 * know, and no BEGIN and COMMIT, for the runner has the transaction.
 */
export function withoutUnmanaged(
  statements: readonly ParsedStatement[],
  unmanaged: Unmanaged,
  way: 'up' | 'down',
): readonly string[] {
  return statements.flatMap(({ node, text }) => {
    if (isTransactionControl(text) || touchesIndex(node, unmanaged, way)) return [];
    if ('CreateStmt' in node) return [generateColumns(nameOf(node.CreateStmt.relation), text, unmanaged)];
    if (!('AlterTableStmt' in node)) return [text];
    const altered = withoutDefaults(node.AlterTableStmt, text, unmanaged);
    return altered === '' ? [] : [generateColumns(nameOf(node.AlterTableStmt.relation), altered, unmanaged)];
  });
}

function isTransactionControl(text: string): boolean {
  return splitStatements(text).some(endsTransaction);
}

function touchesIndex(node: Node, { indexes, allIndexes }: Unmanaged, way: 'up' | 'down'): boolean {
  // On the way back, those that were there are restored from the catalog.
  if ('IndexStmt' in node) return allIndexes.has(node.IndexStmt.idxname ?? '') && way === 'down';
  if ('RenameStmt' in node && node.RenameStmt.renameType === 'OBJECT_INDEX') {
    return indexes.has(nameOf(node.RenameStmt.relation));
  }
  return (
    'DropStmt' in node &&
    node.DropStmt.removeType === 'OBJECT_INDEX' &&
    listedNames(node.DropStmt.objects).some((name) => indexes.has(name))
  );
}

/** Where the engine puts one subcommand of an ALTER TABLE after the other. */
const BETWEEN_COMMANDS = /,\n(?=(?:ADD|ALTER|DROP|RENAME) )/;

/** The expression of a generated column looks to the engine like a default, which it would set or drop. */
function withoutDefaults(
  { relation, cmds = [] }: Extract<Node, { AlterTableStmt: unknown }>['AlterTableStmt'],
  text: string,
  { generatedColumns }: Unmanaged,
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
  if (commands.length !== cmds.length) throw new Error(`not as the engine writes it: ${text}`);
  return `${head}${commands.filter((_, at) => stays[at]).join(',\n')}`;
}

/** Where a table or such a column is made, the engine's DEFAULT becomes what it was; it writes a column a line. */
function generateColumns(table: string, text: string, { generatedColumns }: Unmanaged): string {
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
