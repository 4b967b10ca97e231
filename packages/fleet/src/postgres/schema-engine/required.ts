import { type DatabaseUrl, quoteLiteral } from '@azora/db-core';
import {
  catalogFingerprint,
  IS_USER_SCHEMA,
  relationName,
  splitStatements,
  sqlOfName,
  withClient,
} from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { indexNameOf, listedNames, type ParsedStatement, parseScript } from '../analysis/parse';
import { readUnmanaged, type UnmanagedCatalog } from '../analysis/unmanaged';
import { withDependants } from './dependants';
import { diffSchema, withoutUnmanaged } from './diff';

export interface ExistingIndex {
  readonly table: string;
  readonly unique: boolean;
  readonly definition: string;
}

/** The statements that change a database to match schema.prisma, and those that revert them. */
export interface Required {
  readonly up: readonly string[];
  readonly down: readonly string[];
  /** The part of `down` that replaces enumerations, because PostgreSQL cannot remove a value. */
  readonly enumerations: readonly string[];
  /** Each existing index by its name, which begins with its schema unless that is public. */
  readonly indexes: ReadonlyMap<string, ExistingIndex>;
  readonly unmanaged: UnmanagedCatalog;
}

/**
 * The statements that schema.prisma requires, without those that drop what the schema cannot express and those that change
 * nothing. The database must be the result of all migrations; it stays as it is.
 */
export async function requiredStatements(url: DatabaseUrl, schema: string): Promise<Required> {
  const { up, down } = await diffSchema(url, schema);
  return withClient(url, async (client) => {
    const unmanaged = await readUnmanaged(client);
    const parse = (direction: string, sql: string) => parseScript({ file: `the engine's ${direction}.sql`, sql });
    const cleaned = withoutUnmanaged(await parse('up', up), unmanaged, 'up');
    const kept = await withoutIdle(client, await withoutIdleIndexes(client, cleaned));
    const { inside, outside } = blocksOf(await parse('down', down));
    const sequences = kept.flatMap((text) => /^CREATE SEQUENCE (\S+)$/.exec(text)?.[1] ?? []);
    return {
      up: (await withDependants(client, kept)).flatMap(startSequence),
      down: [...withoutUnmanaged(outside, unmanaged, 'down'), ...sequences.map((name) => `DROP SEQUENCE ${name}`)],
      enumerations: withoutUnmanaged(inside, unmanaged, 'down'),
      indexes: await readIndexes(client),
      unmanaged,
    };
  });
}

/** The engine replaces enumerations between BEGIN and COMMIT. */
function blocksOf(statements: readonly ParsedStatement[]) {
  const inside: ParsedStatement[] = [];
  const outside: ParsedStatement[] = [];
  let isInside = false;
  for (const statement of statements) {
    const [word] = splitStatements(statement.text)[0]?.words ?? [];
    if (word === 'begin' || word === 'commit') isInside = word === 'begin';
    else (isInside ? inside : outside).push(statement);
  }
  return { inside, outside };
}

/** A new sequence of an existing column continues after the values that are there. */
function startSequence(text: string): readonly string[] {
  const [, table, column = ''] =
    /^ALTER SEQUENCE \S+ OWNED BY ("(?:[^"]|"")+"(?:\."(?:[^"]|"")+")?)\.("(?:[^"]|"")+")$/.exec(text) ?? [];
  if (table === undefined) return [text];
  const name = column.slice(1, -1).replaceAll('""', '"');
  const sequence = `pg_get_serial_sequence(${quoteLiteral(table)}, ${quoteLiteral(name)})`;
  return [text, `SELECT setval(${sequence}, coalesce(max(${column}), 0) + 1, false) FROM ${table}`];
}

/** The engine makes some indexes anew with the same definition: it compares operator classes by their spelling. */
async function withoutIdleIndexes(client: ClientBase, statements: readonly string[]): Promise<readonly string[]> {
  const parsed = await parseScript({ file: 'migration.sql', sql: statements.map((text) => `${text};\n`).join('') });
  const idle = new Set<string>();
  for (const { node, text } of parsed) {
    const name = 'IndexStmt' in node ? indexNameOf(node.IndexStmt) : undefined;
    const drop = parsed.find((other) => name !== undefined && isDropOf(other, name))?.text;
    if (name === undefined || drop === undefined) continue;
    const definition = `SELECT pg_get_indexdef(to_regclass(${quoteLiteral(sqlOfName(name))})) AS text`;
    const made = await inTransaction(client, async () => {
      const before = (await client.query(definition)).rows[0]?.text;
      await client.query(`${drop}; ${text}`);
      return before === (await client.query(definition)).rows[0]?.text;
    });
    if (made) for (const statement of [drop, text]) idle.add(statement);
  }
  return statements.filter((text) => !idle.has(text));
}

function isDropOf({ node }: ParsedStatement, index: string): boolean {
  return (
    'DropStmt' in node &&
    node.DropStmt.removeType === 'OBJECT_INDEX' &&
    listedNames(node.DropStmt.objects).includes(index)
  );
}

/** Nothing, if the catalog is the same before and after the statements. */
async function withoutIdle(client: ClientBase, statements: readonly string[]): Promise<readonly string[]> {
  if (statements.length === 0) return statements;
  const isIdle = await inTransaction(client, async () => {
    const before = await catalogFingerprint(client);
    await client.query(statements.join(';\n'));
    return before === (await catalogFingerprint(client));
  });
  return isIdle ? [] : statements;
}

/** The result of the work, which is rolled back; false when a statement fails: that shows when the draft is proven. */
async function inTransaction(client: ClientBase, work: () => Promise<boolean>): Promise<boolean> {
  await client.query('BEGIN');
  try {
    return await work();
  } catch {
    return false;
  } finally {
    await client.query('ROLLBACK');
  }
}

async function readIndexes(client: ClientBase): Promise<ReadonlyMap<string, ExistingIndex>> {
  const { rows } = await client.query<ExistingIndex & { name: string }>(`
    SELECT ${relationName('own')} AS name, ${relationName('on_table')} AS table, indisunique AS unique,
           pg_get_indexdef(indexrelid) AS definition
    FROM pg_index JOIN pg_class own ON own.oid = indexrelid JOIN pg_class on_table ON on_table.oid = indrelid
    JOIN pg_namespace ON pg_namespace.oid = own.relnamespace
    WHERE ${IS_USER_SCHEMA}`);
  return new Map(rows.map(({ name, ...index }) => [name, index]));
}
