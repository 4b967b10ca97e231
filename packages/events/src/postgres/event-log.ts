import { findDatabaseError, SuiteError } from '@azora/db-core';
import type { Pool } from 'pg';
import type { OutboxEvent } from '../outbox/read';
import type { Cursor } from '../outbox/snapshot';
import { type EventLog, LEASE_MS } from '../relay';
import { SourceLeases } from './source-leases';

/** How long the log keeps events that every consumer has passed. */
const LOG_KEPT = '7 days';
const PRUNED_AT_ONCE = 1_000;
/** The most that one call deletes: the relay has other work. */
const PRUNE_ROUNDS = 20;
const LEASE = `${LEASE_MS} milliseconds`;

interface Claim extends Cursor {
  readonly is_held: boolean;
}

/** The log in the database of nexus. Its functions keep the rules; this only calls them. */
export function postgresLog(pool: Pool): EventLog {
  const leases = new SourceLeases(pool, LEASE_MS);
  const claim = async (source: string, owner: string, identity: string) => {
    const since = performance.now();
    const { rows } = await pool.query<Claim>(
      'SELECT is_held, seen, tick, tick_position AS "tickPosition" FROM claim_source($1, $2, $3, $4)',
      [source, owner, identity, LEASE],
    );
    const [found] = rows;
    if (!found?.is_held) return undefined;
    leases.hold(source, owner, since);
    return { seen: found.seen, tick: found.tick, tickPosition: found.tickPosition };
  };

  return {
    claim,
    renew: async (source, owner, identity) =>
      (await leases.renew(source, owner)) || (await claim(source, owner, identity)) !== undefined,
    append: async (source, owner, { seen, tick, tickPosition }, events) => {
      const since = performance.now();
      const values = [source, owner, LEASE, seen, tick, tickPosition, ...columnsOf(events)];
      await pool
        .query('SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)', values)
        .catch((error: unknown) => {
          throw findDatabaseError(error)?.constraint === 'event_sources_lease' ? leaseLost(source) : error;
        });
      leases.hold(source, owner, since);
    },
    release: async (source, owner) => {
      leases.drop(source);
      await pool.query('SELECT release_source($1, $2)', [source, owner]);
    },
    prune: async () => {
      for (let round = 0; round < PRUNE_ROUNDS; round += 1) {
        const { rows } = await pool.query<{ passed: number }>('SELECT prune_events($1, $2) AS passed', [
          LOG_KEPT,
          PRUNED_AT_ONCE,
        ]);
        if ((rows[0]?.passed ?? 0) < PRUNED_AT_ONCE) return false;
      }
      return true;
    },
  };
}

function columnsOf(events: readonly OutboxEvent[]): readonly unknown[] {
  return [
    events.map(({ id }) => id),
    events.map(({ type }) => type),
    events.map(({ key }) => key),
    events.map(({ payload }) => payload),
    events.map(({ traceParent }) => traceParent),
    events.map(({ time }) => time),
  ];
}

function leaseLost(source: string): SuiteError {
  return new SuiteError('EVENTS.LEASE_LOST', `Another relay has taken the outbox of ${source}`, {
    why: 'This relay did not renew its lease in time. Nothing was appended.',
    next: 'Let the other relay work; this one waits until the lease is free',
    meta: { source },
  });
}
