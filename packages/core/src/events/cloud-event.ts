import { z } from 'zod';
import { SuiteError } from '../errors';
import { inputReader } from '../input';
import { dataSchemaOf, TYPE_PATTERN } from './event-type';

/**
 * An event as consumers get it: the envelope of CloudEvents 1.0 in its JSON format, with the extensions for partitioning,
 * distributed tracing and sequence.
 */
export interface CloudEvent<Data = unknown> {
  readonly specversion: '1.0';
  /** Stays the same when an event is delivered again. */
  readonly id: string;
  /** The service that published the event: `/azora/mint`. */
  readonly source: string;
  readonly type: string;
  /** The key of the event. */
  readonly subject: string;
  /** When the event was published, RFC 3339, by the clock of the source's database. */
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly dataschema: string;
  /** The key of the event, for transports that partition. */
  readonly partitionkey: string;
  /** The W3C trace context of the request that caused the event. */
  readonly traceparent?: string | undefined;
  /** The position in the log, as decimal digits. */
  readonly sequence: string;
  readonly data: Data;
}

/** An event as a transport stores it. */
export interface StoredEvent {
  readonly id: string;
  /** The service that published it, such as `mint`. */
  readonly source: string;
  readonly type: string;
  readonly key: string;
  readonly data: unknown;
  readonly traceParent: string | null;
  /** RFC 3339, in UTC. */
  readonly time: string;
  /** The position in the log, in decimal digits. */
  readonly position: string;
}

const SOURCE = '/azora/';

const cloudEventSchema = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.uuid(),
  source: z.string().regex(/^\/azora\/[a-z][a-z0-9]*$/),
  type: z.string().regex(TYPE_PATTERN),
  subject: z.string().min(1).max(200),
  time: z.iso.datetime({ offset: true }),
  datacontenttype: z.literal('application/json'),
  dataschema: z.string().regex(/^urn:azora:event:[a-z0-9.-]+$/),
  partitionkey: z.string().min(1).max(200),
  traceparent: z.string().length(55).optional(),
  sequence: z.string().regex(/^[0-9]{1,19}$/),
  data: z.looseObject({}),
});

/** The JSON Schema of the envelope. It allows attributes that a transport adds, as the specification asks. */
export const CLOUD_EVENT_SCHEMA: Readonly<Record<string, unknown>> = z.toJSONSchema(cloudEventSchema, {
  target: 'draft-2020-12',
});

/** Puts a stored event into the envelope. */
export function toCloudEvent({ id, source, type, key, data, traceParent, time, position }: StoredEvent): CloudEvent {
  return {
    specversion: '1.0',
    id,
    source: `${SOURCE}${source}`,
    type,
    subject: key,
    time,
    datacontenttype: 'application/json',
    dataschema: dataSchemaOf(type),
    partitionkey: key,
    ...(traceParent === null ? {} : { traceparent: traceParent }),
    sequence: position,
    data,
  };
}

/**
 * Reads an event that came as JSON from another system, such as a broker.
 * @throws {SuiteError} `EVENTS.INVALID_ENVELOPE` names the attributes that are missing or invalid
 */
export function readCloudEvent(text: string): CloudEvent {
  return readEnvelope<CloudEvent>(cloudEventSchema, parse(text));
}

const readEnvelope = inputReader('EVENTS.INVALID_ENVELOPE');

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SuiteError('EVENTS.INVALID_ENVELOPE', 'The message is not JSON', {
      kind: 'usage',
      next: 'Publish events with publish() only',
    });
  }
}
