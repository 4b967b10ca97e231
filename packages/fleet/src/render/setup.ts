import { countOf } from '../operations/fleet';
import type { SeedReport } from '../operations/seed';
import type { SetupReport } from '../operations/setup';
import { leftOutText } from '../operations/targets';
import { countsText, failuresText, rowsData } from './fleet';
import { statusText } from './status';

/** The result of setup as data for `--json`. */
export function setupData({ rows, seeded, status, leftOut }: SetupReport) {
  const data = rowsData(rows);
  const seed = seeded === undefined ? null : seedData(seeded);
  return { ...data, ok: data.ok && seed?.ok !== false, seed, status, leftOut };
}

/** The state of every database after setup, the services that are left out, the result of the seed and the failures. */
export function setupText({ rows, seeded, status, leftOut }: SetupReport): string {
  const seed = seeded === undefined ? '' : seedText(seeded);
  return [status.length === 0 ? '' : statusText(status), ...leftOut.map(leftOutText), seed, failuresText(rows)]
    .filter((part) => part !== '')
    .join('\n');
}

/** The toolkit itself imports no store. */
const EXAMPLE_STORE = '@azora/mint';

/** What a person can do next, as commands for a shell. The example reads the seeded rows. */
export function nextStepsText({ seeded }: SetupReport): string {
  const example = [
    'Use a store in code (services/*/README.md has an example of each):',
    '  MINT_DATABASE_URL="$(npm run --silent db:url -- mint)" \\',
    `  node -e "const store = require('${EXAMPLE_STORE}').openMint(); store.prisma.wallet.count().then(console.log).finally(() => store.close())"`,
  ];
  return [
    'Next',
    'Browse all databases in a browser:',
    '  npm run db:studio',
    'Open a database with psql:',
    '  psql "$(npm run --silent db:url -- mint)"',
    ...(seeded === undefined ? ['Insert the example rows:', '  npm run db:seed'] : example),
    'Relay the events between services, until Ctrl-C:',
    '  npm run db:events -- relay',
    'Show the state again, and stop the server:',
    '  npm run db:status',
    '  npm run db:server -- stop',
  ].join('\n');
}

/** The result of a seed as data for `--json`. */
export function seedData({ rows, orphans }: SeedReport) {
  const data = rowsData(rows);
  return { ...data, orphans: orphans ?? null };
}

/** The failures of a seed, a summary, and a warning about references to rows that do not exist. */
export function seedText({ rows, orphans }: SeedReport): string {
  return [failuresText(rows), `seed: ${countsText(rows)}; ${referencesText(orphans)}`]
    .filter((line) => line !== '')
    .join('\n');
}

function referencesText(orphans: SeedReport['orphans']): string {
  if (orphans === undefined) return 'the references between services were not checked';
  if (orphans.length === 0) return 'all references between services resolve';
  const ids = orphans.reduce((sum, { count }) => sum + count, 0);
  const [verb, pronoun] = ids === 1 ? ['does', 'it'] : ['do', 'them'];
  return `warning: ${countOf(ids, 'id')} of other services ${verb} not exist; run "npx azora-db check" to see ${pronoun}`;
}
