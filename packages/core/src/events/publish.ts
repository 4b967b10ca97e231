import { inputReader } from '../input';
import type { Inside } from '../store';
import { invalidEvent } from './constraint-errors';
import type { EventType } from './event-type';

/** The part of a transaction's client that events use. Every generated client has it. */
export interface EventTransaction {
  $queryRawUnsafe<Result>(sql: string, ...values: readonly unknown[]): Promise<Result>;
}

export interface PublishOptions {
  /** The W3C `traceparent` of the request that causes the event; its consumers get it. */
  readonly traceParent?: string | undefined;
}

/** The limit of the outbox, which counts PostgreSQL's spelling of the same data: it has a space after each colon and comma. */
const MAX_PAYLOAD_BYTES = 131_072;
const MAX_KEY_LENGTH = 200;
const TRACE_PARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

const readData = inputReader('EVENTS.INVALID_EVENT');

const PUBLISH = 'SELECT publish_event($1, $2, $3::jsonb, $4)::text AS id';

/**
 * Publishes an event: it becomes visible to consumers when the transaction commits, and never if it rolls back. Events of one
 * key are handled in the order in which they were published, as long as their transactions lock the same row first.
 * @returns the id of the event
 * @throws {SuiteError} `EVENTS.INVALID_EVENT` if the data, the key or the trace context is invalid, the data is larger than
 *   128 KiB, or the type belongs to another service
 */
export async function publish<Data extends object>(
  tx: Inside<EventTransaction>,
  event: EventType<Data>,
  data: Data,
  { traceParent }: PublishOptions = {},
): Promise<string> {
  const payload = readData(event.data, data);
  const key = event.key(payload);
  if (typeof key !== 'string' || key.trim() === '' || key.length > MAX_KEY_LENGTH) {
    throw invalidEvent('key', `is not text of 1 to ${MAX_KEY_LENGTH} characters`);
  }
  if (traceParent !== undefined && !TRACE_PARENT.test(traceParent)) {
    throw invalidEvent('traceParent', 'is not a W3C traceparent');
  }
  if (![key, payload].every(isStorable)) throw invalidEvent('data', 'contains NUL or an unpaired surrogate');
  const text = JSON.stringify(payload);
  if (Buffer.byteLength(text) > MAX_PAYLOAD_BYTES) throw invalidEvent('data', 'is larger than 128 KiB');
  const values = [event.type, key, text, traceParent ?? null];
  const [{ id }] = await tx.$queryRawUnsafe<readonly [{ readonly id: string }]>(PUBLISH, ...values);
  return id;
}

/** Whether PostgreSQL can store every text in the value. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  return typeof value !== 'object' || value === null || Object.entries(value).flat().every(isStorable);
}
