import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@azora/db-core';
import { expireReservations } from '@azora/education';
import { judgeAlerts, maintainHealth } from '@azora/health';
import { releaseExpired } from '@azora/mint';
import { expireRecommendations, pruneHistory, refreshProfiles } from '@azora/nexus';
import { deliver, expireNotifications, pruneNotifications, type Sender } from '@azora/notification';
import type { FlowStores } from './stores';

/** Work that becomes due by time, not by an event. */
interface Task {
  readonly name: string;
  /** Does one bounded part, in short transactions, and returns whether more may be due. */
  readonly work: () => Promise<boolean>;
}

export interface MaintenanceOptions {
  readonly stores: FlowStores;
  readonly sender: Sender | undefined;
  readonly everyMs: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Rows of one call, so that no transaction is long. */
const BATCH = { limit: 500 };
/** People whose items one call counts; it takes longer than a row. */
const PROFILES = { limit: 50 };

/** The tasks of each store, which are done one after the other. */
function tasksOf({ education, health, mint, nexus, notification }: FlowStores): readonly (readonly Task[])[] {
  const isFull = (done: number) => done === BATCH.limit;
  return [
    [{ name: 'mint.releaseExpired', work: async () => isFull((await releaseExpired(mint, BATCH)).length) }],
    [
      {
        name: 'education.expireReservations',
        work: async () => isFull((await expireReservations(education, BATCH)).length),
      },
    ],
    [
      {
        name: 'notification.expireNotifications',
        work: async () => isFull(await expireNotifications(notification, BATCH)),
      },
      {
        name: 'notification.pruneNotifications',
        work: async () => isFull(await pruneNotifications(notification, BATCH)),
      },
    ],
    [
      { name: 'nexus.expireRecommendations', work: async () => isFull(await expireRecommendations(nexus, BATCH)) },
      { name: 'nexus.refreshProfiles', work: async () => (await refreshProfiles(nexus, PROFILES)) > 0 },
      { name: 'nexus.pruneHistory', work: async () => Object.values(await pruneHistory(nexus, BATCH)).some(isFull) },
    ],
    [
      // Without its months, no event could be logged.
      { name: 'health.maintainHealth', work: () => maintainHealth(health).then(() => false) },
      { name: 'health.judgeAlerts', work: () => judgeAlerts(health).then(() => false) },
    ],
  ];
}

/** Beside the other tasks of notification, because a sender can be slow. */
function deliveryOf({ notification }: FlowStores, sender: Sender): readonly Task[] {
  const work = async () => {
    const { sent, retried, failed } = await deliver(notification, { sender });
    return sent + retried + failed > 0;
  };
  return [{ name: 'notification.deliver', work }];
}

/**
 * Runs the maintenance tasks of each store until the signal aborts: at once, and then after each pause. Any number of processes may do it:
 * each row is taken by one of them. An error is logged when it is new, and the task is tried again after the pause.
 */
export async function runMaintenance({ stores, sender, everyMs, logger, signal }: MaintenanceOptions): Promise<void> {
  const groups = [...tasksOf(stores), ...(sender === undefined ? [] : [deliveryOf(stores, sender)])];
  const repeat = async (tasks: readonly Task[]) => {
    const failures = new Map<string, string>();
    while (!signal.aborted) {
      for (const task of tasks) await finish(task, { failures, logger, signal });
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  };
  await Promise.all(groups.map(repeat));
}

interface Attempt extends Pick<MaintenanceOptions, 'logger' | 'signal'> {
  /** The last failure of each task. */
  readonly failures: Map<string, string>;
}

/** Does a task until nothing is due. Never throws. */
async function finish({ name, work }: Task, { failures, logger, signal }: Attempt): Promise<void> {
  try {
    while (!signal.aborted && (await work()));
    failures.delete(name);
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    if (failures.get(name) !== failure) {
      logger.warn('A maintenance task failed and will be tried again', { task: name, error: failure });
    }
    failures.set(name, failure);
  }
}
