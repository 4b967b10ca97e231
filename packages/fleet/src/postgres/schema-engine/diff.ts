import path from 'node:path';
import { type DatabaseUrl, quoteIdentifier } from '@azora/db-core';
import { columnName, endsTransaction, partsOf, splitStatements } from '@azora/db-migrate';
import type { DiffTarget } from '@prisma/schema-engine-wasm/schema_engine_bg';
import type { AlterTableCmd, Node } from 'libpg-query';
import { withoutUrls } from '../../schema/psl';
import { indexNameOf, listedNames, nameOf, type ParsedStatement } from '../analysis/parse';
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
  const content = withoutUrls(schema);
  const { engine, close } = await openEngine(url.href, file, content);
  const files = [{ path: file, content }];
  const database: DiffTarget = { tag: 'schemaDatasource', files, configDir: path.dirname(file) };
  const datamodel: DiffTarget = { tag: 'schemaDatamodel', files };
  const script = async (from: DiffTarget, to: DiffTarget) => {
    const { stdout } = await engine.diff({ from, to, script: true, exitCode: null, filters: FILTERS });
    return NOTHING.test(stdout ?? '') ? '' : (stdout ?? '').trim();
  };
  try {
    const down = await script(datamodel, database);
    // The engine has no name for the sequence of an autoincrement() that it removes.
    return { up: await script(database, datamodel), down: down.replace(/^DROP SEQUENCE "";$/gm, '') };
  } finally {
    await close();
  }
}

/** The schema.prisma that describes a database, as Prisma's own engine writes it. */
export async function introspectSchema(url: DatabaseUrl): Promise<string> {
  const file = path.resolve('schema.prisma');
  const content = 'datasource db {\n  provider = "postgresql"\n}\n';
  const { engine, close } = await openEngine(url.href, file, content);
  try {
    const { schema } = await engine.introspect({
      schema: { files: [{ path: file, content }] },
      baseDirectoryPath: path.dirname(file),
      force: true,
      compositeTypeDepth: 0,
      namespaces: null,
    });
    return schema.files.map((written) => written.content).join('\n');
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
    if (touchesSequence(node, unmanaged)) return [];
    if ('DropStmt' in node && direction === 'up') return [dropsConstraint(node.DropStmt, unmanaged) ?? text];
    if ('CreateStmt' in node) return [generateColumns(nameOf(node.CreateStmt.relation), text, unmanaged)];
    if (!('AlterTableStmt' in node)) return [text];
    const altered = withoutDefaults(node.AlterTableStmt, text, unmanaged, direction);
    return altered === '' ? [] : [generateColumns(nameOf(node.AlterTableStmt.relation), altered, unmanaged)];
  });
}

/** The engine takes a sequence in a default for the one of autoincrement(), and drops it when the schema has none. */
function touchesSequence(node: Node, { sequences, engineSequences }: UnmanagedCatalog): boolean {
  const named = 'CreateSeqStmt' in node ? node.CreateSeqStmt : 'AlterSeqStmt' in node ? node.AlterSeqStmt : undefined;
  if (named !== undefined) {
    const name = nameOf(named.sequence);
    return includesName(sequences, name) || includesName(engineSequences, name);
  }
  if (!('DropStmt' in node) || node.DropStmt.removeType !== 'OBJECT_SEQUENCE') return false;
  return listedNames(node.DropStmt.objects).some((name) => includesName(sequences, name));
}

/** The engine leaves out the schemas of sequences. */
function includesName(names: ReadonlySet<string>, name: string): boolean {
  const { schema, name: bare } = partsOf(name);
  return names.has(name) || (schema === 'public' && [...names].some((other) => partsOf(other).name === bare));
}

/** The index of a UNIQUE constraint goes with the constraint alone. */
function dropsConstraint(
  { removeType, objects }: Extract<Node, { DropStmt: unknown }>['DropStmt'],
  { uniqueConstraints }: UnmanagedCatalog,
): string | undefined {
  const [name = ''] = listedNames(objects);
  const table = uniqueConstraints.get(name)?.table;
  if (removeType !== 'OBJECT_INDEX' || table === undefined) return undefined;
  return `ALTER TABLE ${table} DROP CONSTRAINT ${quoteIdentifier(partsOf(name).name)}`;
}

function isTransactionControl(text: string): boolean {
  return splitStatements(text).some(endsTransaction);
}

function touchesIndex(node: Node, { indexes, allIndexes }: UnmanagedCatalog, direction: 'up' | 'down'): boolean {
  // In down.sql, existing indexes are restored from the catalog instead.
  if ('IndexStmt' in node) {
    const name = indexNameOf(node.IndexStmt);
    return indexes.has(name) || (allIndexes.has(name) && direction === 'down');
  }
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

/** The engine takes the expression of a generated column for a default, and a sequence of its own for autoincrement(). */
function withoutDefaults(
  { relation, cmds = [] }: Extract<Node, { AlterTableStmt: unknown }>['AlterTableStmt'],
  text: string,
  { generatedColumns, sequenceColumns }: UnmanagedCatalog,
  direction: 'up' | 'down',
): string {
  const table = nameOf(relation);
  const isSet = (column: string) =>
    cmds.some((it) => isDefault(it) && it.AlterTableCmd.name === column && it.AlterTableCmd.def !== undefined);
  const stays = cmds.map((node) => {
    const { subtype, name = '', def } = 'AlterTableCmd' in node ? node.AlterTableCmd : {};
    const isGenerated = generatedColumns.has(columnName(table, name));
    // PostgreSQL computes the values of the new type, and takes no USING.
    if (subtype === 'AT_AlterColumnType') return !(isGenerated && hasUsing(def));
    if (!isDefault(node)) return true;
    if (isGenerated) return false;
    if (!sequenceColumns.has(columnName(table, name))) return true;
    // The engine sets the default of the schema, and removes the one that it takes for autoincrement().
    return direction === 'up' && (def !== undefined || !isSet(name));
  });
  if (stays.every(Boolean)) return text;
  if (!stays.some(Boolean)) return '';
  const [, head = '', body = ''] = /^(ALTER TABLE \S+ )([\s\S]*)$/.exec(text) ?? [];
  const commands = body.split(BETWEEN_COMMANDS);
  if (commands.length !== cmds.length) throw new Error(`unexpected form of the engine's SQL: ${text}`);
  return `${head}${commands.filter((_, at) => stays[at]).join(',\n')}`;
}

function hasUsing(def: Node | undefined): boolean {
  return def !== undefined && 'ColumnDef' in def && def.ColumnDef.raw_default !== undefined;
}

function isDefault(node: Node): node is { readonly AlterTableCmd: AlterTableCmd } & Node {
  return 'AlterTableCmd' in node && node.AlterTableCmd.subtype === 'AT_ColumnDefault';
}

/** Turns the engine's DEFAULT back into the generated column. The engine writes one column per line. */
function generateColumns(table: string, text: string, { generatedColumns }: UnmanagedCatalog): string {
  return text
    .split('\n')
    .map((line) => {
      const [, before = '', column = '', type = '', value = '', end = ''] = COLUMN_WITH_DEFAULT.exec(line) ?? [];
      if (!generatedColumns.has(columnName(table, column))) return line;
      return `${before}"${column}"${type} GENERATED ALWAYS AS (${value}) STORED${end}`;
    })
    .join('\n');
}

const COLUMN_WITH_DEFAULT = /^(.*?(?:ADD COLUMN\s+|^\s+))"([^"]+)"(.*?) DEFAULT (.*?)(,?)$/;
