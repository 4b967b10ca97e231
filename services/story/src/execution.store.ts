import { z } from 'zod';
import type { Stories } from './client';
import { readInput } from './errors';
import { byInput, longText, storyInput, uuidInput } from './input';
import { callFunction, type Row, type Story } from './rows';
import { type CheckResult, checksShape, pathText } from './shapes';
import type { StoryInput } from './stories.store';

export interface DecideGateInput {
  readonly storyId: string;
  /** The wave before the gate. */
  readonly wave: number;
  readonly passed: boolean;
  readonly feedback?: string;
  /** 1 to 100 results that led to the decision. */
  readonly checks?: readonly CheckResult[];
  /** The user who decides; absent when a program does. */
  readonly by?: string;
}

export interface RerunFromWaveInput {
  readonly storyId: string;
  /** The first wave that runs again. */
  readonly wave: number;
  readonly by?: string;
}

export interface RecordVerificationInput {
  readonly storyId: string;
  /** 1 to 100. The verification has passed when every check has. */
  readonly checks: readonly CheckResult[];
}

export interface CompleteStoryInput {
  readonly storyId: string;
  readonly pullRequestUrl?: string;
  readonly by?: string;
}

export interface CancelStoryInput {
  readonly storyId: string;
  readonly by?: string;
}

const wave = z.int().min(1).max(1_000);
const gateInput = z.strictObject({
  storyId: uuidInput,
  wave,
  passed: z.boolean(),
  feedback: longText.optional(),
  checks: checksShape.optional(),
  by: byInput,
});
const rerunInput = z.strictObject({ storyId: uuidInput, wave, by: byInput });
const verificationInput = z.strictObject({ storyId: uuidInput, checks: checksShape });
const completeInput = z.strictObject({ storyId: uuidInput, pullRequestUrl: pathText.optional(), by: byInput });
const cancelInput = z.strictObject({ storyId: uuidInput, by: byInput });

/**
 * Starts the first wave of a planned story. A started story is returned unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.ILLEGAL_TRANSITION`, `STORY.PLAN_INVALID`
 */
export async function startStory(stories: Stories, input: StoryInput): Promise<Story> {
  return callFunction(stories, 'start_story', [readInput(storyInput, input).storyId]);
}

/**
 * Decides the gate after the current wave: a passed gate starts the next wave, a failed one keeps the feedback and waits for another
 * decision, a rejected step or {@link rerunFromWave}. A repeated decision returns the story unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.STORY_ENDED`, `STORY.GATE_NOT_OPEN`
 */
export async function decideGate(stories: Stories, input: DecideGateInput): Promise<Story> {
  const { storyId, wave: after, passed, feedback = null, checks, by = null } = readInput(gateInput, input);
  const results = checks === undefined ? null : JSON.stringify(checks);
  return callFunction(stories, 'decide_gate', [storyId, after, passed, feedback, results, by]);
}

/**
 * Runs a reached wave and all later ones again. Their steps become pending and lose their agent, output, error, approval, feedback and
 * times; their tasks become pending; gates from this wave on and the verification are forgotten. Numbers of attempts and the
 * history of attempts stay.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.STORY_ENDED`, `STORY.WAVE_NOT_REACHED`,
 *   `STORY.STEP_RUNNING`: a worker holds the lease of one of the steps
 */
export async function rerunFromWave(stories: Stories, input: RerunFromWaveInput): Promise<Story> {
  const { storyId, wave: from, by = null } = readInput(rerunInput, input);
  return callFunction(stories, 'rerun_story', [storyId, from, by]);
}

/**
 * Replaces the results of the checks of a story that is ready to complete.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.STORY_ENDED`, `STORY.STORY_NOT_READY`
 */
export async function recordVerification(stories: Stories, input: RecordVerificationInput): Promise<Story> {
  const { storyId, checks } = readInput(verificationInput, input);
  return callFunction(stories, 'record_verification', [storyId, JSON.stringify(checks)]);
}

/**
 * Completes a story that has run its steps, for good. A completed story is returned unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.STORY_NOT_READY`, `STORY.VERIFICATION_FAILED`
 */
export async function completeStory(stories: Stories, input: CompleteStoryInput): Promise<Story> {
  const { storyId, pullRequestUrl = null, by = null } = readInput(completeInput, input);
  return callFunction(stories, 'complete_story', [storyId, pullRequestUrl, by]);
}

/**
 * Cancels a story, for good: leases are revoked, and unfinished steps and tasks are skipped. A canceled story is returned unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.ILLEGAL_TRANSITION`: it is completed
 */
export async function cancelStory(stories: Stories, input: CancelStoryInput): Promise<Story> {
  const { storyId, by = null } = readInput(cancelInput, input);
  return callFunction(stories, 'cancel_story', [storyId, by]);
}

/** A row that breaks a rule. */
export interface Difference {
  readonly rule: string;
  readonly id: string;
}

/** One statement, so that all rules are judged at one moment. Steps of an earlier version have attempts without rows. */
const DIFFERENCES = `
  WITH waves AS (
    SELECT s.id, s.status, s.current_wave, s.gate_mode, s.gate_result, s.max_parallelism,
      min(t.wave) FILTER (WHERE t.status IN ('Pending', 'Running', 'Failed')) AS open_wave,
      bool_or(t.status = 'Failed' AND t.wave = s.current_wave) AS has_failed,
      count(*) FILTER (WHERE t.status = 'Running' AND t.lease_until > database_time()) AS running
    FROM stories AS s JOIN story_steps AS t ON t.story_id = s.id
    WHERE s.current_wave > 0 GROUP BY s.id
  )
  SELECT 'status' AS rule, id::text FROM waves
  WHERE status <> 'Cancelled' AND status <> CASE
    WHEN open_wave IS NULL THEN CASE status WHEN 'Completed' THEN 'Completed' ELSE 'ReadyToComplete' END
    WHEN open_wave > current_wave THEN CASE gate_result -> 'passed' WHEN 'false' THEN 'GateFailed' ELSE 'GatePending' END
    WHEN has_failed THEN 'Failed' ELSE 'Executing' END
  UNION ALL SELECT 'open steps', id::text FROM waves WHERE status IN ('Completed', 'Cancelled') AND open_wave IS NOT NULL
  UNION ALL SELECT 'parallelism', id::text FROM waves WHERE running > max_parallelism
  UNION ALL SELECT 'attempts', t.id::text FROM story_steps AS t
    WHERE t.attempts < (SELECT coalesce(max(a.number), 0) FROM step_attempts AS a WHERE a.step_id = t.id)
      OR (t.status = 'Running') <> EXISTS (SELECT FROM step_attempts AS a WHERE a.step_id = t.id
        AND a.id = t.claim_id AND a.lease_until = t.lease_until)
      OR EXISTS (SELECT FROM step_attempts AS a WHERE a.step_id = t.id AND a.ended_at IS NULL AND a.id IS DISTINCT FROM t.claim_id)
  ORDER BY 1, 2`;

/**
 * The rows that break a rule: a status that does not follow from the steps, open steps of an ended story, more running steps than
 * allowed (after `maxParallelism` was lowered), or a step that disagrees with its attempts. Empty unless a row was written past the
 * store.
 */
export async function reconcile(stories: Stories): Promise<readonly Difference[]> {
  return stories.queryLong<Row & Difference>({ text: DIFFERENCES, values: [] });
}
