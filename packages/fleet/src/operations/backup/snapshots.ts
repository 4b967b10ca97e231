import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { beginBackup, type DumpedTable, type Snapshot, takeSnapshot } from '../../postgres/dump/snapshot';
import { withWriteFence } from '../../postgres/dump/write-fence';
import { type FailedRow, toSuiteError } from '../fleet';
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

export interface Snapshots extends SnapshotTiming {
  readonly databases: readonly FrozenDatabase[];
  /** The services whose snapshot could not be taken. */
  readonly failed: readonly FailedRow[];
}

interface OpenDatabase {
  readonly target: Target;
  readonly client: Client;
}

interface BegunDatabase extends OpenDatabase {
  readonly tables: readonly DumpedTable[];
}

/** The databases with which a step succeeded, and those with which it failed. */
interface Outcome<Database> {
  readonly done: readonly Database[];
  readonly failed: readonly FailedRow[];
}

/**
 * Takes the snapshots of all databases within milliseconds of each other, and runs `work` while they last. A database whose
 * snapshot cannot be taken is reported, and does not prevent the others.
 * @param fence whether all writers wait until the last snapshot is taken, so that the snapshots agree exactly
 * @throws {SuiteError} `BACKUP.FENCE_TIMEOUT`
 */
export async function withSnapshots<Result>(
  targets: readonly Target[],
  { fence }: { readonly fence: boolean },
  work: (snapshots: Snapshots) => Promise<Result>,
): Promise<Result> {
  return withClients(targets, async (open) => {
    const begun = await eachDatabase(open.done, async (database) => {
      return { ...database, tables: await beginBackup(database.client) };
    });
    const failed = [...open.failed, ...begun.failed];
    const taken = fence ? await takeFenced(begun.done) : { ...(await takeAll(begun.done)), fence: null };
    return work({ ...taken, failed: [...failed, ...taken.failed] });
  });
}

async function takeAll(begun: readonly BegunDatabase[]): Promise<Omit<Snapshots, 'fence'>> {
  const times: number[] = [];
  const { done, failed } = await eachDatabase(begun, async ({ target, client, tables }): Promise<FrozenDatabase> => {
    const snapshot = await takeSnapshot(client, tables, { share: target.server !== 'companion' });
    times.push(performance.now());
    return { target, client, snapshot };
  });
  const skewMs = times.length === 0 ? 0 : Math.round(Math.max(...times) - Math.min(...times));
  return { databases: done, failed, skewMs };
}

async function takeFenced(begun: readonly BegunDatabase[]): Promise<Snapshots> {
  // A companion has one session: the transaction of the backup makes everyone else wait already.
  const fenced = begun.filter(({ target }) => target.server !== 'companion');
  return withClients(
    fenced.map(({ target }) => target),
    async (open) => {
      const tablesOf = (target: Target) => begun.find((it) => it.target === target)?.tables ?? [];
      const sessions = open.done.map(({ target, client }) => ({ client, tables: tablesOf(target) }));
      const unfenced = new Set(open.failed.map(({ service }) => service));
      const { result, heldMs } = await withWriteFence(sessions, () =>
        takeAll(begun.filter(({ target }) => !unfenced.has(target.service.name))),
      );
      return { ...result, failed: [...open.failed, ...result.failed], fence: { heldMs } };
    },
  );
}

/** Runs a step for all databases at once. A failed step releases the locks of its database. */
async function eachDatabase<Database extends OpenDatabase, Result>(
  databases: readonly Database[],
  step: (database: Database) => Promise<Result>,
): Promise<Outcome<Result>> {
  const done: Result[] = [];
  const failed: FailedRow[] = [];
  await Promise.all(
    databases.map(async (database) => {
      try {
        done.push(await step(database));
      } catch (error) {
        failed.push(failedRow(database.target, error));
        // A session that cannot roll back is lost, and holds no locks.
        await database.client.query('ROLLBACK').catch(() => undefined);
      }
    }),
  );
  return { done, failed };
}

/** Opens a session of the administrator in every database that can be reached. */
async function withClients<Result>(
  targets: readonly Target[],
  work: (open: Outcome<OpenDatabase>) => Promise<Result>,
  open: Outcome<OpenDatabase> = { done: [], failed: [] },
): Promise<Result> {
  const [target, ...others] = targets;
  if (target === undefined) return work(open);
  let isOpen = false;
  try {
    return await withClient(target.admin, async (client) => {
      isOpen = true;
      return withClients(others, work, { ...open, done: [...open.done, { target, client }] });
    });
  } catch (error) {
    if (isOpen) throw error;
    return withClients(others, work, { ...open, failed: [...open.failed, failedRow(target, error)] });
  }
}

function failedRow({ service }: Target, error: unknown): FailedRow {
  return { service: service.name, state: 'failed', error: toSuiteError(error) };
}
