import { idInput, rowIdInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { artifactNotFound, readInput } from './errors';
import {
  agentsInput,
  cycleNumberInput,
  keyInput,
  longText,
  type Phase,
  phaseInput,
  serialInput,
  shareInput,
  shortText,
} from './input';
import { type Artifact, callFor, findRow, listRows, modelOf, type Row } from './rows';

/** One message of a transcript. */
export interface DebateMessage {
  /** One of the agents of the debate. */
  readonly agent: string;
  readonly content: string;
  readonly role?: string;
  readonly round?: number;
}

export interface OpenArtifactInput {
  readonly loopId: string;
  readonly cycleNumber: number;
  readonly phase: Phase;
  readonly task: string;
  /** Who takes part: 1 to 100 agents. */
  readonly agents: readonly string[];
  readonly idempotencyKey: string;
}

export interface AppendMessagesInput {
  readonly artifactId: number;
  /** 1 to 1000. */
  readonly messages: readonly DebateMessage[];
  readonly idempotencyKey: string;
}

export interface CastVoteInput {
  readonly artifactId: number;
  readonly agent: string;
  /** What the agent votes for, such as the name of another agent. */
  readonly choice: string;
}

export interface ConcludeArtifactInput {
  readonly artifactId: number;
  readonly consensusReached: boolean;
  /** 0 to 1. */
  readonly confidence: number;
  readonly winningProposal?: string;
}

export interface ArtifactInput {
  readonly artifactId: number;
}

export interface ListArtifactsInput extends PageInput {
  readonly loopId: string;
  readonly cycleNumber?: number;
}

export interface SearchArtifactsInput {
  /** Words of the task and the winning proposal, as people type them into a search engine. */
  readonly text: string;
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
}

const openInput = z.strictObject({
  loopId: idInput,
  cycleNumber: cycleNumberInput,
  phase: phaseInput,
  task: longText,
  agents: agentsInput,
  idempotencyKey: keyInput,
});
const messageInput = z.strictObject({
  agent: idInput,
  content: longText,
  role: shortText.optional(),
  round: z.int().min(0).max(1_000_000).optional(),
});
const appendInput = z.strictObject({
  artifactId: serialInput,
  messages: z.array(messageInput).min(1).max(1_000),
  idempotencyKey: keyInput,
});
const voteInput = z.strictObject({ artifactId: serialInput, agent: idInput, choice: shortText });
const concludeInput = z.strictObject({
  artifactId: serialInput,
  consensusReached: z.boolean(),
  confidence: shareInput,
  winningProposal: longText.optional(),
});
const oneInput = z.strictObject({ artifactId: serialInput });
const listInput = z.strictObject({ loopId: rowIdInput, cycleNumber: cycleNumberInput.optional(), ...pageFields });
const searchInput = z.strictObject({ text: textInput(500), limit: pageFields.limit });

/**
 * Opens a debate, once per key, with an empty transcript.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`
 */
export async function openArtifact(debate: Debate, input: OpenArtifactInput): Promise<Artifact> {
  const { idempotencyKey, ...body } = readInput(openInput, input);
  return callFor(debate, 'SELECT * FROM open_artifact($1, $2)', [idempotencyKey, JSON.stringify(body)]);
}

/**
 * Adds messages to the end of the transcript, once per key; concurrent calls lose none.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`, `DEBATE.ARTIFACT_NOT_FOUND`, `DEBATE.ARTIFACT_CONCLUDED`,
 *   `DEBATE.NOT_IN_DEBATE`
 */
export async function appendMessages(debate: Debate, input: AppendMessagesInput): Promise<Artifact> {
  const { idempotencyKey, artifactId, messages } = readInput(appendInput, input);
  const values = [idempotencyKey, artifactId, JSON.stringify(messages)];
  return callFor(debate, 'SELECT * FROM append_messages($1, $2, $3)', values);
}

/**
 * Records the vote of an agent, which replaces its earlier one. The tally counts the votes by choice.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.ARTIFACT_NOT_FOUND`, `DEBATE.ARTIFACT_CONCLUDED`, `DEBATE.NOT_IN_DEBATE`
 */
export async function castVote(debate: Debate, input: CastVoteInput): Promise<Artifact> {
  const { artifactId, agent, choice } = readInput(voteInput, input);
  return callFor(debate, 'SELECT * FROM cast_vote($1, $2, $3)', [artifactId, agent, choice]);
}

/**
 * Records the result of a debate. From then on its transcript and votes stay as they are. A repeat with the same result changes nothing.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.ARTIFACT_NOT_FOUND`, `DEBATE.ARTIFACT_CONCLUDED`
 */
export async function concludeArtifact(debate: Debate, input: ConcludeArtifactInput): Promise<Artifact> {
  const { artifactId, ...body } = readInput(concludeInput, input);
  return callFor(debate, 'SELECT * FROM conclude_artifact($1, $2)', [artifactId, JSON.stringify(body)]);
}

/**
 * A debate by its id.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.ARTIFACT_NOT_FOUND`
 */
export async function getArtifact(debate: Debate, input: ArtifactInput): Promise<Artifact> {
  const { artifactId } = readInput(oneInput, input);
  const found = await findRow<Artifact>(debate, 'debate_artifacts', { id: artifactId });
  if (found === undefined) throw artifactNotFound({ artifactId });
  return found;
}

/**
 * Counts a view and returns the debate; concurrent views are all counted.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.ARTIFACT_NOT_FOUND`
 */
export async function viewArtifact(debate: Debate, input: ArtifactInput): Promise<Artifact> {
  return callFor(debate, 'SELECT * FROM view_artifact($1)', [readInput(oneInput, input).artifactId]);
}

/**
 * A page of the debates of a loop or a cycle, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listArtifacts(debate: Debate, input: ListArtifactsInput): Promise<Page<Artifact>> {
  const { loopId, cycleNumber, limit, cursor } = readInput(listInput, input);
  const where = { loop_id: loopId, cycle_number: cycleNumber };
  return listRows<Artifact>(debate, { table: 'debate_artifacts', where, limit, cursor });
}

/**
 * The debates that match a text best, the best first. A word of the task weighs more than one of the winning proposal.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function searchArtifacts(debate: Debate, input: SearchArtifactsInput): Promise<readonly Artifact[]> {
  const { text, limit } = readInput(searchInput, input);
  const rows = await debate.query<Row>({
    text: `SELECT a.* FROM debate_artifacts AS a, websearch_to_tsquery('english', $1) AS q
      WHERE a.search_vector @@ q ORDER BY ts_rank(a.search_vector, q) DESC, a.id DESC LIMIT $2`,
    values: [text, limit],
  });
  return rows.map((row) => modelOf<Artifact>(row));
}
