import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { hasEventLog, listConsumers } from '../../postgres/events/log';
import type { Environment } from '../../system/child-environment';
import type { Target } from '../targets';
import { unknownConsumer } from './broker';

/** The service whose database has the event log. */
export const LOG_SERVICE = 'nexus';

/** Connects to a database. Callers that cannot wait as long as a command have a way of their own. */
export type Connect = <Result>(target: Target, work: (client: Client) => Promise<Result>) => Promise<Result>;

export const connectDirectly: Connect = (target, work) => withClient(target.admin, work);

/** Where the events go: to the log in nexus, or to the broker of `AZORA_BUS_URL`. */
export interface EventPlace {
  /** The databases, including the one with the log. */
  readonly fleet: readonly Target[];
  readonly environment: Environment;
  readonly connect?: Connect;
}

/**
 * Finds the database with the event log.
 * @throws {SuiteError} `EVENTS.NO_LOG`
 */
export function logTarget(targets: readonly Target[]): Target {
  const target = targets.find(({ service }) => service.name === LOG_SERVICE);
  if (target !== undefined) return target;
  throw new SuiteError('EVENTS.NO_LOG', 'The event log is not in this fleet', {
    kind: 'configuration',
    why: `The service ${LOG_SERVICE}, which has the log, is not in the checkout, not in AZORA_SERVICES, or left out.`,
    next: `Add ${LOG_SERVICE} to AZORA_SERVICES and run "npm run db:setup"`,
  });
}

/**
 * Works on the event log as the administrator.
 * @throws {SuiteError} `EVENTS.NO_LOG`, `EVENTS.NOT_MIGRATED`, `SERVER.…`
 */
export async function withLog<Result>(
  targets: readonly Target[],
  work: (client: Client) => Promise<Result>,
  connect: Connect = connectDirectly,
): Promise<Result> {
  const target = logTarget(targets);
  return connect(target, async (client) => {
    if (!(await hasEventLog(client))) throw notMigrated(target);
    return work(client);
  });
}

/** The error of a database that lacks the tables of events. */
export function notMigrated({ database, service }: Target): SuiteError {
  return new SuiteError('EVENTS.NOT_MIGRATED', `${database} has no tables for events`, {
    kind: 'configuration',
    why: 'Migrations of this checkout that create them are pending.',
    next: `Run "npx azora-db migrate up --service ${service.name}"`,
    meta: { database },
  });
}

/** @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER` */
export async function requireConsumer(client: Client, consumer: string): Promise<void> {
  const known = await listConsumers(client);
  if (known.includes(consumer)) return;
  throw unknownConsumer(consumer, known);
}
