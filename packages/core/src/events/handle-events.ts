import { findDatabaseError } from '../database-errors';
import { SuiteError } from '../errors';
import type { Inside } from '../store';
import { isConnectionError } from '../store-errors';
import type { CloudEvent } from './cloud-event';
import type { Consumer } from './consumer';
import type { EventTransaction } from './publish';

/**
 * What became of an event: `done` (its effect is committed), `repeated` (it was handled before), `failed` (it had no effect), or
 * `behind` (an earlier event of its key failed, so it was not tried).
 */
export interface Handled {
  readonly event: CloudEvent;
  readonly outcome: 'done' | 'repeated' | 'failed' | 'behind';
  /** Why it failed. */
  readonly error?: unknown;
}

/** The part of a store that handles events. */
export interface EventStore<Transaction extends EventTransaction> {
  transaction<Result>(work: (tx: Inside<Transaction>) => Promise<Result>): Promise<Result>;
}

/**
 * Records events that were not handled before; fails if one was. Sorted, so that two workers with the same events wait for each other
 * instead of ending in a deadlock.
 */
const CLAIM =
  "INSERT INTO inbox (consumer, event_id) SELECT $1, id FROM unnest(string_to_array($2, ',')::uuid[]) AS id ORDER BY id";

/** Records and returns those that were not handled before. It costs PostgreSQL half as much again. */
const CLAIM_NEW = `${CLAIM} ON CONFLICT DO NOTHING RETURNING event_id::text AS id`;

const UNIQUE_VIOLATION = '23505';

/** Fails when the transaction is aborted. COMMIT would not: PostgreSQL rolls back, and reports it as success. */
const CHECK = 'SELECT 1';

/**
 * Handles events in their order. All of them share one transaction; if it fails, it is divided, until the event that fails is
 * alone. The effect of an event and its row in the inbox are always one transaction: an event that comes again, also at the same
 * time in another process, has no second effect.
 *
 * Events of one key stay in order: after a failure, later ones of the same key are not tried.
 * @returns one entry for each event, in the order of the events
 * @throws {SuiteError} what the inbox threw, or `DATABASE.…` when the connection failed outside of a handler. Nothing can be said
 *   about the events then; give them again, and the inbox drops those that were handled.
 */
export async function handleEvents<Transaction extends EventTransaction>(
  store: EventStore<Transaction>,
  consumer: Consumer<Transaction>,
  events: readonly CloudEvent[],
): Promise<readonly Handled[]> {
  const handled: Handled[] = [];
  const failedKeys = new Set<string>();
  // A stack of the parts that are still to be tried, the first one on top.
  const parts: (readonly Entry[])[] = [events.map((event, at) => ({ event, at }))];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const isBehind = ({ event }: Entry) => failedKeys.has(event.subject);
    for (const { event, at } of part.filter(isBehind)) handled[at] = { event, outcome: 'behind' };
    const open = part.filter((entry) => !isBehind(entry));
    const [first, ...others] = open;
    if (first === undefined) continue;
    const attempt = await tryTogether(store, consumer, open);
    if ('outcomes' in attempt) {
      for (const [index, { event, at }] of open.entries())
        handled[at] = { event, outcome: attempt.outcomes[index] ?? 'done' };
    } else if (others.length > 0) {
      parts.push(...divide(open, attempt.failedAt).toReversed());
    } else {
      failedKeys.add(first.event.subject);
      handled[first.at] = { event: first.event, outcome: 'failed', error: attempt.error };
    }
  }
  return handled;
}

interface Entry {
  readonly event: CloudEvent;
  /** Its place among the events that were given. */
  readonly at: number;
}

type Attempt =
  | { readonly outcomes: readonly ('done' | 'repeated')[] }
  /** The entry whose handler failed; undefined when the transaction failed after the last one. */
  | { readonly failedAt: number | undefined; readonly error: unknown };

/** Tries events as if none was handled before, which is almost always so, and else again. */
async function tryTogether<Transaction extends EventTransaction>(
  store: EventStore<Transaction>,
  consumer: Consumer<Transaction>,
  entries: readonly Entry[],
): Promise<Attempt> {
  try {
    return await tryOnce(store, consumer, entries, false);
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    return tryOnce(store, consumer, entries, true);
  }
}

/** Throws what the inbox threw: a unique violation if an event was handled before, unless events `mayRepeat`. */
async function tryOnce<Transaction extends EventTransaction>(
  store: EventStore<Transaction>,
  consumer: Consumer<Transaction>,
  entries: readonly Entry[],
  mayRepeat: boolean,
): Promise<Attempt> {
  let place: 'inbox' | 'end' | number = 'inbox';
  try {
    const outcomes = await store.transaction(async (tx) => {
      place = 'inbox';
      const ids = entries.map(({ event }) => event.id.toLowerCase());
      let claimed = new Set(ids);
      if (mayRepeat) {
        const rows = await tx.$queryRawUnsafe<readonly { readonly id: string }[]>(CLAIM_NEW, consumer.name, ids.join());
        claimed = new Set(rows.map(({ id }) => id));
      } else {
        await tx.$queryRawUnsafe(CLAIM, consumer.name, ids.join());
      }
      const results: ('done' | 'repeated')[] = [];
      for (const [index, { event }] of entries.entries()) {
        place = index;
        const isNew = claimed.delete(event.id.toLowerCase());
        if (isNew) await consumer.handle(tx, event);
        results.push(isNew ? 'done' : 'repeated');
      }
      place = 'end';
      if (results.includes('done')) await tx.$queryRawUnsafe(CHECK);
      return results;
    });
    return { outcomes };
  } catch (error) {
    const failedAt = place as 'inbox' | 'end' | number;
    if (failedAt === 'inbox' || (failedAt === 'end' && isConnectionError(error))) throw error;
    return { failedAt: failedAt === 'end' ? undefined : failedAt, error };
  }
}

function isUniqueViolation(error: unknown): boolean {
  const sqlState = error instanceof SuiteError ? error.meta['sqlState'] : findDatabaseError(error)?.sqlState;
  return sqlState === UNIQUE_VIOLATION;
}

/** The entries before the one that failed, that one, and those after it; two halves when any of them may have failed. */
function divide(entries: readonly Entry[], failedAt: number | undefined): readonly (readonly Entry[])[] {
  if (failedAt !== undefined) {
    return [entries.slice(0, failedAt), entries.slice(failedAt, failedAt + 1), entries.slice(failedAt + 1)];
  }
  const middle = Math.ceil(entries.length / 2);
  return [entries.slice(0, middle), entries.slice(middle)];
}
