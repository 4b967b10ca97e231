import { idInput, rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Debate } from './client';
import { readInput } from './errors';
import { cycleNumberInput, dataInput, keyInput, mostInput } from './input';
import { modelOf, type Row, type StreamEvent, valueFor } from './rows';

export type StreamEventType = 'cycle_start' | 'phase_start' | 'task_complete' | 'error';

export interface NewStreamEvent {
  readonly eventType: StreamEventType;
  /** At most 16,384 characters as JSON. */
  readonly eventData?: Readonly<Record<string, unknown>>;
  readonly agent?: string;
}

export interface AppendEventsInput {
  readonly loopId: string;
  readonly cycle: number;
  /** 1 to 10,000. */
  readonly events: readonly NewStreamEvent[];
  readonly idempotencyKey: string;
}

export interface ReadEventsInput {
  readonly loopId: string;
  readonly cycle: number;
  /** The number of the last event that the caller knows; 0 when absent. */
  readonly after?: bigint;
  /** 1 to 10,000; 1000 when absent. */
  readonly limit?: number;
}

export interface TailEventsInput extends ReadEventsInput {
  /** Ends the tail. */
  readonly signal?: AbortSignal;
}

export interface PruneInput {
  /** At most this many rows; 10,000 when absent. Call again while the result is this limit. */
  readonly limit?: number;
}

const MAX_EVENTS = 10_000;

const eventInput = z.strictObject({
  eventType: z.enum(['cycle_start', 'phase_start', 'task_complete', 'error']),
  eventData: dataInput.optional(),
  agent: idInput.optional(),
});
const appendInput = z.strictObject({
  loopId: idInput,
  cycle: cycleNumberInput,
  events: z.array(eventInput).min(1).max(MAX_EVENTS),
  idempotencyKey: keyInput,
});
const readFields = {
  loopId: rowIdInput,
  cycle: cycleNumberInput,
  after: z.bigint().min(0n).max(9_223_372_036_854_775_807n).default(0n),
  limit: z.int().min(1).max(MAX_EVENTS).default(1_000),
};
const readEventsInput = z.strictObject(readFields);
const tailInput = z.strictObject({ ...readFields, signal: z.instanceof(AbortSignal).optional() });
const pruneInput = z.strictObject({ limit: mostInput });

/**
 * Appends events to a cycle, once per key, and returns the number of the last one. The events of a cycle are numbered from 1, without gaps
 * and without duplicates, whatever is appended at the same time.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`
 */
export async function appendEvents(debate: Debate, input: AppendEventsInput): Promise<bigint> {
  const { idempotencyKey, loopId, cycle, events } = readInput(appendInput, input);
  const values = [idempotencyKey, loopId, cycle, JSON.stringify(events)];
  return BigInt(await valueFor<string>(debate, 'SELECT append_stream_events($1, $2, $3, $4) AS value', values));
}

const READ = `SELECT * FROM stream_events WHERE loop_id = $1 AND cycle = $2 AND sequence > $3 ORDER BY sequence LIMIT $4`;

/**
 * The events of a cycle after a number, in their order.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function readEvents(debate: Debate, input: ReadEventsInput): Promise<readonly StreamEvent[]> {
  const { loopId, cycle, after, limit } = readInput(readEventsInput, input);
  const rows = await debate.query<Row>({ text: READ, values: [loopId, cycle, String(after), limit] });
  return rows.map((row) => modelOf<StreamEvent>(row));
}

/**
 * Follows a cycle: yields every event after a number, each once and in order, and waits for the next ones until the signal ends it.
 * PostgreSQL wakes it when events are committed (LISTEN); behind a pooler it looks each `streamPollMs`.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DATABASE.CLOSED` after close()
 */
export async function* tailEvents(
  debate: Debate,
  input: TailEventsInput,
): AsyncGenerator<StreamEvent, void, undefined> {
  const { loopId, cycle, after, limit, signal } = readInput(tailInput, input);
  const leave = debate.feed.join();
  let last = after;
  const isOver = () => signal?.aborted === true;
  try {
    while (!isOver()) {
      await debate.feed.listen();
      // Before the look, so that what is committed after it wakes the tail.
      const change = debate.feed.changed(loopId, cycle, signal);
      const events = await readEvents(debate, { loopId, cycle, after: last, limit }).catch((error: unknown) => {
        change.stop();
        throw error;
      });
      if (events.length === 0) await change.woken;
      else change.stop();
      for (const event of events) {
        if (isOver()) return;
        yield event;
        last = event.sequence;
      }
    }
  } finally {
    leave();
  }
}

/**
 * Deletes events that are older than 90 days, and returns their number. The numbering of their cycles continues.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function pruneEvents(debate: Debate, input: PruneInput = {}): Promise<number> {
  const { limit } = readInput(pruneInput, input);
  return valueFor(debate, "SELECT prune_stream_events('90 days', $1) AS value", [limit]);
}
