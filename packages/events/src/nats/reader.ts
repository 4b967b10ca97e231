import type { Consumer, JsMsg } from '@nats-io/jetstream';
import type { Bell } from '../bell';
import type { Broker } from './broker';
import { eventFilter, eventStream, readSubject } from './streams';

/** A message of a stream. */
export interface StreamMessage {
  readonly source: string;
  readonly sequence: number;
  readonly lane: number;
  readonly type: string;
  /** The JSON of a CloudEvent. */
  readonly text: string;
}

/** How long one request for messages stays open. */
const REQUEST_MS = 5_000;
/** The broker forgets a reader that asks for nothing this long. */
const FORGOTTEN_AFTER_NS = 60_000_000_000;

/**
 * Reads the events of a source from a position on, in their order and without gaps. It holds at most `most` messages. The broker
 * acknowledges nothing for it: the positions are in the records of the lanes.
 */
export class StreamReader {
  readonly source: string;
  /** The number of the last message that was taken. */
  reached: number;
  readonly #broker: Broker;
  readonly #consumer: Consumer;
  readonly #most: number;
  readonly #bell: Bell;
  readonly #ending = new AbortController();
  #messages: JsMsg[] = [];
  #delivered = 0;
  #failure: unknown;
  #drained: (() => void) | undefined;
  #stopRequest: (() => void) | undefined;
  readonly #reading: Promise<void>;

  private constructor(broker: Broker, source: string, after: number, most: number, consumer: Consumer, bell: Bell) {
    this.source = source;
    this.reached = after;
    this.#broker = broker;
    this.#consumer = consumer;
    this.#most = most;
    this.#bell = bell;
    this.#reading = this.#read();
  }

  /** Opens a reader of the events behind the number `after`. The bell rings for each message, and when the reader fails. */
  static async open(
    broker: Broker,
    { source, types, after, most }: { source: string; types: readonly string[]; after: number; most: number },
    bell: Bell,
  ): Promise<StreamReader> {
    const { AckPolicy, DeliverPolicy } = await import('@nats-io/jetstream');
    const stream = eventStream(source);
    const { name } = await broker.streams.consumers.add(stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
      filter_subject: eventFilter(source, types),
      inactive_threshold: FORGOTTEN_AFTER_NS,
      mem_storage: true,
      num_replicas: 1,
    });
    return new StreamReader(broker, source, after, most, await broker.publisher.consumers.get(stream, name), bell);
  }

  /**
   * Takes at most `most` messages that have arrived.
   * @throws what ended the reader: a lost connection, a broker that has started again, or a gap
   */
  take(most: number): readonly StreamMessage[] {
    const taken = this.#messages.splice(0, most);
    this.reached = taken.at(-1)?.seq ?? this.reached;
    if (this.#messages.length === 0) this.#drained?.();
    if (taken.length === 0 && this.#failure !== undefined) throw this.#failure;
    return taken.map((message) => ({
      source: this.source,
      sequence: message.seq,
      ...readSubject(message.subject),
      text: message.string(),
    }));
  }

  /** Moves `reached` behind events of other types, if all events of the consumer were taken. */
  async skipOthers(): Promise<void> {
    const { state } = await this.#broker.streams.streams.info(eventStream(this.source));
    const { num_pending: pending, delivered } = await this.#consumer.info();
    const isTaken = this.#messages.length === 0 && delivered.consumer_seq === this.#delivered;
    if (isTaken && pending === 0) this.reached = Math.max(this.reached, state.last_seq);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#drained?.();
    this.#stopRequest?.();
    await this.#reading;
    // Best effort: the broker forgets it by itself.
    await this.#consumer.delete().catch(() => undefined);
  }

  async #read(): Promise<void> {
    try {
      while (!this.#ending.signal.aborted) {
        const before = this.#delivered;
        await this.#request();
        if (this.#delivered === before) await this.#check();
        if (this.#messages.length > 0) await this.#untilDrained();
      }
    } catch (error) {
      this.#failure = error;
      this.#bell.ring();
    }
  }

  async #request(): Promise<void> {
    const messages = await this.#consumer.fetch({ max_messages: this.#most, expires: REQUEST_MS });
    this.#stopRequest = () => messages.stop();
    if (this.#ending.signal.aborted) messages.stop();
    for await (const message of messages) {
      this.#delivered += 1;
      if (message.info.deliverySequence !== this.#delivered) throw new Error('A message was lost on its way');
      this.#messages.push(message);
      this.#bell.ring();
    }
  }

  /** A message that was lost on its way leaves no trace here, but the broker has counted it. */
  async #check(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    const { delivered } = await this.#consumer.info();
    if (delivered.consumer_seq !== this.#delivered) throw new Error('A message was lost on its way');
  }

  async #untilDrained(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      if (this.#messages.length === 0 || this.#ending.signal.aborted) resolve();
    });
    this.#drained = undefined;
  }
}
