import { idInput, jsonObjectInput, rowIdInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);
/** A task, a claim, a proposal, or another text. */
export const longText: z.ZodType<string> = textInput(20_000);
export const shortText: z.ZodType<string> = textInput(200);
export const commitText: z.ZodType<string> = textInput(64);
export const pathText: z.ZodType<string> = textInput(1_000);

export const phaseInput = z.enum(['debate', 'design', 'implement', 'verify', 'commit']);
export const cycleNumberInput = z.int().min(0).max(2_147_483_647);
export const countInput = z.int().min(0).max(1_000_000_000);
/** A probability or a score. */
export const shareInput = z.number().min(0).max(1);
/** The id of a row with a serial id. */
export const serialInput = z.int().min(1).max(2_147_483_647);

export type Phase = z.infer<typeof phaseInput>;

/** Names of agents: 1 to 100, each once. */
export const agentsInput = z
  .array(idInput)
  .min(1)
  .max(100)
  .refine((agents) => new Set(agents).size === agents.length, 'names an agent twice');

/** A cycle that exists. */
export const cycleInput = z.strictObject({ loopId: rowIdInput, cycleNumber: cycleNumberInput });

/** Data of the caller, as a JSON object of at most 16,384 characters. */
export const dataInput = jsonObjectInput(16_384, 'characters');

const MAX_TRACE_CHARACTERS = 16_000_000;
/** A schema of zod for JSON would drop the key `__proto__` of an element. */
const inObject = jsonObjectInput(MAX_TRACE_CHARACTERS + '{"trace":}'.length, 'characters');
const arrayInput = z
  .array(z.unknown())
  .refine((trace) => inObject.safeParse({ trace }).success, 'is not JSON that can be stored, or is too long');
/** A recorded debate, as a JSON object or array of at most 16 million characters. */
export const traceInput = z.union([jsonObjectInput(MAX_TRACE_CHARACTERS, 'characters'), arrayInput]);

/** Milliseconds, at most about ten years. */
export const lifetimeInput = z.int().min(1).max(315_360_000_000);
/** How many rows one call handles. */
export const mostInput = z.int().min(1).max(100_000).default(10_000);
