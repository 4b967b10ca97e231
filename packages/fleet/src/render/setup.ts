import { countOf } from '../operations/fleet';
import type { SeedReport } from '../operations/seed';
import type { SetupReport } from '../operations/setup';
import { countsText, failuresText, rowsData } from './fleet';
import { statusText } from './status';

/** The result of setup as data for `--json`. */
export function setupData({ rows, seeded, status }: SetupReport) {
  const data = rowsData(rows);
  const seed = seeded === undefined ? null : seedData(seeded);
  return { ...data, ok: data.ok && seed?.ok !== false, seed, status };
}

/** The state of every database after setup, then the result of the seed and the failures. */
export function setupText({ rows, seeded, status }: SetupReport): string {
  const seed = seeded === undefined ? '' : seedText(seeded);
  return [statusText(status), seed, failuresText(rows)].filter((part) => part !== '').join('\n');
}

/** What a person can do next, as commands for a shell. The last two lines of code read the seeded rows. */
export function nextStepsText({ seeded }: SetupReport): string {
  const example = [
    'Use a store in code (services/*/README.md has an example of each):',
    '  export MINT_DATABASE_URL="$(npm run --silent db:url -- mint)"',
    `  node -e "const store = require('@azora/mint').openMint(); store.prisma.wallet.count().then(console.log).finally(() => store.close())"`,
  ];
  return [
    'Next',
    'Browse all databases in a browser:',
    '  npm run db:studio',
    'Open a database with psql:',
    '  psql "$(npm run --silent db:url -- mint)"',
    ...(seeded === undefined ? ['Insert the example rows:', '  npm run db:seed'] : example),
    'Show the state again, and stop the server:',
    '  npm run db:status',
    '  npm run db:server -- stop',
  ].join('\n');
}

/** The result of a seed as data for `--json`. */
export function seedData({ rows, orphans }: SeedReport) {
  const data = rowsData(rows);
  return { ...data, ok: data.ok && orphans.length === 0, orphans };
}

/** The failures of a seed, a summary, and the references to rows that do not exist. */
export function seedText({ rows, orphans }: SeedReport): string {
  const checked = orphans.length === 0 ? 'all references between services resolve' : 'some references do not resolve:';
  const lines = orphans.map(
    ({ from, to, count, examples }) =>
      `${from}: no ${to} exists for ${countOf(count, 'id')}, such as ${examples.join(', ')}`,
  );
  return [failuresText(rows), `seed: ${countsText(rows)}; ${checked}`, ...lines]
    .filter((line) => line !== '')
    .join('\n');
}
