import type { DatabaseUrl } from '@azora/db-core';
import {
  columnsOf,
  type Problem,
  readContents,
  readMigrations,
  tripEmpty,
  tripWithRows,
  withClient,
} from '@azora/db-migrate';
import { withScratchDatabase } from '../postgres/scratch';
import { countOf } from './count';
import { eachService, type RunOptions, type ServiceRow } from './fleet';
import { runSeed } from './seed';
import { scratchPlace, type Target } from './targets';

export interface VerifiedService {
  readonly migrations: number;
  /** Migrations that say that they cannot be undone. */
  readonly irreversible: readonly string[];
  readonly problems: readonly Problem[];
  /** Rows of the shared seed that went down and up, and the tables that had none. */
  readonly rows: number;
  readonly tablesWithoutRows: readonly string[];
}

/**
 * Proves the migrations of each service on scratch databases: up, down and up give the same catalog, also on tables with
 * the rows of the service's seed, which are there afterwards as before.
 */
export async function verifyFleet(
  targets: readonly Target[],
  root: string,
  options: RunOptions,
): Promise<readonly ServiceRow<VerifiedService>[]> {
  return eachService(targets, options, async (target, tell) => {
    const verified = await verifyService(target, root, tell);
    const { problems, rows } = verified;
    const detail =
      problems.length > 0 ? countOf(problems.length, 'problem') : `the way back holds, ${countOf(rows, 'row')} kept`;
    return { data: verified, detail };
  });
}

async function verifyService(target: Target, root: string, tell: (detail: string) => void): Promise<VerifiedService> {
  const migrations = await readMigrations(target.service.migrationsPath);
  const irreversible = migrations.filter(({ down }) => 'irreversible' in down).map(({ name }) => name);
  return withScratchDatabase(scratchPlace(target), async (url) => {
    tell(`${migrations.length} up and down`);
    const { problems, catalogs } = await tripEmpty(url, migrations);
    const base = { migrations: migrations.length, irreversible };
    if (problems.length > 0) return { ...base, problems, rows: 0, tablesWithoutRows: [] };
    tell('with rows');
    await seedScratch(target, url, root);
    const contents = await withClient(url, (client) => readContents(client, columnsOf(catalogs.at(-1) ?? [])));
    const filled = [...contents.values()].reduce((sum, { rows }) => sum + rows, 0);
    return {
      ...base,
      problems: await tripWithRows(url, migrations, catalogs),
      rows: filled,
      tablesWithoutRows: [...contents].filter(([, { rows }]) => rows === 0).map(([table]) => table),
    };
  });
}

/** As the administrator: the app role's rights belong to no migration. */
async function seedScratch({ service }: Target, url: DatabaseUrl, root: string): Promise<void> {
  const { name, packageName } = service;
  const request = {
    services: [{ name, packageName, url: url.href }],
    waves: [[name]],
    repositoryRoot: root,
    scale: 0,
  };
  const [row] = await runSeed(request, { root });
  if (row?.state === 'failed') throw row.error;
}
