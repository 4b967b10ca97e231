import type { Stories } from './client';
import { readInput } from './errors';
import { storyInput, uuidInput } from './input';
import { callFunction, type Story } from './rows';
import { type AnalyzedContext, analyzedContextShape, type ExecutionPlan, executionPlanShape } from './shapes';
import type { StoryInput } from './stories.store';

export interface RecordAnalysisInput extends Partial<AnalyzedContext> {
  readonly storyId: string;
}

export interface RecordPlanInput extends ExecutionPlan {
  readonly storyId: string;
}

const analysisInput = analyzedContextShape.extend({ storyId: uuidInput });
const planInput = executionPlanShape.extend({ storyId: uuidInput });

/**
 * Begins the analysis of a story, or begins it again. A story in analysis is returned unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.ILLEGAL_TRANSITION`
 */
export async function beginAnalysis(stories: Stories, input: StoryInput): Promise<Story> {
  return callFunction(stories, 'move_story', [readInput(storyInput, input).storyId, 'Analyzing']);
}

/**
 * Ends the analysis of a story with what it has found. A repeated call returns the story unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.ILLEGAL_TRANSITION`
 */
export async function recordAnalysis(stories: Stories, input: RecordAnalysisInput): Promise<Story> {
  const { storyId, ...context } = readInput(analysisInput, input);
  return callFunction(stories, 'record_analysis', [storyId, context]);
}

/**
 * Begins to plan a story, with or without an analysis, or plans it anew before it starts. A story in planning is returned unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.ILLEGAL_TRANSITION`
 */
export async function beginPlanning(stories: Stories, input: StoryInput): Promise<Story> {
  return callFunction(stories, 'move_story', [readInput(storyInput, input).storyId, 'Planning']);
}

/**
 * Ends the planning of a story: its steps and their tasks become those of the plan, in their order. A repeated call returns the story
 * unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.ILLEGAL_TRANSITION`
 */
export async function recordPlan(stories: Stories, input: RecordPlanInput): Promise<Story> {
  const { storyId, ...plan } = readInput(planInput, input);
  return callFunction(stories, 'record_plan', [storyId, plan]);
}

/**
 * Ends an analysis or a planning as failed. {@link beginAnalysis} or {@link beginPlanning} begins it again.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.ILLEGAL_TRANSITION`: the story is neither analyzed nor
 *   planned at this moment
 */
export async function failPlanning(stories: Stories, input: StoryInput): Promise<Story> {
  return callFunction(stories, 'move_story', [readInput(storyInput, input).storyId, 'Failed']);
}
