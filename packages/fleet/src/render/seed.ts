import type { SeedReport } from '../operations/seed';
import { countsText, failuresText, rowsData } from './fleet';

export function seedData({ rows, orphans }: SeedReport) {
  const data = rowsData(rows);
  return { ...data, ok: data.ok && orphans.length === 0, orphans };
}

export function seedText({ rows, orphans }: SeedReport): string {
  const lost = orphans.map(
    ({ from, to, count, examples }) => `${from}: ${count} ids that no ${to} has, such as ${examples.join(', ')}`,
  );
  const checked = orphans.length === 0 ? 'every reference between services resolves' : 'references without a row:';
  return [failuresText(rows), `seed: ${countsText(rows)}; ${checked}`, ...lost]
    .filter((line) => line !== '')
    .join('\n');
}
