import { z } from 'zod';
import { SuiteError } from '../errors';
import { findOpenValues } from './closed-schema';

/** A kind of event that a service publishes. A new version is a new type; consumers of the old one continue to get the old one. */
export interface EventType<Data = unknown> {
  /** The full name: `mint.transaction-posted.v1`. */
  readonly type: string;
  readonly service: string;
  readonly name: string;
  readonly version: number;
  /** One sentence: what has happened. */
  readonly about: string;
  readonly data: z.ZodType<Data>;
  /** The JSON Schema of the data, which the catalog shows. Its `$id` is the `dataschema` of each event. */
  readonly jsonSchema: Readonly<Record<string, unknown>>;
  /** Events with the same key are handled in their order. */
  key(data: Data): string;
}

export interface EventTypeInput<Data> {
  /** The folder of the service, such as `mint`. */
  readonly service: string;
  /** A noun and a participle that say what has happened: `transaction-posted`. */
  readonly name: string;
  /** From 1. Raise it when a field is removed or changes its meaning; a new optional field needs no new version. */
  readonly version: number;
  readonly about: string;
  /** A `z.strictObject`, whose strings each have an enum, a literal, a pattern or the format of an id or a time. */
  readonly data: z.ZodType<Data>;
  readonly key: (data: Data) => string;
}

/** The form of every full name; the outbox checks it too. */
export const TYPE_PATTERN = /^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*\.v[1-9][0-9]{0,3}$/;
const SERVICE = /^[a-z][a-z0-9]{0,29}$/;
const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const MAX_NAME_LENGTH = 60;
const MAX_VERSION = 9_999;

/**
 * Declares an event type. The data cannot hold free text, because events are kept and copied where no erasure reaches: a person
 * is named by an id.
 * @throws {SuiteError} `EVENTS.INVALID_EVENT_TYPE` names every field that accepts free text or unknown fields
 */
export function defineEvent<Data extends object>(input: EventTypeInput<Data>): EventType<Data> {
  const { service, name, version, about, data, key } = input;
  const type = `${service}.${name}.v${version}`;
  const refuse = (why: string): never => {
    throw invalidEventType(type, why);
  };
  if (!SERVICE.test(service)) refuse('The service is not the name of a folder of a service.');
  if (!NAME.test(name) || name.length > MAX_NAME_LENGTH) {
    refuse(`The name is not lower-case words with hyphens of at most ${MAX_NAME_LENGTH} characters.`);
  }
  if (!Number.isInteger(version) || version < 1 || version > MAX_VERSION) {
    refuse(`The version is not a whole number from 1 to ${MAX_VERSION}.`);
  }
  if (!/^[A-Z].*\.$/s.test(about)) refuse('The description is not a sentence.');
  const schema = jsonSchemaOf(type, data);
  const open = schema['type'] === 'object' ? findOpenValues(schema) : ['data: is not an object'];
  if (open.length > 0) refuse(`${open.join('; ')}.`);
  const jsonSchema = { ...schema, $id: dataSchemaOf(type), title: type, description: about };
  return Object.freeze({ type, service, name, version, about, data, jsonSchema, key });
}

/** The URI that identifies the schema of an event's data. */
export function dataSchemaOf(type: string): string {
  return `urn:azora:event:${type}`;
}

function jsonSchemaOf(type: string, data: z.ZodType): Readonly<Record<string, unknown>> {
  try {
    return z.toJSONSchema(data, { target: 'draft-2020-12', io: 'output', unrepresentable: 'throw' });
  } catch (error) {
    throw invalidEventType(
      type,
      'JSON Schema cannot describe the data: it contains a date, a bigint or a transform.',
      error,
    );
  }
}

function invalidEventType(type: string, why: string, cause?: unknown): SuiteError {
  return new SuiteError('EVENTS.INVALID_EVENT_TYPE', `The event type ${type} cannot be declared`, {
    kind: 'usage',
    why,
    next: 'Give each string an enum, a literal, a pattern or the format of an id or a time, and use z.strictObject',
    meta: { type },
    ...(cause === undefined ? {} : { cause }),
  });
}
