import { SuiteError } from '../errors';
import type { Inside } from '../store';
import type { CloudEvent } from './cloud-event';
import { TYPE_PATTERN } from './event-type';
import type { EventTransaction } from './publish';

/** Handles the events of some types, each with one effect in the database of its service. */
export interface Consumer<Transaction extends EventTransaction = EventTransaction> {
  /** Unique in the suite, `service.what-it-does`. The inbox remembers handled events by this name, so it never changes. */
  readonly name: string;
  /** Full names of event types, such as `mint.transaction-posted.v1`. */
  readonly types: readonly string[];
  /** How often an event is tried before it is dead. */
  readonly maxAttempts: number;
  /**
   * Has the effect of one event, only through `tx`: the effect and the record in the inbox are one transaction. An error rolls
   * the effect back, and the event is tried again later.
   */
  handle(tx: Inside<Transaction>, event: CloudEvent): Promise<void>;
}

export interface ConsumerInput<Transaction extends EventTransaction> {
  readonly name: string;
  readonly types: readonly string[];
  readonly handle: (tx: Inside<Transaction>, event: CloudEvent) => Promise<void>;
  /** 10 when absent. */
  readonly maxAttempts?: number;
}

const NAME = /^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/;
const MAX_NAME_LENGTH = 100;
const DEFAULT_MAX_ATTEMPTS = 10;

/**
 * Declares a consumer.
 * @throws {SuiteError} `EVENTS.INVALID_CONSUMER`
 */
export function defineConsumer<Transaction extends EventTransaction>({
  name,
  types,
  handle,
  maxAttempts = DEFAULT_MAX_ATTEMPTS,
}: ConsumerInput<Transaction>): Consumer<Transaction> {
  const refuse = (why: string): never => {
    throw new SuiteError('EVENTS.INVALID_CONSUMER', `The consumer ${name} cannot be declared`, {
      kind: 'usage',
      why,
      next: 'Correct the declaration of the consumer',
      meta: { name },
    });
  };
  if (!NAME.test(name) || name.length > MAX_NAME_LENGTH) {
    refuse(`The name is not of the form service.what-it-does with at most ${MAX_NAME_LENGTH} characters.`);
  }
  const wrong = types.find((type) => !TYPE_PATTERN.test(type));
  if (wrong !== undefined) refuse(`${JSON.stringify(wrong)} is not the full name of an event type.`);
  if (types.length === 0) refuse('It names no event type.');
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1) refuse('maxAttempts is not a whole number from 1.');
  return Object.freeze({ name, types: Object.freeze([...new Set(types)]), maxAttempts, handle });
}
