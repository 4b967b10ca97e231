import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { backOff } from 'exponential-backoff';
import type { Client } from 'pg';
import { lowerFence, raiseFence } from '../../postgres/dump/fence';
import { beginBackup, type DumpedTable, type Snapshot, takeSnapshot } from '../../postgres/dump/snapshot';
import type { Target } from '../targets';

/** A database in the transaction of a backup. */
export interface FrozenDatabase {
  readonly target: Target;
  readonly client: Client;
  readonly snapshot: Snapshot;
}

/** How well the snapshots agree. */
export interface Taken {
  /** Between the first and the last of them. */
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

/** About ten seconds in all: writers that hold their locks for longer than that are told of. */
const FENCE_RETRY = {
  numOfAttempts: 12,
  startingDelay: 50,
  maxDelay: 2_000,
  jitter: 'full',
  // A lost connection stays lost, and the writers of the others would wait for all attempts.
  retry: (error: unknown) => error instanceof SuiteError && error.code === 'BACKUP.FENCE_TIMEOUT',
} as const;

/**
 * Takes the snapshots of all databases at the same moment, and runs `work` while they last.
 * @param fence whether writers are stopped for that moment, so that the snapshots are of one state of the fleet
 * @throws {SuiteError} `BACKUP.FENCE_TIMEOUT`, `BACKUP.LARGE_OBJECTS`, `BACKUP.SCHEMA_CHANGED`, `SERVER.…`
 */
export async function withSnapshots<Result>(
  targets: readonly Target[],
  { fence }: { readonly fence: boolean },
  work: (databases: readonly FrozenDatabase[], taken: Taken) => Promise<Result>,
): Promise<Result> {
  return withClients(targets, async (open) => {
    const begun = await Promise.all(open.map(begin));
    const { databases, taken } = fence ? await takeFenced(targets, begun) : await takeAll(begun, null);
    return work(databases, taken);
  });
}

async function begin({ target, client }: OpenDatabase): Promise<BegunDatabase> {
  return { target, client, tables: await beginBackup(client) };
}

async function takeAll(begun: readonly BegunDatabase[], fence: Taken['fence']) {
  const times: number[] = [];
  const databases = await Promise.all(
    begun.map(async ({ target, client, tables }): Promise<FrozenDatabase> => {
      const snapshot = await takeSnapshot(client, tables, { share: target.server !== 'companion' });
      times.push(performance.now());
      return { target, client, snapshot };
    }),
  );
  const skewMs = times.length === 0 ? 0 : Math.round(Math.max(...times) - Math.min(...times));
  return { databases, taken: { skewMs, fence } };
}

async function takeFenced(targets: readonly Target[], begun: readonly BegunDatabase[]) {
  // A companion has one session: the backup's own transaction keeps everybody else waiting.
  const fenced = targets.filter(({ server }) => server !== 'companion');
  return withClients(fenced, async (open) => {
    const sessions = open.map(({ target, client }) => ({ client, tables: tablesOf(target, begun) }));
    const since = await backOff(() => stopWriters(sessions), FENCE_RETRY);
    try {
      const { databases, taken } = await takeAll(begun, null);
      return { databases, taken: { ...taken, fence: { heldMs: Math.round(performance.now() - since) } } };
    } finally {
      await Promise.all(sessions.map(({ client }) => lowerFence(client)));
    }
  });
}

/** All of them or none: writers of one database must not wait for those of another. Returns since when. */
async function stopWriters(
  sessions: readonly { readonly client: Client; readonly tables: readonly DumpedTable[] }[],
): Promise<number> {
  const since = performance.now();
  const raised = await Promise.all(sessions.map(({ client, tables }) => raiseFence(client, tables)));
  if (raised.every(Boolean)) return since;
  await Promise.all(sessions.map(({ client }, index) => raised[index] === true && lowerFence(client)));
  throw new SuiteError('BACKUP.FENCE_TIMEOUT', 'The writers could not all be stopped at the same time', {
    why: 'A transaction that has written is still open.',
    next: 'Run "azora-db migrate doctor", which names long transactions, or back up without --fence',
  });
}

function tablesOf(target: Target, begun: readonly BegunDatabase[]): readonly DumpedTable[] {
  return begun.find((it) => it.target === target)?.tables ?? [];
}

/** A session of the administrator in every database, at the same time. */
async function withClients<Result>(
  targets: readonly Target[],
  work: (open: readonly OpenDatabase[]) => Promise<Result>,
  open: readonly OpenDatabase[] = [],
): Promise<Result> {
  const [target, ...others] = targets;
  if (target === undefined) return work(open);
  return withClient(target.admin, (client) => withClients(others, work, [...open, { target, client }]));
}
