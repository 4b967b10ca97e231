import { idInput, rowIdInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { readInput } from './errors';
import { countInput, cycleNumberInput, keyInput, type Phase, phaseInput } from './input';
import { type AgentMetric, callFor, listRows, onlyRow } from './rows';

/** What an agent did. A field that is absent counts 0. */
export interface AgentCounts {
  readonly messagesSent: number;
  readonly proposalsMade: number;
  readonly critiquesGiven: number;
  readonly votesWon: number;
  readonly votesReceived: number;
  readonly consensusContributions: number;
}

export interface RecordMetricsInput extends Partial<AgentCounts> {
  readonly loopId: string;
  readonly cycle: number;
  readonly agentName: string;
  readonly phase: Phase;
  readonly model?: string;
  readonly avgResponseTimeMs?: number;
  readonly idempotencyKey: string;
}

export interface ListMetricsInput extends PageInput {
  readonly loopId?: string;
  readonly cycle?: number;
  readonly agentName?: string;
}

export interface SumMetricsInput {
  readonly agentName: string;
  /** All loops when absent. */
  readonly loopId?: string;
}

export interface MetricsSum extends AgentCounts {
  /** The rows that are summed up. */
  readonly records: number;
  /** The mean of the response times, weighted by messages. Null when none was recorded. */
  readonly avgResponseTimeMs: number | null;
}

const recordInput = z.strictObject({
  loopId: idInput,
  cycle: cycleNumberInput,
  agentName: idInput,
  phase: phaseInput,
  model: textInput(200).optional(),
  messagesSent: countInput.default(0),
  proposalsMade: countInput.default(0),
  critiquesGiven: countInput.default(0),
  votesWon: countInput.default(0),
  votesReceived: countInput.default(0),
  consensusContributions: countInput.default(0),
  avgResponseTimeMs: z.number().min(0).max(1e12).optional(),
  idempotencyKey: keyInput,
});
const listInput = z.strictObject({
  loopId: rowIdInput.optional(),
  cycle: cycleNumberInput.optional(),
  agentName: rowIdInput.optional(),
  ...pageFields,
});
const sumInput = z.strictObject({ agentName: rowIdInput, loopId: rowIdInput.optional() });

/**
 * Records what an agent did in a phase, once per key.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`
 */
export async function recordMetrics(debate: Debate, input: RecordMetricsInput): Promise<AgentMetric> {
  const { idempotencyKey, ...body } = readInput(recordInput, input);
  return callFor(debate, 'SELECT * FROM record_metrics($1, $2)', [idempotencyKey, JSON.stringify(body)]);
}

/**
 * A page of the recorded metrics that match every given field, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listMetrics(debate: Debate, input: ListMetricsInput = {}): Promise<Page<AgentMetric>> {
  const { loopId, cycle, agentName, limit, cursor } = readInput(listInput, input);
  const where = { loop_id: loopId, cycle, agent_name: agentName };
  return listRows<AgentMetric>(debate, { table: 'agent_metrics', where, limit, cursor });
}

const SUM = `SELECT count(*)::integer AS records, coalesce(sum(messages_sent), 0)::double precision AS "messagesSent",
    coalesce(sum(proposals_made), 0)::double precision AS "proposalsMade",
    coalesce(sum(critiques_given), 0)::double precision AS "critiquesGiven",
    coalesce(sum(votes_won), 0)::double precision AS "votesWon", coalesce(sum(votes_received), 0)::double precision AS "votesReceived",
    coalesce(sum(consensus_contributions), 0)::double precision AS "consensusContributions",
    sum(avg_response_time_ms * greatest(messages_sent, 1))
      / sum(greatest(messages_sent, 1)) FILTER (WHERE avg_response_time_ms IS NOT NULL) AS "avgResponseTimeMs"
  FROM agent_metrics WHERE agent_name = $1 AND ($2::text IS NULL OR loop_id = $2)`;

/**
 * The sums of what an agent did.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function sumMetrics(debate: Debate, input: SumMetricsInput): Promise<MetricsSum> {
  const { agentName, loopId } = readInput(sumInput, input);
  const values = [agentName, loopId ?? null];
  return onlyRow(await debate.query<MetricsSum & Record<string, unknown>>({ text: SUM, values }));
}
