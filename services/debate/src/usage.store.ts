import { idInput, rowIdInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { readInput } from './errors';
import { dataInput, keyInput, mostInput } from './input';
import { listRows, type UsageMonth, valueFor } from './rows';
import type { PruneInput } from './stream.store';

export interface NewUsage {
  /** An auth.Organization. */
  readonly orgId: string;
  readonly eventType: string;
  /** 1 when absent. */
  readonly count?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** An event that is sent twice with one key counts once. */
  readonly idempotencyKey: string;
}

export interface RecordUsageInput {
  /** 1 to 10,000. */
  readonly events: readonly NewUsage[];
}

export interface AggregateUsageInput {
  /** At most this many events; 10,000 when absent. Call again while the result is this limit. */
  readonly limit?: number;
}

export interface UsageTotalInput {
  readonly orgId: string;
  readonly eventType: string;
  /** A time in the month, in UTC. */
  readonly month: Date;
}

export interface ListUsageInput extends PageInput {
  readonly orgId: string;
  readonly eventType?: string;
}

const usageInput = z.strictObject({
  orgId: idInput,
  eventType: textInput(100),
  count: z.int().min(1).max(2_147_483_647).default(1),
  metadata: dataInput.default({}),
  idempotencyKey: keyInput,
});
const recordInput = z.strictObject({ events: z.array(usageInput).min(1).max(10_000) });
const mostOf = z.strictObject({ limit: mostInput });
const totalInput = z.strictObject({
  orgId: rowIdInput,
  eventType: textInput(100),
  month: z.date().min(new Date('0001-01-01')).max(new Date('9999-12-01')),
});
const listInput = z.strictObject({ orgId: rowIdInput, eventType: textInput(100).optional(), ...pageFields });

/**
 * Records usage, each event once per key, and returns how many events are new.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`
 */
export async function recordUsage(debate: Debate, input: RecordUsageInput): Promise<number> {
  const { events } = readInput(recordInput, input);
  return valueFor(debate, 'SELECT record_usage($1) AS value', [JSON.stringify(events)]);
}

/**
 * Adds events that were not counted yet to the sums of their months (UTC), and returns their number. Each event is counted once, however
 * many processes do this at the same time, and whatever is killed.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function aggregateUsage(debate: Debate, input: AggregateUsageInput = {}): Promise<number> {
  return valueFor(debate, 'SELECT aggregate_usage($1) AS value', [readInput(mostOf, input).limit]);
}

/**
 * Deletes usage events that are older than 90 days, and returns their number. Their months keep them: one that was not counted yet is counted
 * now.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function pruneUsage(debate: Debate, input: PruneInput = {}): Promise<number> {
  return valueFor(debate, "SELECT prune_usage('90 days', $1) AS value", [readInput(mostOf, input).limit]);
}

const TOTAL = `SELECT (coalesce((SELECT count FROM usage_months WHERE org_id = $1 AND event_type = $2 AND month = $3::date), 0)
    + coalesce((SELECT sum(count) FROM usage_events WHERE org_id = $1 AND event_type = $2 AND counted_at IS NULL
      AND date_trunc('month', timestamp AT TIME ZONE 'UTC')::date = $3::date), 0))::text AS value`;

/**
 * The usage of a month, with the events that were not counted yet.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function getUsage(debate: Debate, input: UsageTotalInput): Promise<bigint> {
  const { orgId, eventType, month } = readInput(totalInput, input);
  const values = [orgId, eventType, `${month.toISOString().slice(0, 7)}-01`];
  return BigInt(await valueFor<string>(debate, TOTAL, values));
}

/**
 * A page of the monthly sums of an organization, the newest sum first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listUsage(debate: Debate, input: ListUsageInput): Promise<Page<UsageMonth>> {
  const { orgId, eventType, limit, cursor } = readInput(listInput, input);
  return listRows<UsageMonth>(debate, {
    table: 'usage_months',
    where: { org_id: orgId, event_type: eventType },
    limit,
    cursor,
  });
}
