import { newId } from '@azora/db-core';
import { type CloudEvent, type Consumer, defineConsumer } from '@azora/db-core/events';
import type { HealthTransaction } from './client';
import type { Prisma } from './generated/client';
import type { NewLogLine } from './logs.store';

/** Where the trace id is in a W3C traceparent. */
const TRACE_ID = { start: 3, end: 35 };

/**
 * Writes one log line for each event of these types, whichever service published it: the type and the key as the message, and the ids
 * of the event as metadata. Other fields are left out. A line whose event names a user is about that user. A process passes it to
 * `bus.subscribe`.
 * @throws {SuiteError} `EVENTS.INVALID_CONSUMER`
 */
export function eventLog(types: readonly string[]): Consumer<Prisma.TransactionClient> {
  return defineConsumer({
    name: 'health.event-log',
    types,
    handle: async (tx: HealthTransaction, event) => {
      const line = { id: newId(), level: 'INFO', ...lineOf(event) };
      await tx.$queryRaw`SELECT append_logs(${JSON.stringify([line])}::json, NULL, NULL)`;
    },
  });
}

function lineOf({ id, source, type, subject, time, traceparent, data }: CloudEvent): NewLogLine {
  const ids = idsOf(data);
  return {
    service: source.slice(source.lastIndexOf('/') + 1),
    message: `${type} ${subject}`,
    ...(ids['userId'] === undefined ? {} : { userId: ids['userId'] }),
    ...(traceparent === undefined ? {} : { requestId: traceparent.slice(TRACE_ID.start, TRACE_ID.end) }),
    metadata: { eventId: id, type, key: subject, occurredAt: time, ids },
  };
}

function idsOf(data: unknown): Readonly<Record<string, string>> {
  const fields = Object.entries(data as object);
  return Object.fromEntries(fields.filter(([name, value]) => name.endsWith('Id') && typeof value === 'string'));
}
