import { idInput, rowIdInput } from '@azora/db-core/input';
import { limitInput, type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { agentNotFound, matchNotFound, readInput } from './errors';
import { countInput, keyInput } from './input';
import {
  callFor,
  findRow,
  listRows,
  type Match,
  modelOf,
  type Rating,
  type RatingChange,
  type Row,
  valueFor,
} from './rows';

export interface RecordMatchInput {
  /** A debate is rated once. */
  readonly debateId: string;
  /** The score of each agent, 2 to 20 of them. The highest one wins; a shared highest score is a draw. */
  readonly scores: Readonly<Record<string, number>>;
  /** An area such as `architecture`, in which the agents have a rating of their own. */
  readonly domain?: string;
  /** How much the match can change a rating, 1 to 100; 32 when absent. */
  readonly kFactor?: number;
}

export interface MatchInput {
  readonly debateId: string;
}

export interface AgentInput {
  readonly agentName: string;
}

export interface ListRatingsInput {
  /** Ranks by the rating in this domain, and leaves out agents without one. */
  readonly domain?: string;
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
}

export interface ListMatchesInput extends PageInput {
  readonly agentName?: string;
  readonly domain?: string;
}

export interface ListRatingHistoryInput extends PageInput, AgentInput {}

export interface CountCritiquesInput extends AgentInput {
  readonly total: number;
  readonly accepted: number;
  readonly idempotencyKey: string;
}

/** A rating as all matches together make it. */
export interface ReplayedRating {
  readonly elo: string;
  readonly domainElos: Readonly<Record<string, string>>;
  readonly wins: number;
  readonly losses: number;
  readonly draws: number;
  readonly debatesCount: number;
}

export interface RatingsReplay {
  /** By the name of the agent. */
  readonly ratings: Readonly<Record<string, ReplayedRating>>;
  /** Debates whose recorded changes differ from the computed ones. */
  readonly changed: readonly string[];
}

const DEFAULT_K_FACTOR = 32;

const matchInput = z.strictObject({
  debateId: idInput,
  scores: z
    .record(idInput, z.number().min(-1e9).max(1e9))
    .refine((scores) => Object.keys(scores).length >= 2 && Object.keys(scores).length <= 20, 'needs 2 to 20 agents'),
  domain: idInput.optional(),
  kFactor: z.number().min(1).max(100).multipleOf(0.01).default(DEFAULT_K_FACTOR),
});
const debateInput = z.strictObject({ debateId: rowIdInput });
const agentInput = z.strictObject({ agentName: rowIdInput });
const ratingsInput = z.strictObject({ domain: rowIdInput.optional(), limit: limitInput });
const matchesInput = z.strictObject({
  agentName: rowIdInput.optional(),
  domain: rowIdInput.optional(),
  ...pageFields,
});
const historyInput = z.strictObject({ agentName: rowIdInput, ...pageFields });
const critiquesInput = z.strictObject({
  agentName: idInput,
  total: countInput,
  accepted: countInput,
  idempotencyKey: keyInput,
});

/**
 * Rates a debate: changes the Elo ratings of its agents, overall and in its domain, with their history, in one transaction. The changes add
 * up to exactly 0. A repeat returns the first match.
 *
 * A pair of agents exchanges K / (n − 1) · (S − 1 / (1 + 10^((R₂ − R₁) / 400))) points, rounded to 4 decimals, where n is the number of
 * agents and S is 1, ½ or 0 as the first one scored more than, as much as or less than the second one (Elo, 1978).
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.MATCH_RECORDED`, `DEBATE.RATING_RANGE`
 */
export async function recordMatch(debate: Debate, input: RecordMatchInput): Promise<Match> {
  return callFor(debate, 'SELECT * FROM record_match($1)', [JSON.stringify(readInput(matchInput, input))]);
}

/**
 * The match of a debate.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.MATCH_NOT_FOUND`
 */
export async function getMatch(debate: Debate, input: MatchInput): Promise<Match> {
  const { debateId } = readInput(debateInput, input);
  const found = await findRow<Match>(debate, 'matches', { debate_id: debateId });
  if (found === undefined) throw matchNotFound({ debateId });
  return found;
}

/**
 * The rating of an agent.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.AGENT_NOT_FOUND`
 */
export async function getRating(debate: Debate, input: AgentInput): Promise<Rating> {
  const { agentName } = readInput(agentInput, input);
  const found = await findRow<Rating>(debate, 'ratings', { agent_name: agentName });
  if (found === undefined) throw agentNotFound({ agentName });
  return found;
}

/**
 * The ranking: agents by their rating, the best first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listRatings(debate: Debate, input: ListRatingsInput = {}): Promise<readonly Rating[]> {
  const { domain, limit } = readInput(ratingsInput, input);
  const rows = await debate.query<Row>(
    domain === undefined
      ? { text: 'SELECT * FROM ratings ORDER BY elo DESC, agent_name LIMIT $1', values: [limit] }
      : {
          text: `SELECT * FROM ratings WHERE domain_elos ? $2
            ORDER BY (domain_elos ->> $2)::numeric DESC, agent_name LIMIT $1`,
          values: [limit, domain],
        },
  );
  return rows.map((row) => modelOf<Rating>(row));
}

/**
 * A page of the matches, of an agent or of a domain if they are given, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listMatches(debate: Debate, input: ListMatchesInput = {}): Promise<Page<Match>> {
  const { agentName, domain, limit, cursor } = readInput(matchesInput, input);
  // The history of an agent names its matches, and has an index for it.
  const table =
    agentName === undefined
      ? 'matches'
      : `(SELECT m.*, h.agent_name FROM elo_history AS h JOIN matches AS m ON m.debate_id = h.debate_id) AS played`;
  return listRows<Match>(debate, { table, where: { agent_name: agentName, domain }, limit, cursor });
}

/**
 * A page of the changes of an agent's rating, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listRatingHistory(debate: Debate, input: ListRatingHistoryInput): Promise<Page<RatingChange>> {
  const { agentName, limit, cursor } = readInput(historyInput, input);
  return listRows<RatingChange>(debate, { table: 'elo_history', where: { agent_name: agentName }, limit, cursor });
}

/**
 * Counts critiques of an agent, and how many of them were accepted; once per key.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`
 */
export async function countCritiques(debate: Debate, input: CountCritiquesInput): Promise<Rating> {
  const { idempotencyKey, agentName, total, accepted } = readInput(critiquesInput, input);
  const values = [idempotencyKey, agentName, total, accepted];
  return callFor(debate, 'SELECT * FROM count_critiques($1, $2, $3, $4)', values);
}

const REPLAY = `SELECT jsonb_build_object('changed', replayed -> 'changed', 'ratings', (
    SELECT coalesce(jsonb_object_agg(key, value || jsonb_build_object('elo', value ->> 'elo', 'domainElos',
      (SELECT coalesce(jsonb_object_agg(d.key, d.value #>> '{}'), '{}') FROM jsonb_each(value -> 'domainElos') AS d))), '{}')
    FROM jsonb_each(replayed -> 'ratings'))) AS value
  FROM replay_matches() AS replayed`;

/** Plays all matches again from 1500, in the order in which they took effect, and returns the ratings; stores nothing. */
export function replayRatings(debate: Debate): Promise<RatingsReplay> {
  return valueFor<RatingsReplay>(debate, REPLAY, []);
}
