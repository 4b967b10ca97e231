import { doneRows } from '../operations/fleet';
import type { GenerateReport } from '../operations/generate';
import { countsText } from './fleet';

/** Names the generated clients and the packages that were built. */
export function generateText({ rows, alsoBuilt }: GenerateReport): string {
  if (rows.some(({ state }) => state === 'not-started')) {
    return `${countsText(rows)}; run "npm run db:generate" to continue`;
  }
  const done = doneRows(rows);
  const generated = done.filter(({ data }) => data.generated).map(({ service }) => service);
  const built = [...done.filter(({ data }) => data.built).map(({ service }) => service), ...alsoBuilt];
  if (generated.length === 0 && built.length === 0) return 'every client and store is up to date';
  return [`generated: ${generated.join(', ') || 'none'}`, `built: ${built.join(', ') || 'none'}`].join('\n');
}
