import { EVENTS as AUTH_EVENTS } from '@azora/auth';
import type { Logger } from '@azora/db-core';
import { type Bus, runSagas } from '@azora/db-events';
import { EVENTS as EDUCATION_EVENTS, walletProjection } from '@azora/education';
import { EVENTS as FAMILY_EVENTS } from '@azora/family';
import { EVENTS as FORGE_EVENTS } from '@azora/forge';
import { eventLog, EVENTS as HEALTH_EVENTS } from '@azora/health';
import { EVENTS as MINT_EVENTS } from '@azora/mint';
import { EVENTS as NEXUS_EVENTS } from '@azora/nexus';
import { EVENTS as NOTIFICATION_EVENTS, type Sender, securityAlerts } from '@azora/notification';
import { EVENTS as SAPIENS_EVENTS } from '@azora/sapiens';
import { escrowConsumer, escrowFunding, escrowSettlement } from './escrow';
import { runMaintenance } from './maintenance';
import { paidEnrollment } from './paid-enrollment';
import { refund, refundConsumer } from './refunds';
import type { FlowStores, Stores } from './stores';

/** A hold, a seat or a notification ends at most this long after its time. */
const MAINTENANCE_MS = 60_000;

export interface FlowsOptions {
  readonly bus: Pick<Bus, 'subscribe'>;
  readonly stores: FlowStores;
  /** Ends the flows: the running batches and steps are finished, and leases are given back. */
  readonly signal: AbortSignal;
  /** Takes notifications to their channels, such as email. When it is absent, another process calls `deliver` of notification. */
  readonly sender?: Sender;
  readonly logger?: Logger;
}

/** The full names of the events of all services, in the order of the services. */
export const EVENT_TYPES: readonly string[] = [
  ...[AUTH_EVENTS, EDUCATION_EVENTS, FAMILY_EVENTS, FORGE_EVENTS, HEALTH_EVENTS, MINT_EVENTS, NEXUS_EVENTS],
  ...[NOTIFICATION_EVENTS, SAPIENS_EVENTS],
].flatMap((events) => events.map(({ type }) => type));

/** The sagas of all flows, for `runSagas`. */
export function flowSagas(stores: Stores<'education' | 'forge' | 'mint'>): Parameters<typeof runSagas>[1] {
  return [paidEnrollment(stores), refund(stores), escrowFunding(stores), escrowSettlement(stores)];
}

/**
 * Runs all flows until the signal aborts. Any number of processes may run them; each event has its effect once, and each saga
 * belongs to one worker at a time. The flows also maintain their stores every minute, so no other process has to: expired holds,
 * reservations, notifications and recommendations end, the log of health gets its months, and old rows are deleted. The events come
 * from relays, which `azora-db events relay` runs. A new consumer begins with the oldest event of the log. If one of the flows cannot
 * run, the others end too, and its error is thrown.
 * @throws {SuiteError} `EVENTS.BUS_CLOSED`
 */
export async function runFlows(options: FlowsOptions): Promise<void> {
  const { bus, stores, signal, sender, logger = console } = options;
  const failing = new AbortController();
  const ending = { signal: AbortSignal.any([signal, failing.signal]) };
  const { education, health, nexus, notification } = stores;
  const running = [
    runSagas(nexus, flowSagas(stores), { ...ending, logger }),
    bus.subscribe(nexus, escrowConsumer(stores), ending),
    bus.subscribe(nexus, refundConsumer(stores), ending),
    bus.subscribe(education, walletProjection, ending),
    bus.subscribe(notification, securityAlerts, ending),
    bus.subscribe(health, eventLog(EVENT_TYPES), ending),
    runMaintenance({ stores, sender, everyMs: MAINTENANCE_MS, logger, ...ending }),
  ];
  try {
    await Promise.all(running);
  } finally {
    failing.abort();
    await Promise.allSettled(running);
  }
}
