import { newId } from '@azora/db-core';
import { idInput, rowIdInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { positionNotFound, readInput } from './errors';
import { keyInput, longText, shareInput } from './input';
import { callFor, findRow, listRows, onlyRow, type Position } from './rows';

export type Outcome = 'correct' | 'incorrect' | 'unknown';

export interface TakePositionInput {
  readonly agentName: string;
  readonly claim: string;
  /** The probability that the claim is correct, as the agent says. */
  readonly confidence: number;
  readonly debateId: string;
  readonly roundNum: number;
  readonly domain?: string;
  readonly idempotencyKey: string;
}

export interface ResolvePositionInput {
  readonly positionId: string;
  readonly outcome: Outcome;
}

export interface ReversePositionInput {
  readonly positionId: string;
  /** The debate in which the agent took the opposite position. */
  readonly debateId: string;
}

export interface PositionInput {
  readonly positionId: string;
}

export interface ListPositionsInput extends PageInput {
  readonly agentName?: string;
  readonly debateId?: string;
  readonly outcome?: Outcome | 'pending';
  /** Only flips, or only positions that still hold. */
  readonly reversed?: boolean;
}

export interface CalibrationInput {
  readonly agentName: string;
}

/** How well the confidence of an agent fits what turned out. */
export interface Calibration {
  /** Positions that turned out correct or incorrect. */
  readonly resolved: number;
  readonly correct: number;
  /** The mean squared error of the confidence: 0 is perfect, 0.25 is a coin (Brier, 1950). Null without resolved positions. */
  readonly brierScore: number | null;
  /** All positions, and those that the agent reversed later. */
  readonly taken: number;
  readonly reversed: number;
  /** Resolved positions by confidence, in tenths: [0, 0.1), …, [0.9, 1]. Empty tenths are left out. */
  readonly tenths: readonly {
    readonly from: number;
    readonly positions: number;
    readonly meanConfidence: number;
    readonly shareCorrect: number;
  }[];
}

const takeInput = z.strictObject({
  agentName: idInput,
  claim: longText,
  confidence: shareInput,
  debateId: idInput,
  roundNum: z.int().min(0).max(1_000_000),
  domain: idInput.optional(),
  idempotencyKey: keyInput,
});
const outcomeInput = z.enum(['correct', 'incorrect', 'unknown']);
const resolveInput = z.strictObject({ positionId: rowIdInput, outcome: outcomeInput });
const reverseInput = z.strictObject({ positionId: rowIdInput, debateId: idInput });
const oneInput = z.strictObject({ positionId: rowIdInput });
const listInput = z.strictObject({
  agentName: rowIdInput.optional(),
  debateId: rowIdInput.optional(),
  outcome: z.enum(['pending', ...outcomeInput.options]).optional(),
  reversed: z.boolean().optional(),
  ...pageFields,
});
const calibrationInput = z.strictObject({ agentName: rowIdInput });

/**
 * Records what an agent claims in a debate, once per key.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`
 */
export async function takePosition(debate: Debate, input: TakePositionInput): Promise<Position> {
  const { idempotencyKey, ...body } = readInput(takeInput, input);
  return callFor(debate, 'SELECT * FROM take_position($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * Decides a position, once, and counts it in the calibration of its agent; `unknown` does not count. A repeat changes nothing.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.POSITION_NOT_FOUND`, `DEBATE.ILLEGAL_TRANSITION`
 */
export async function resolvePosition(debate: Debate, input: ResolvePositionInput): Promise<Position> {
  const { positionId, outcome } = readInput(resolveInput, input);
  return callFor(debate, 'SELECT * FROM resolve_position($1, $2)', [positionId, outcome]);
}

/**
 * Records that the agent changed its mind (a flip). A repeat changes nothing.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.POSITION_NOT_FOUND`, `DEBATE.POSITION_REVERSED`
 */
export async function reversePosition(debate: Debate, input: ReversePositionInput): Promise<Position> {
  const { positionId, debateId } = readInput(reverseInput, input);
  return callFor(debate, 'SELECT * FROM reverse_position($1, $2)', [positionId, debateId]);
}

/**
 * A position by its id.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.POSITION_NOT_FOUND`
 */
export async function getPosition(debate: Debate, input: PositionInput): Promise<Position> {
  const { positionId } = readInput(oneInput, input);
  const found = await findRow<Position>(debate, 'positions', { id: positionId });
  if (found === undefined) throw positionNotFound({ positionId });
  return found;
}

/**
 * A page of the positions that match every given field, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listPositions(debate: Debate, input: ListPositionsInput = {}): Promise<Page<Position>> {
  const { agentName, debateId, outcome, reversed, limit, cursor } = readInput(listInput, input);
  const where = { agent_name: agentName, debate_id: debateId, outcome, reversed };
  return listRows<Position>(debate, { table: 'positions', where, limit, cursor });
}

const CALIBRATION = `
  WITH mine AS (SELECT * FROM positions WHERE agent_name = $1),
  resolved AS (SELECT confidence, outcome = 'correct' AS is_correct, least(floor(confidence * 10), 9) AS tenth
    FROM mine WHERE outcome IN ('correct', 'incorrect'))
  SELECT count(*)::integer AS taken, (count(*) FILTER (WHERE reversed))::integer AS reversed,
    (SELECT count(*)::integer FROM resolved) AS resolved, (SELECT (count(*) FILTER (WHERE is_correct))::integer FROM resolved) AS correct,
    (SELECT avg(power(round(confidence::numeric, 6) - is_correct::integer, 2))::double precision FROM resolved) AS "brierScore",
    (SELECT coalesce(jsonb_agg(jsonb_build_object('from', tenth / 10, 'positions', positions, 'meanConfidence', mean, 'shareCorrect', share)
      ORDER BY tenth), '[]')
     FROM (SELECT tenth, count(*) AS positions, avg(confidence) AS mean, avg(is_correct::integer) AS share FROM resolved GROUP BY tenth) AS t) AS tenths
  FROM mine`;

/**
 * How well the confidence of an agent fits what turned out, computed from its positions.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function getCalibration(debate: Debate, input: CalibrationInput): Promise<Calibration> {
  const { agentName } = readInput(calibrationInput, input);
  return onlyRow(await debate.query<Calibration & Record<string, unknown>>({ text: CALIBRATION, values: [agentName] }));
}
