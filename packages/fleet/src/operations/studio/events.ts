import type { DeadLetter } from '../../postgres/events/log';
import { usesBroker } from '../events/broker';
import { listDeadLetters } from '../events/consumers';
import { LOG_SERVICE } from '../events/log-target';
import { type EventsState, readEvents } from '../events/state';
import type { StudioContext } from './context';
import { withReader } from './reader';

/** What the page about events shows. */
export interface StudioEvents extends EventsState {
  readonly at: string;
  /** Whether the page can retry and discard dead letters. */
  readonly write: boolean;
  readonly deadLetters: readonly DeadLetter[];
  /** Also counts those that are not listed. */
  readonly deadLettersTotal: number;
}

/**
 * Reads the outboxes of the services that are shown, the consumers and the dead letters.
 * @throws {SuiteError} `EVENTS.NO_LOG`, `EVENTS.NOT_MIGRATED`, `SERVER.…`, `STUDIO.LATE`
 */
export async function readStudioEvents(context: StudioContext, now = new Date()): Promise<StudioEvents> {
  const { targets } = context;
  const services = targets.map(({ service }) => service.name);
  const place = { fleet: targets, environment: context.environment, connect: withReader };
  const [state, { total, letters }] = await Promise.all([readEvents(place, services, {}), listDeadLetters(place)]);
  const deadLetters = { deadLetters: letters, deadLettersTotal: total };
  return { ...state, at: now.toISOString(), write: canChangeEvents(context), ...deadLetters };
}

/**
 * Whether the studio may change the event log: it was started with `--write`, and nexus has an audit log. A broker cannot change a
 * dead letter and write the audit log in one transaction.
 */
export function canChangeEvents({ access, environment }: StudioContext): boolean {
  return !usesBroker(environment) && access.get(LOG_SERVICE)?.audit !== undefined;
}
