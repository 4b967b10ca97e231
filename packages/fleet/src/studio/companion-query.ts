import { isRecord, SuiteError } from '@azora/db-core';
import type { HiddenColumn } from '../operations/studio/context';
import { COMPANION_FUNCTIONS } from './companion-functions';

/** Kinds of nodes of PostgreSQL's parser that do something else than read. */
const REFUSED_NODES: ReadonlySet<string> = new Set(['IntoClause', 'LockingClause', 'intoClause']);
const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema']);
/** Read by the page to find out what there is; the others of the system's tables hold more. */
const SYSTEM_TABLES =
  /^pg_(class|namespace|attribute|attrdef|constraint|index|type|enum|description|collation|range|inherits|tables|views|indexes|am)$/;

/**
 * PGlite has one session, the superuser's, and so no role that the database could hold the studio to. There a statement
 * runs only when PostgreSQL's own parser finds nothing in it but a SELECT of tables without hidden columns, with functions
 * of a list.
 * @throws {SuiteError} `STUDIO.NOT_ON_COMPANION`
 */
export async function requireCompanionQuery(sql: string, hidden: readonly HiddenColumn[]): Promise<void> {
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  const statements = parsed(() => parseSync(sql).stmts);
  const [first, second] = statements ?? [];
  const node: unknown = first?.stmt;
  if (second !== undefined || !isRecord(node) || !('SelectStmt' in node)) throw refused('It is not one SELECT.');
  const found = readNames(node);
  const problem = problemOf(found, new Set(hidden.map(({ table }) => table)));
  if (problem !== undefined) throw refused(problem);
}

interface Names {
  readonly tables: { readonly schema: string | undefined; readonly name: string }[];
  readonly functions: { readonly schema: string | undefined; readonly name: string }[];
  readonly refused: string[];
}

function readNames(root: unknown): Names {
  const names: Names = { tables: [], functions: [], refused: [] };
  walk(root, (kind, node) => {
    if (REFUSED_NODES.has(kind) || (/Stmt$/.test(kind) && kind !== 'SelectStmt')) names.refused.push(kind);
    if (kind === 'RangeVar')
      names.tables.push({ schema: textOf(node['schemaname']), name: textOf(node['relname']) ?? '' });
    if (kind === 'FuncCall' && !isTimeLimit(node)) names.functions.push(nameOf(node['funcname']));
  });
  return names;
}

/** With these the page's search of rows limits itself: `set_config('statement_timeout', '5000ms', true)`. */
function isTimeLimit({ funcname, args }: Readonly<Record<string, unknown>>): boolean {
  const { schema, name } = nameOf(funcname);
  const [setting, value, isLocal, ...more] = Array.isArray(args) ? args.map(constantOf) : [];
  return (
    schema === undefined &&
    name === 'set_config' &&
    /^(statement|lock)_timeout$/.test(String(setting)) &&
    /^[1-9]\d{0,3}ms$/.test(String(value)) &&
    isLocal === true &&
    more.length === 0
  );
}

/** A literal's text or truth. */
function constantOf(argument: unknown): string | boolean | undefined {
  const constant = isRecord(argument) ? argument['A_Const'] : undefined;
  if (!isRecord(constant)) return undefined;
  const { sval, boolval } = constant;
  if (isRecord(boolval)) return boolval['boolval'] === true;
  return isRecord(sval) ? textOf(sval['sval']) : undefined;
}

function problemOf({ tables, functions, refused: nodes }: Names, hidden: ReadonlySet<string>) {
  if (nodes.length > 0) return 'It does more than read.';
  const call = functions.find(
    ({ schema, name }) => !((schema === undefined || schema === 'pg_catalog') && COMPANION_FUNCTIONS.has(name)),
  );
  if (call !== undefined) return `The function ${call.name} is not on the list of those that are known to read only.`;
  // Also where a WITH has the name: inside of it, it means the table.
  const table = tables.find(({ schema, name }) => {
    if (schema === 'information_schema') return false;
    const isSystem = (schema !== undefined && SYSTEM_SCHEMAS.has(schema)) || name.startsWith('pg_');
    return isSystem ? !SYSTEM_TABLES.test(name) : hidden.has(name);
  });
  return table === undefined ? undefined : `${table.name} is not shown here.`;
}

/** Every node of a syntax tree, under the name of its kind or, where it has only one kind, of its place. */
function walk(value: unknown, visit: (kind: string, node: Readonly<Record<string, unknown>>) => void): void {
  if (Array.isArray(value)) for (const item of value) walk(item, visit);
  if (!isRecord(value)) return;
  for (const [kind, child] of Object.entries(value)) {
    if (isRecord(child)) visit(kind, child);
    walk(child, visit);
  }
}

function nameOf(parts: unknown): { readonly schema: string | undefined; readonly name: string } {
  const words = Array.isArray(parts) ? parts.map((part) => (isRecord(part) ? stringOf(part['String']) : '')) : [];
  return { schema: words.length > 1 ? words.at(-2) : undefined, name: words.at(-1) ?? '' };
}

function stringOf(value: unknown): string {
  return isRecord(value) ? (textOf(value['sval']) ?? '') : '';
}

function parsed<Result>(parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    throw refused(error instanceof Error ? `${error.message}.` : 'It cannot be read.');
  }
}

function refused(why: string): SuiteError {
  return new SuiteError('STUDIO.NOT_ON_COMPANION', 'The statement is not run on the embedded companion database', {
    why: `That database has no roles, so only plain reading is let through. ${why}`,
    next: 'Use psql with the address of "npm run db:url", or a server with the extension',
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
