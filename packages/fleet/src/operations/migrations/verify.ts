import type { DatabaseUrl } from '@azora/db-core';
import { readMigrations, withClient } from '@azora/db-migrate';
import { withScratchDatabase } from '../../postgres/scratch';
import { columnsOf, type Problem, readContents, tripEmpty, tripWithRows } from '../../postgres/verify/round-trip';
import { countOf, eachService, type RunOptions, type ServiceRow } from '../fleet';
import { runSeed } from '../seed';
import { scratchPlace, type Target } from '../targets';

export interface VerifiedService {
  /** The number of migrations that were applied. Verifying ends at the first problem. */
  readonly migrations: number;
  /** Those of them that were reverted and applied again without a difference. */
  readonly reverted: number;
  /** Migrations whose down.sql is marked as irreversible. */
  readonly irreversible: readonly string[];
  readonly problems: readonly Problem[];
  /** The number of seed rows that were compared, and the tables without seed rows. */
  readonly rows: number;
  readonly tablesWithoutRows: readonly string[];
}

/**
 * Verifies the migrations of each service on scratch databases: applying, reverting and applying again gives the same
 * catalog, and keeps the rows of the service's seed.
 */
export async function verifyFleet(
  targets: readonly Target[],
  root: string,
  options: RunOptions,
): Promise<readonly ServiceRow<VerifiedService>[]> {
  return eachService(targets, options, async (target, onProgress) => {
    const verified = await verifyService(target, root, { ...options, onProgress });
    const { problems, rows } = verified;
    const detail = problems.length > 0 ? countOf(problems.length, 'problem') : `verified, ${countOf(rows, 'row')} kept`;
    return { data: verified, detail };
  });
}

/** Whether every database was verified without a problem. */
export function isVerified(rows: readonly ServiceRow<VerifiedService>[]): boolean {
  return rows.every((row) => row.state === 'done' && row.data.problems.length === 0);
}

async function verifyService(
  target: Target,
  root: string,
  { onProgress, signal }: RunOptions & { readonly onProgress: (detail: string) => void },
): Promise<VerifiedService> {
  const migrations = await readMigrations(target.service.migrationsPath);
  const irreversible = migrations.filter(({ down }) => 'irreversible' in down).map(({ name }) => name);
  return withScratchDatabase(scratchPlace(target), async (url) => {
    onProgress(`applying and reverting ${countOf(migrations.length, 'migration')}`);
    const { problems, catalogs, reverted } = await withClient(url, (client) => tripEmpty(client, migrations));
    const base = { migrations: catalogs.length - 1, reverted, irreversible };
    if (problems.length > 0) return { ...base, problems, rows: 0, tablesWithoutRows: [] };
    signal?.throwIfAborted();
    onProgress('applying and reverting with rows');
    await seedScratch(target, url, root, signal);
    const contents = await withClient(url, (client) => readContents(client, columnsOf(catalogs.at(-1) ?? [])));
    const filled = [...contents.values()].reduce((sum, { rows }) => sum + rows, 0);
    return {
      ...base,
      problems: await withClient(url, (client) => tripWithRows(client, migrations, catalogs)),
      rows: filled,
      tablesWithoutRows: [...contents].filter(([, { rows }]) => rows === 0).map(([table]) => table),
    };
  });
}

/** Seeds as the administrator, because no migration grants rights to the app role. */
async function seedScratch(
  { service }: Target,
  url: DatabaseUrl,
  root: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { name, packageName } = service;
  const request = {
    services: [{ name, packageName, url: url.href }],
    waves: [[name]],
    repositoryRoot: root,
    scale: 0,
  };
  const [row] = await runSeed(request, { root, signal });
  signal?.throwIfAborted();
  if (row?.state === 'failed') throw row.error;
}
