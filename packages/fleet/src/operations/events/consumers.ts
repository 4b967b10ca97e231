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
import { type DeadLetterFilter, type DeadLetters, readDeadLetters } from '../../postgres/events/log';
import type { Environment } from '../../system/child-environment';
import {
  changeBrokerDeadLetter,
  listBrokerDeadLetters,
  planBrokerReplay,
  replayBroker,
  usesBroker,
  withBroker,
} from './broker';
import { type EventPlace, requireConsumer, withLog } from './log-target';

export type { DeadLetterAction, ReplayStart };

/** The most dead letters that one answer lists. */
const LISTED_DEAD_LETTERS = 500;

/**
 * Counts the dead letters of all consumers, of one, or at a position, and lists the first 500.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `USAGE.INVALID_ARGUMENTS`, and those of `withLog`
 */
export async function listDeadLetters(
  { fleet, environment, connect }: EventPlace,
  filter: DeadLetterFilter = {},
): Promise<DeadLetters> {
  if (usesBroker(environment)) {
    const letters = await withBroker(environment, (operations) => listBrokerDeadLetters(operations, filter));
    return { total: letters.length, letters: letters.slice(0, LISTED_DEAD_LETTERS) };
  }
  const { consumer, position } = filter;
  if (position !== undefined) requireLogPosition(position);
  const read = async (client: Client) => {
    if (consumer !== undefined) await requireConsumer(client, consumer);
    return readDeadLetters(client, filter, LISTED_DEAD_LETTERS);
  };
  return withLog(fleet, read, connect);
}

/**
 * Finds the dead letters of a consumer that a command names.
 * @throws {SuiteError} `EVENTS.NO_DEAD_LETTER`, and those of {@link listDeadLetters}
 */
export async function findDeadLetters(
  place: EventPlace,
  consumer: string,
  position: string | undefined,
): Promise<DeadLetters> {
  const found = await listDeadLetters(place, { consumer, position });
  if (found.total === 0) throw noDeadLetter(consumer, position);
  return found;
}

/**
 * Delivers dead letters of a consumer again, or gives them up: the one at a position, or all. Returns their positions.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `EVENTS.NO_DEAD_LETTER`, and those of `withLog`
 */
export async function changeDead(
  { fleet, environment }: EventPlace,
  action: DeadLetterAction,
  consumer: string,
  position: string | undefined,
): Promise<readonly string[]> {
  if (usesBroker(environment)) return changeDeadAtBroker(environment, action, consumer, position);
  if (position !== undefined) requireLogPosition(position);
  return withLog(fleet, (client) => changeDeadIn(client, action, consumer, position));
}

async function changeDeadAtBroker(
  environment: Environment,
  action: DeadLetterAction,
  consumer: string,
  position: string | undefined,
): Promise<readonly string[]> {
  return withBroker(environment, async (operations) => {
    const changed: string[] = [];
    for (const letter of await listBrokerDeadLetters(operations, { consumer, position })) {
      if (await changeBrokerDeadLetter(operations, action, consumer, letter.position)) changed.push(letter.position);
    }
    if (changed.length === 0) throw noDeadLetter(consumer, position);
    return changed;
  });
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
  { fleet, environment }: EventPlace,
  consumer: string,
  start: ReplayStart,
): Promise<ReplayPlan> {
  if (usesBroker(environment)) {
    return withBroker(environment, (operations) => planBrokerReplay(operations, consumer, start));
  }
  if ('position' in start) requireLogPosition(start.position);
  return withLog(fleet, async (client) => {
    await requireConsumer(client, consumer);
    return planReplay(client, consumer, start);
  });
}

/** Delivers the events of a plan again, and what came after it. */
export async function replay({ fleet, environment }: EventPlace, consumer: string, plan: ReplayPlan): Promise<void> {
  if (usesBroker(environment)) {
    await withBroker(environment, (operations) => replayBroker(operations, consumer, plan));
  } else await withLog(fleet, (client) => replayFrom(client, consumer, plan.from));
}

/**
 * Removes a consumer that nobody runs any more, so that the log need not keep events for it.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `EVENTS.CONSUMER_RUNS`, and those of `withLog`
 */
export async function forgetConsumer({ fleet, environment }: EventPlace, consumer: string): Promise<void> {
  const removeFromLog = async (client: Client) => {
    await requireConsumer(client, consumer);
    return removeConsumer(client, consumer);
  };
  const isRemoved = usesBroker(environment)
    ? await withBroker(environment, (operations) => operations.forget(consumer))
    : await withLog(fleet, removeFromLog);
  if (isRemoved) return;
  throw new SuiteError('EVENTS.CONSUMER_RUNS', `${consumer} has a worker`, {
    kind: 'usage',
    why: 'A worker has a lease. It would begin again with an empty state.',
    next: 'Stop its workers, wait half a minute for their leases to end, and run again',
    meta: { consumer },
  });
}

/** Positions of the log are plain numbers. */
function requireLogPosition(position: string): void {
  if (!position.includes(':')) return;
  throw new SuiteError('USAGE.INVALID_ARGUMENTS', `${position} is not a position of the event log`, {
    kind: 'usage',
    why: 'AZORA_BUS_URL names no broker, and the log in nexus counts the events of all services together.',
    next: 'Name a position such as 4711; "npx azora-db events dead list" shows those of dead letters',
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
