import { readHealth, type TableHealth } from '../../postgres/health';
import { readSlowest, type SlowStatement } from '../../postgres/slow-statements';
import { eachService } from '../fleet';
import type { Target } from '../targets';
import { readBackups, type ServiceBackups } from './backups';
import type { StudioContext } from './context';
import { type ReadError, readErrorOf, withReader } from './reader';

/** What is known of one database at the moment; null where nothing is. */
export interface ServiceOverview {
  readonly service: string;
  readonly connections: number | null;
  readonly connectionLimit: number | null;
  readonly cacheHitRatio: number | null;
  readonly tables: readonly (Omit<TableHealth, 'deadRows'> & { readonly deadRows: number | null })[];
  /** Null where the statistics of statements are not kept. */
  readonly slowest: readonly SlowStatement[] | null;
  /** Null when none is open. */
  readonly oldestTransactionSeconds: number | null;
  readonly replicationLagBytes: number | null;
  /** Since the newest set that a drill has proven began. */
  readonly backupAgeSeconds: number | null;
  readonly error: ReadError | null;
}

export interface StudioOverview {
  readonly at: string;
  readonly services: readonly ServiceOverview[];
  /** Why nothing is known of backups. */
  readonly backupError: ReadError | null;
}

type Measured = Omit<ServiceOverview, 'service' | 'backupAgeSeconds' | 'error'>;

const NOTHING: Measured = {
  connections: null,
  connectionLimit: null,
  cacheHitRatio: null,
  tables: [],
  slowest: null,
  oldestTransactionSeconds: null,
  replicationLagBytes: null,
};

/** How every database that is shown is doing now. */
export async function readOverview(context: StudioContext, now = new Date()): Promise<StudioOverview> {
  const [rows, backups] = await Promise.all([
    eachService(context.targets, {}, async (target) => ({ data: await measure(target), detail: '' })),
    readBackups(context),
  ]);
  return {
    at: now.toISOString(),
    services: rows.map((row) => ({
      service: row.service,
      ...(row.state === 'done' ? row.data : NOTHING),
      backupAgeSeconds: ageOf(backups.of(row.service), now),
      error: row.state === 'failed' ? readErrorOf(row.error) : null,
    })),
    backupError: backups.error,
  };
}

async function measure(target: Target): Promise<Measured> {
  return withReader(target, async (client) => {
    const { statements, ...health } = await readHealth(client, target.role);
    if (target.server === 'companion') return { ...NOTHING, tables: health.tables.map(withoutCounters) };
    return { ...health, slowest: statements === null ? null : await readSlowest(client, statements) };
  });
}

/** PGlite counts nothing while it runs; what it knows of tables is their size and their last analysis. */
function withoutCounters(table: TableHealth): ServiceOverview['tables'][number] {
  return { ...table, deadRows: null, indexUse: null };
}

function ageOf({ provenAt }: ServiceBackups, now: Date): number | null {
  return provenAt === null ? null : Math.max(0, (now.getTime() - Date.parse(provenAt)) / 1_000);
}
