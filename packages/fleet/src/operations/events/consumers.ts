import { SuiteError } from '@azora/db-core';
import type { Client } from 'pg';
import {
  changeDeadLetters,
  type DeadLetterAction,
  planReplay,
  type ReplayPlan,
  type ReplayStart,
  removeConsumer,
  replayFrom,
} from '../../postgres/events/changes';
import { type DeadLetter, readDeadLetters } from '../../postgres/events/log';
import type { Target } from '../targets';
import { type Connect, requireConsumer, withLog } from './log-target';

export type { DeadLetterAction, ReplayStart };

/** The most dead letters that one answer lists. */
export const LISTED_DEAD_LETTERS = 500;

/**
 * Lists the dead letters of a consumer, or of all consumers.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, and those of `withLog`
 */
export async function listDeadLetters(
  fleet: readonly Target[],
  consumer: string | undefined,
  connect?: Connect,
): Promise<readonly DeadLetter[]> {
  const read = async (client: Client) => {
    if (consumer !== undefined) await requireConsumer(client, consumer);
    return readDeadLetters(client, consumer, LISTED_DEAD_LETTERS);
  };
  return withLog(fleet, read, connect);
}

/**
 * Finds the dead letters that a command would change.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `EVENTS.NO_DEAD_LETTER`, and those of `withLog`
 */
export async function findDeadLetters(
  fleet: readonly Target[],
  consumer: string,
  position: string | undefined,
): Promise<readonly DeadLetter[]> {
  const found = await listDeadLetters(fleet, consumer);
  const chosen = position === undefined ? found : found.filter((it) => it.position === position);
  if (chosen.length === 0 && (position === undefined || found.length < LISTED_DEAD_LETTERS)) {
    throw noDeadLetter(consumer, position);
  }
  return chosen;
}

/**
 * Delivers dead letters of a consumer again, or gives them up: the one at a position, or all. Returns their positions.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `EVENTS.NO_DEAD_LETTER`, and those of `withLog`
 */
export async function changeDead(
  fleet: readonly Target[],
  action: DeadLetterAction,
  consumer: string,
  position: string | undefined,
): Promise<readonly string[]> {
  return withLog(fleet, (client) => changeDeadIn(client, action, consumer, position));
}

/** Like {@link changeDead}, on a connection to the log whose transaction the caller has begun. */
export async function changeDeadIn(
  client: Client,
  action: DeadLetterAction,
  consumer: string,
  position: string | undefined,
): Promise<readonly string[]> {
  await requireConsumer(client, consumer);
  const changed = await changeDeadLetters(client, action, consumer, position);
  if (changed.length === 0) throw noDeadLetter(consumer, position);
  return changed;
}

/**
 * Says what a replay would deliver again; changes nothing.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, and those of `withLog`
 */
export async function prepareReplay(
  fleet: readonly Target[],
  consumer: string,
  start: ReplayStart,
): Promise<ReplayPlan> {
  return withLog(fleet, async (client) => {
    await requireConsumer(client, consumer);
    return planReplay(client, consumer, start);
  });
}

/** Delivers the events of a plan again, and what came after it. */
export async function replay(fleet: readonly Target[], consumer: string, { from }: ReplayPlan): Promise<void> {
  await withLog(fleet, (client) => replayFrom(client, consumer, from));
}

/**
 * Removes a consumer that nobody runs any more, so that the log need not keep events for it.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `EVENTS.CONSUMER_RUNS`, and those of `withLog`
 */
export async function forgetConsumer(fleet: readonly Target[], consumer: string): Promise<void> {
  await withLog(fleet, async (client) => {
    await requireConsumer(client, consumer);
    if (await removeConsumer(client, consumer)) return;
    throw new SuiteError('EVENTS.CONSUMER_RUNS', `${consumer} has a worker`, {
      kind: 'usage',
      why: 'A worker has a lease. It would begin again with an empty state.',
      next: 'Stop its workers, wait half a minute for their leases to end, and run again',
      meta: { consumer },
    });
  });
}

function noDeadLetter(consumer: string, position: string | undefined): SuiteError {
  const which = position === undefined ? 'no dead letter' : `no dead letter at position ${position}`;
  return new SuiteError('EVENTS.NO_DEAD_LETTER', `${consumer} has ${which}`, {
    kind: 'usage',
    next: `Run "npx azora-db events dead list" to see the dead letters`,
    meta: { consumer, position },
  });
}
