import { SuiteError } from '@azora/db-core';
import type { DeadLetter as BrokerDeadLetter, BrokerOperations } from '@azora/db-events';
import type { DeadLetterAction, ReplayPlan, ReplayStart } from '../../postgres/events/changes';
import type { DeadLetter, DeadLetterFilter, EventConsumer, EventSource } from '../../postgres/events/log';
import type { Environment } from '../../system/child-environment';

/** Whether `AZORA_BUS_URL` names a broker, so that the relays move events there and not to the log in nexus. */
export function usesBroker(environment: Environment): boolean {
  const url = environment['AZORA_BUS_URL'];
  return url !== undefined && url !== '' && !/^postgres(ql)?:/i.test(url);
}

/** The hosts of the broker, which a person types to confirm a change there. The URL itself may contain a password. */
export function brokerName(environment: Environment): string {
  const [, hosts = 'broker'] = /^[a-z]+:\/\/(?:[^/?#]*@)?([^/?#]+)/i.exec(environment['AZORA_BUS_URL'] ?? '') ?? [];
  return hosts;
}

/**
 * Works on the broker of `AZORA_BUS_URL`.
 * @throws {SuiteError} `CONFIG.BAD_URL`, `EVENTS.BROKER_…`
 */
export async function withBroker<Result>(
  environment: Environment,
  work: (operations: BrokerOperations) => Promise<Result>,
): Promise<Result> {
  const { openBrokerOperations } = await import('@azora/db-events');
  const operations = openBrokerOperations(undefined, environment);
  try {
    return await work(operations);
  } finally {
    await operations.close();
  }
}

/** What the relays and the consumers of a broker have done, in the terms of the log. */
export async function readBroker(operations: BrokerOperations): Promise<{
  readonly sources: readonly EventSource[];
  readonly consumers: readonly EventConsumer[];
}> {
  const { sources, consumers } = await operations.readState();
  return { sources, consumers: consumers.map(({ parked: _, ...consumer }) => consumer) };
}

/**
 * Lists dead letters. Their positions name the source: each has a stream of its own.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `USAGE.INVALID_ARGUMENTS`
 */
export async function listBrokerDeadLetters(
  operations: BrokerOperations,
  { consumer, position }: DeadLetterFilter,
): Promise<readonly DeadLetter[]> {
  const wanted = position === undefined ? undefined : readPosition(position);
  const { consumers } = await operations.readState();
  const names = consumers.map(({ name }) => name);
  if (consumer !== undefined) requireName(consumer, names);
  const letters = await Promise.all(
    (consumer === undefined ? names : [consumer]).map((name) => operations.deadLetters(name)),
  );
  const isWanted = ({ source, sequence }: BrokerDeadLetter) =>
    wanted === undefined || (source === wanted.source && sequence === wanted.sequence);
  return letters.flat().filter(isWanted).map(deadLetterOf);
}

function deadLetterOf(letter: BrokerDeadLetter): DeadLetter {
  const { consumer, source, sequence, attempts, error, failedAt } = letter;
  const { id = '', type = '', subject = '' } = letter.event === '' ? {} : JSON.parse(letter.event);
  const position = `${source}:${sequence}`;
  return { consumer, position, id, source, type, key: subject, attempts, lastError: error, failedAt };
}

/** Delivers a dead letter again, or gives it up. Returns whether there was one. */
export async function changeBrokerDeadLetter(
  operations: BrokerOperations,
  action: DeadLetterAction,
  consumer: string,
  position: string,
): Promise<boolean> {
  const event = { consumer, ...readPosition(position) };
  return action === 'retry' ? operations.retryDeadLetter(event) : operations.discardDeadLetter(event);
}

/**
 * Says what a replay would deliver again; changes nothing.
 * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `EVENTS.UNKNOWN_SOURCE`, `USAGE.INVALID_ARGUMENTS`
 */
export async function planBrokerReplay(
  operations: BrokerOperations,
  consumer: string,
  start: ReplayStart,
): Promise<ReplayPlan> {
  const { positions, ...plan } = await operations.planReplay(consumer, startOf(start));
  const from = Object.entries(positions).map(([source, before]) => `${source}:${before + 1}`);
  return { ...plan, from: from.join(', ') };
}

/** Delivers every event of a plan again. */
export async function replayBroker(
  operations: BrokerOperations,
  consumer: string,
  { from }: ReplayPlan,
): Promise<void> {
  for (const position of from.split(', ')) await operations.replay(consumer, startOf({ position }));
}

/** Positions count from 1; a replay begins behind a number. */
function startOf(start: ReplayStart) {
  if ('time' in start) return start;
  const { source, sequence } = readPosition(start.position);
  return { source, position: sequence - 1 };
}

function readPosition(position: string): { readonly source: string; readonly sequence: number } {
  const [source = '', number] = position.split(':');
  if (number !== undefined) return { source, sequence: Number(number) };
  throw new SuiteError('USAGE.INVALID_ARGUMENTS', `The position ${position} does not name a service`, {
    kind: 'usage',
    why: 'AZORA_BUS_URL names a broker, which counts the events of each service by themselves.',
    next: `Name a position such as mint:${position}`,
  });
}

function requireName(consumer: string, known: readonly string[]): void {
  if (known.includes(consumer)) return;
  throw unknownConsumer(consumer, known);
}

/** @returns `EVENTS.UNKNOWN_CONSUMER` */
export function unknownConsumer(consumer: string, known: readonly string[]): SuiteError {
  return new SuiteError('EVENTS.UNKNOWN_CONSUMER', `No consumer is named ${consumer}`, {
    kind: 'usage',
    why: known.length === 0 ? 'No consumer has subscribed yet.' : `The consumers are: ${known.join(', ')}.`,
    next: 'Run "npx azora-db events status" to see the consumers',
    meta: { consumer },
  });
}
