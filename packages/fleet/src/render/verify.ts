import { countOf, type ServiceRow } from '../operations/fleet';
import type { VerifiedService } from '../operations/verify';
import { failuresText } from './fleet';

/** One line per problem and per migration that was skipped, then the failures and a summary. */
export function verifyText(rows: readonly ServiceRow<VerifiedService>[]): string {
  const done = rows.flatMap((row) => (row.state === 'done' ? [row] : []));
  const sum = (count: (data: VerifiedService) => number) => done.reduce((total, { data }) => total + count(data), 0);
  const lines = done.flatMap(({ service, data }) => [
    ...data.problems.map(({ migration, what }) => `${service}: ${migration}: ${what}`),
    ...data.irreversible.map((name) => `${service}: ${name}: irreversible; not reverted`),
    ...data.tablesWithoutRows.map((table) => `${service}: the seed has no rows for ${table}; verified without rows`),
  ]);
  const problems = sum((data) => data.problems.length);
  const verdict = problems === 0 ? 'no problems' : countOf(problems, 'problem');
  const summary = `${countOf(
    sum((data) => data.migrations),
    'migration',
  )} applied, reverted and applied again, ${countOf(
    sum((data) => data.rows),
    'row',
  )}: ${verdict}`;
  return [...lines, failuresText(rows), summary].filter((text) => text !== '').join('\n');
}
