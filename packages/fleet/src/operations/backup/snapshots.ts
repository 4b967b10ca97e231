import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { beginBackup, type DumpedTable, type Snapshot, takeSnapshot } from '../../postgres/dump/snapshot';
import { withWriteFence } from '../../postgres/dump/write-fence';
import type { Target } from '../targets';

/** A database in the transaction of a backup. */
export interface FrozenDatabase {
  readonly target: Target;
  readonly client: Client;
  readonly snapshot: Snapshot;
}

/** How far apart the snapshots are. */
export interface SnapshotTiming {
  /** Between the first and the last snapshot. */
  readonly skewMs: number;
  readonly fence: { readonly heldMs: number } | null;
}

interface OpenDatabase {
  readonly target: Target;
  readonly client: Client;
}

interface BegunDatabase extends OpenDatabase {
  readonly tables: readonly DumpedTable[];
}

/**
 * Takes the snapshots of all databases within milliseconds of each other, and runs `work` while they last.
 * @param fence whether all writers wait until the last snapshot is taken, so that the snapshots agree exactly
 * @throws {SuiteError} `BACKUP.FENCE_TIMEOUT`, `BACKUP.LARGE_OBJECTS`, `BACKUP.SCHEMA_CHANGED`, `SERVER.…`
 */
export async function withSnapshots<Result>(
  targets: readonly Target[],
  { fence }: { readonly fence: boolean },
  work: (databases: readonly FrozenDatabase[], timing: SnapshotTiming) => Promise<Result>,
): Promise<Result> {
  return withClients(targets, async (open) => {
    const begun = await Promise.all(
      open.map(async ({ target, client }) => ({ target, client, tables: await beginBackup(client) })),
    );
    if (!fence) {
      const { databases, skewMs } = await takeAll(begun);
      return work(databases, { skewMs, fence: null });
    }
    const { databases, skewMs, heldMs } = await takeFenced(targets, begun);
    return work(databases, { skewMs, fence: { heldMs } });
  });
}

async function takeAll(begun: readonly BegunDatabase[]) {
  const times: number[] = [];
  const databases = await Promise.all(
    begun.map(async ({ target, client, tables }): Promise<FrozenDatabase> => {
      const snapshot = await takeSnapshot(client, tables, { share: target.server !== 'companion' });
      times.push(performance.now());
      return { target, client, snapshot };
    }),
  );
  const skewMs = times.length === 0 ? 0 : Math.round(Math.max(...times) - Math.min(...times));
  return { databases, skewMs };
}

async function takeFenced(targets: readonly Target[], begun: readonly BegunDatabase[]) {
  // A companion has one session: the transaction of the backup makes everyone else wait already.
  const fenced = targets.filter(({ server }) => server !== 'companion');
  const tablesOf = (target: Target) => begun.find((it) => it.target === target)?.tables ?? [];
  return withClients(fenced, async (open) => {
    const sessions = open.map(({ target, client }) => ({ client, tables: tablesOf(target) }));
    const { result, heldMs } = await withWriteFence(sessions, () => takeAll(begun));
    return { ...result, heldMs };
  });
}

/** Opens a session of the administrator in every database. */
async function withClients<Result>(
  targets: readonly Target[],
  work: (open: readonly OpenDatabase[]) => Promise<Result>,
  open: readonly OpenDatabase[] = [],
): Promise<Result> {
  const [target, ...others] = targets;
  if (target === undefined) return work(open);
  return withClient(target.admin, (client) => withClients(others, work, [...open, { target, client }]));
}
