import { COUNT_LIMIT_ROWS, type DatabaseContents, totalOf } from '../operations/contents';
import { countOf } from '../operations/fleet';
import { serverName } from '../operations/targets';

/** The action, and what it concerns: each server with its databases, tables and rows, and the sum. */
export function consentText(action: string, contents: readonly DatabaseContents[]): string {
  const servers = [...new Set(contents.map(({ target }) => serverName(target)))];
  const lines = servers.flatMap((server) => [
    `  on ${server}:`,
    ...contents
      .filter(({ target }) => serverName(target) === server)
      .map((it) => `    ${it.target.database}: ${contentsText(it)}`),
  ]);
  const sum = contents.length > 1 ? [`  in total ${sumText(contents)}`] : [];
  return [`This would ${action}${lines.length > 0 ? ':' : ''}`, ...lines, ...sum].join('\n');
}

/** The number of databases, tables and rows: `2 databases with 12 tables and 1,204 rows`. */
export function sumText(contents: readonly DatabaseContents[]): string {
  const { tables, rows } = totalOf(contents);
  return `${countOf(contents.length, 'database')} with ${countOf(tables, 'table')} and ${rowsText(rows)}`;
}

function contentsText(contents: DatabaseContents): string {
  if ('error' in contents) return `unknown contents (${contents.error})`;
  return `${countOf(contents.tables, 'table')}, ${rowsText(contents.rows)}`;
}

function rowsText(rows: number | undefined): string {
  if (rows === undefined) return 'an unknown number of rows';
  // A larger sum may contain an estimate.
  return `${rows > COUNT_LIMIT_ROWS ? 'about ' : ''}${countOf(rows, 'row')}`;
}
