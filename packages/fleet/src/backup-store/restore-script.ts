import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { DatabaseEntry, FileEntry, TableEntry } from './manifest';

/**
 * The script with which plain psql restores the database, in the directory of its files.
 * @param access the statements that give owners, rights and settings to the database `:"DBNAME"`
 */
export function restoreScript(
  { service, tables, sequences }: Omit<DatabaseEntry, 'script'>,
  access: readonly string[],
): string {
  const copies = tables.flatMap((table) => (table.file === null ? [] : copyOf(table, table.file)));
  const positions = sequences.map(
    (sequence) =>
      `SELECT setval(${quoteLiteral(nameOf(sequence))}, ${sequence.lastValue}, ${String(sequence.isCalled)});`,
  );
  return [
    `-- Restores ${service} into an empty database without the Azora tools. Run in this directory:`,
    '--   createdb --template template0 restored && psql -X -d restored -f restore.sql',
    '-- The roles that own or may use objects must exist; access.json and the end of this file name them.',
    '\\set ON_ERROR_STOP on',
    'REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;',
    ...SETTINGS.map((setting) => `SET ${setting};`),
    // Servers before PostgreSQL 17 do not know it.
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';",
    '\\ir pre-data.sql',
    ...copies,
    ...positions,
    '\\ir post-data.sql',
    ...access.map((statement) => `${statement};`),
    'ANALYZE;',
    '',
  ].join('\n');
}

/** The session settings under which the SQL of a set runs. */
export const SETTINGS: readonly string[] = [
  "search_path = ''",
  "client_encoding = 'UTF8'",
  'standard_conforming_strings = on',
  // A function body may refer to objects that are created later.
  'check_function_bodies = off',
  'xmloption = content',
  'client_min_messages = warning',
  'row_security = off',
  "default_tablespace = ''",
  'statement_timeout = 0',
  'lock_timeout = 0',
  'idle_in_transaction_session_timeout = 0',
  'idle_session_timeout = 0',
];

/** The commands that load the rows of a table. A command of psql ends with its line, so that it cannot hold every name. */
function copyOf(table: TableEntry, file: FileEntry): readonly string[] {
  const [name, columns] = [nameOf(table), columnsOf(table)];
  const from = `FROM PROGRAM '${file.path.endsWith('.zst') ? 'zstd' : 'gzip'} -dc ${fileName(file)}'`;
  if (!/[\r\n]/.test(`${name}${columns}`)) return [`\\copy ${name} ${columns} ${from}`];
  const staged = table.columns.map((column, index) => `${quoteIdentifier(column)} AS c${index}`);
  return [
    `CREATE TEMPORARY TABLE azora_rows AS SELECT ${staged.join(', ')} FROM ONLY ${name} WITH NO DATA;`,
    `\\copy pg_temp.azora_rows ${from}`,
    `INSERT INTO ${name} ${columns} OVERRIDING SYSTEM VALUE SELECT * FROM pg_temp.azora_rows;`,
    'DROP TABLE pg_temp.azora_rows;',
  ];
}

function nameOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

function columnsOf({ columns }: TableEntry): string {
  return columns.length === 0 ? '' : `(${columns.map(quoteIdentifier).join(', ')})`;
}

function fileName({ path }: FileEntry): string {
  return path.slice(path.indexOf('/') + 1);
}
