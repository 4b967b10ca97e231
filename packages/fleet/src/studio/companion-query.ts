import { isRecord, SuiteError } from '@azora/db-core';
import type { HiddenColumn } from '../operations/studio/rights';
import { isExactText, NOT_EXACT } from './sql-text';

/**
 * Checks a statement for PGlite, whose one session is the superuser's, so that no role restricts the studio there. The
 * statement passes only when PostgreSQL's own parser finds a single SELECT in it, of tables without hidden columns, with
 * functions from {@link ALLOWED_FUNCTIONS}. Anything else is rejected.
 * @throws {SuiteError} `STUDIO.NOT_ON_COMPANION`
 */
export async function requireCompanionQuery(sql: string, hidden: readonly HiddenColumn[]): Promise<void> {
  // The parser gets a copy of the text, and the copy of such a text differs from what the server reads.
  if (!isExactText(sql)) throw notOnCompanion(`It ${NOT_EXACT}.`);
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  const statements = parsed(() => parseSync(sql).stmts);
  const [first, second] = statements ?? [];
  const node: unknown = first?.stmt;
  if (second !== undefined || !isRecord(node) || !('SelectStmt' in node))
    throw notOnCompanion('It is not a single SELECT.');
  const problem = problemOf(readNames(node), new Set(hidden.map(({ table }) => table)));
  if (problem !== undefined) throw notOnCompanion(problem);
}

/** Nodes of PostgreSQL's syntax tree that do more than read. */
const REFUSED_NODES: ReadonlySet<string> = new Set(['IntoClause', 'LockingClause', 'intoClause']);
const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema']);
/** The page introspects these; other system tables also hold settings, statistics or secrets. */
const SYSTEM_TABLES =
  /^pg_(class|namespace|attribute|attrdef|constraint|index|type|enum|description|collation|range|inherits|tables|views|indexes|am)$/;

/** Functions that read nothing but their arguments and the catalog, run no text as SQL, and change nothing. */
const ALLOWED_FUNCTIONS: ReadonlySet<string> = new Set(
  `abs array_agg array_cat array_dims array_length array_lower array_position array_remove array_to_json array_to_string
  array_upper avg bool_and bool_or btrim cardinality ceil ceiling char_length clock_timestamp coalesce col_description
  concat concat_ws cosine_distance count cume_dist current_database current_schema current_schemas current_setting
  date_bin date_part date_trunc dense_rank encode exp extract first_value floor format format_type gen_random_uuid
  greatest inner_product initcap isfinite json_agg json_array_length json_build_array json_build_object json_object_agg
  jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
  jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_agg jsonb_object_keys jsonb_pretty
  jsonb_typeof l1_distance l2_distance lag last_value lead least left length ln log lower lpad ltrim make_date make_interval
  max md5 min mod mode nullif now ntile nth_value num_nonnulls num_nulls numnode obj_description octet_length overlay
  percent_rank percentile_cont percentile_disc pg_column_size pg_get_constraintdef pg_get_expr pg_get_indexdef
  pg_get_serial_sequence pg_get_userbyid pg_relation_size pg_size_pretty pg_table_is_visible pg_table_size
  pg_total_relation_size phraseto_tsquery plainto_tsquery position power quote_ident quote_literal rank regexp_count
  regexp_match regexp_matches regexp_replace regexp_split_to_array repeat replace reverse right round row_number
  row_to_json rpad rtrim sha256 sign similarity split_part sqrt starts_with stddev string_agg string_to_array strpos
  substr substring sum timezone to_char to_date to_json to_jsonb to_number to_regclass to_timestamp to_tsquery
  to_tsvector translate trim trunc ts_headline ts_rank ts_rank_cd tsvector_to_array unnest upper variance vector_dims
  vector_norm version websearch_to_tsquery width_bucket`.split(/\s+/),
);

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
    if (kind === 'A_Indirection') names.functions.push(...fieldsOf(node['indirection']));
  });
  return names;
}

/** PostgreSQL also reads `(value).name` as the call `name(value)`. */
function fieldsOf(indirection: unknown): readonly { readonly schema: undefined; readonly name: string }[] {
  const steps = Array.isArray(indirection) ? indirection : [];
  return steps.flatMap((step) =>
    isRecord(step) && 'String' in step ? [{ schema: undefined, name: stringOf(step['String']) }] : [],
  );
}

/** The page's row search limits itself with these: `set_config('statement_timeout', '5000ms', true)`. */
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

/** The value of a string or boolean literal. */
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
    ({ schema, name }) => !((schema === undefined || schema === 'pg_catalog') && ALLOWED_FUNCTIONS.has(name)),
  );
  if (call !== undefined) return `The function ${call.name} is not on the list of functions that only read.`;
  // A CTE of the same name does not help: inside the CTE, the name means the table.
  const table = tables.find(({ schema, name }) => {
    if (schema === 'information_schema') return false;
    const isSystem = (schema !== undefined && SYSTEM_SCHEMAS.has(schema)) || name.startsWith('pg_');
    return isSystem ? !SYSTEM_TABLES.test(name) : hidden.has(name);
  });
  return table === undefined ? undefined : `The studio does not show the table ${table.name}.`;
}

/** Visits every node of a syntax tree with its kind, or with its field's name where the field has one kind only. */
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
    throw notOnCompanion(error instanceof Error ? `${error.message}.` : 'It cannot be parsed.');
  }
}

function notOnCompanion(why: string): SuiteError {
  return new SuiteError('STUDIO.NOT_ON_COMPANION', 'The studio does not run this statement on the companion', {
    kind: 'usage',
    why: `The companion has no roles, so only plain reads are allowed. ${why}`,
    next: 'Use psql with the URL from "npm run db:url -- <service>", or a PostgreSQL server that has the extension',
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
