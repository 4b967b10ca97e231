import { countOf } from '../operations/count';
import type { ServiceRow } from '../operations/fleet';
import type { VerifiedService } from '../operations/verify';
import { failuresText } from './fleet';

/** What does not hold, a line each, then how much was proven. */
export function verifyText(rows: readonly ServiceRow<VerifiedService>[]): string {
  const done = rows.flatMap((row) => (row.state === 'done' ? [row] : []));
  const sum = (count: (data: VerifiedService) => number) => done.reduce((total, { data }) => total + count(data), 0);
  const lines = done.flatMap(({ service, data }) => [
    ...data.problems.map(({ migration, what }) => `${service}: ${migration}: ${what}`),
    ...data.irreversible.map((name) => `${service}: ${name}: says that it cannot be undone; not taken back`),
    ...data.tablesWithoutRows.map((table) => `${service}: the seed has no row of ${table}; tried without`),
  ]);
  const problems = sum((data) => data.problems.length);
  const verdict = problems === 0 ? 'each way back holds' : countOf(problems, 'problem');
  const summary = `${countOf(
    sum((data) => data.migrations),
    'migration',
  )} up, down and up, ${countOf(
    sum((data) => data.rows),
    'row',
  )}: ${verdict}`;
  return [...lines, failuresText(rows), summary].filter((text) => text !== '').join('\n');
}
