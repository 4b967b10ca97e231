import { textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The shape of each JSON column, checked when it is written. */

const MAX_LIST = 1_000;
const MAX_STEPS = 500;
const MAX_TASKS = 100;
const MAX_WAVE = 1_000;

const longText = textInput(20_000);
export const pathText: z.ZodType<string> = textInput(1_000);

/** Text that may be absent; an absent field is left out of the JSON. */
const optionalText = longText.optional();

/** A result of a search in the indexed files. */
export interface RagResult {
  readonly contentId: string;
  readonly chunkIndex: number;
  /** From -1 to 1; 1 is the best. */
  readonly score: number;
  readonly sourcePath?: string | undefined;
  readonly text?: string | undefined;
}

/** A node of the code graph. */
export interface ContextNode {
  readonly fullyQualifiedName: string;
  /** Such as Class or Method. */
  readonly nodeType: string;
  readonly filePath?: string | undefined;
}

/** What an analysis has found; `stories.analyzed_context`. */
export interface AnalyzedContext {
  readonly summary?: string | undefined;
  readonly files: readonly string[];
  readonly ragResults: readonly RagResult[];
  readonly codeNodes: readonly ContextNode[];
}

export interface PlannedStep {
  readonly name: string;
  /** What a worker must be able to do, such as coding. */
  readonly capability: string;
  readonly description?: string | undefined;
  /** From 1. Steps of one wave run at the same time. */
  readonly wave: number;
  /** The descriptions of its tasks, in their order. */
  readonly tasks?: readonly string[] | undefined;
}

/** The plan of a story; `stories.execution_plan`. */
export interface ExecutionPlan {
  readonly summary?: string | undefined;
  /** 1 to 500, in their order. */
  readonly steps: readonly PlannedStep[];
}

export interface ChatMessage {
  readonly role: 'user' | 'assistant' | 'system';
  readonly content: string;
  /** ISO 8601, in the time of the database. */
  readonly at: string;
}

/** The result of a build, a test run or another check. */
export interface CheckResult {
  readonly name: string;
  readonly passed: boolean;
  readonly output?: string | undefined;
}

/** `stories.verification_result`. */
export interface VerificationResult {
  /** Whether every check has passed. */
  readonly passed: boolean;
  readonly checks: readonly CheckResult[];
}

/** The decision about the gate after a wave; `stories.gate_result`. */
export interface GateResult {
  readonly wave: number;
  readonly passed: boolean;
  readonly feedback?: string | undefined;
  readonly checks?: readonly CheckResult[] | undefined;
}

export const analyzedContextShape = z.strictObject({
  summary: optionalText,
  files: z.array(pathText).max(MAX_LIST).default([]),
  ragResults: z
    .array(
      z.strictObject({
        contentId: textInput(500),
        chunkIndex: z.int().min(0).max(2_147_483_647),
        score: z.number().min(-1).max(1),
        sourcePath: pathText.optional(),
        text: optionalText,
      }),
    )
    .max(MAX_LIST)
    .default([]),
  codeNodes: z
    .array(
      z.strictObject({ fullyQualifiedName: textInput(1_000), nodeType: textInput(50), filePath: pathText.optional() }),
    )
    .max(MAX_LIST)
    .default([]),
});

export const executionPlanShape = z.strictObject({
  summary: optionalText,
  steps: z
    .array(
      z.strictObject({
        name: textInput(500),
        capability: textInput(100),
        description: optionalText,
        wave: z.int().min(1).max(MAX_WAVE),
        tasks: z.array(longText).max(MAX_TASKS).optional(),
      }),
    )
    .min(1)
    .max(MAX_STEPS),
});

export const checksShape = z
  .array(z.strictObject({ name: textInput(200), passed: z.boolean(), output: optionalText }))
  .min(1)
  .max(100);
