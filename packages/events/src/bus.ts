import type { Logger } from '@azora/db-core';
import type { Consumer, EventStore, EventTransaction } from '@azora/db-core/events';
import type { Pool } from 'pg';

export interface BusOptions {
  /**
   * The URL of the app role of nexus, or of a NATS server with JetStream (`nats://` or `tls://`). `AZORA_BUS_URL` of the
   * environment when absent, else `NEXUS_DATABASE_URL`.
   */
  readonly url?: string;
  readonly logger?: Logger;
  /** The longest wait between two looks for events when no notification arrives: 1 to 3600000 milliseconds, 500 when absent. */
  readonly pollMs?: number;
}

/** The part of a store that a relay reads. */
export interface EventSource {
  readonly pool: Pool;
}

export interface RelayOptions {
  /** The folder of the service, such as `mint`. */
  readonly service: string;
  /** Ends the relay after its batch. */
  readonly signal: AbortSignal;
}

export interface SubscribeOptions {
  /** Ends the subscription after its batch. */
  readonly signal: AbortSignal;
  /** The most events that are handled in one transaction: 1 to 10000, 500 when absent. At most the next batch is in memory too. */
  readonly batch?: number;
  /** Where a consumer begins that the bus does not know yet: with the oldest event, or with the next one. `start` when absent. */
  readonly from?: 'start' | 'now';
}

/** How far the bus has come. Numbers of events are those at one moment. */
export interface BusStatus {
  readonly sources: readonly SourceStatus[];
  readonly consumers: readonly ConsumerStatus[];
}

export interface SourceStatus {
  readonly service: string;
  /** Whether a relay has the lease. */
  readonly isRelayed: boolean;
  readonly relayed: number;
  readonly relayedAt: Date | null;
}

export interface ConsumerStatus {
  readonly name: string;
  readonly workers: number;
  /** Events that were not handled in their turn yet. */
  readonly lag: number;
  /** Parked events: those that failed, and those that wait behind them. */
  readonly parked: number;
  readonly dead: number;
}

/** Moves events between services. Nothing connects before the first call. */
export interface Bus {
  /**
   * Relays the outbox of a store's service until the signal aborts, however many relays run. It waits while another one has the
   * lease, and outlives every loss of a database.
   * @throws {SuiteError} `EVENTS.INVALID_INPUT`, `EVENTS.BUS_CLOSED`
   */
  relay(store: EventSource, options: RelayOptions): Promise<void>;
  /**
   * Handles the events of a consumer until the signal aborts. The workers of a consumer, in any number of processes, share its
   * events; events of one key keep their order.
   * @throws {SuiteError} `EVENTS.INVALID_INPUT`, `EVENTS.BUS_CLOSED`
   */
  subscribe<Transaction extends EventTransaction>(
    store: EventStore<Transaction>,
    consumer: Consumer<Transaction>,
    options: SubscribeOptions,
  ): Promise<void>;
  status(): Promise<BusStatus>;
  /** Ends all relays and subscriptions after their batches, then closes every connection. */
  close(): Promise<void>;
}
