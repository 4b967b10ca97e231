import { textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Prisma } from './generated/client';

/** The shapes of the JSON columns, checked when they are written. */

const MAX_NODES = 500;
const MAX_CONNECTIONS = 2_000;
const MAX_ATTEMPTS = 100;
const MAX_DELAY_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** What an integer of PostgreSQL holds, 24 days. */
const MAX_RUN_MS = 2_147_483_647;

/** How often a step is tried, and how long it pauses after the first failure. */
export interface RetryRule {
  /** 1 to 100; 3 when absent. */
  readonly maxAttempts?: number | undefined;
  /** Milliseconds, an hour at most; a second when absent. Doubles with each further failure. */
  readonly delayMs?: number | undefined;
}

export interface WorkflowNode {
  readonly id: string;
  /** `trigger`, where a run begins, or the name of a plugin that the workflow is linked with. */
  readonly type: string;
  /** The label in the editor. */
  readonly name?: string | undefined;
  /** What the schema of the plugin describes. */
  readonly settings?: Prisma.JsonObject | undefined;
  readonly retry?: RetryRule | undefined;
  /** Milliseconds that one attempt may take, a day at most. */
  readonly timeoutMs?: number | undefined;
  /** The place in the editor. */
  readonly position?: { readonly x: number; readonly y: number } | undefined;
}

/** The node `to` runs after the node `from`, and gets its result. */
export interface Connection {
  readonly from: string;
  readonly to: string;
}

export interface WorkflowSettings {
  /** Milliseconds that a run may take, 24 days at most. */
  readonly timeoutMs?: number | undefined;
  /** The rule of nodes without an own one. */
  readonly retry?: RetryRule | undefined;
  /** An IANA time zone, for the editor. */
  readonly timezone?: string | undefined;
}

/** Deeper values are mistakes, and would exhaust the stack of their readers. */
const MAX_DEPTH = 100;

/** A value as `JSON.stringify` writes it; undefined if it has no text that PostgreSQL can store. */
export function jsonTextOf(value: unknown): string | undefined {
  try {
    const text = JSON.stringify(value);
    return text !== undefined && isStorable(JSON.parse(text)) ? text : undefined;
  } catch {
    // A circle, a bigint, or a value that is too deep for the stack.
    return undefined;
  }
}

function isStorable(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  if (typeof value !== 'object' || value === null) return true;
  return (
    depth < MAX_DEPTH && Object.entries(value).every(([key, inner]) => isStorable(key) && isStorable(inner, depth + 1))
  );
}

/** A JSON value that PostgreSQL can store, of at most the given number of characters as text. */
export function jsonInput(maxCharacters: number): z.ZodType<Prisma.JsonValue> {
  return z.unknown().transform((value, context): Prisma.JsonValue => {
    const text = jsonTextOf(value);
    if (text !== undefined && text.length <= maxCharacters) return JSON.parse(text);
    const message =
      text === undefined
        ? 'is not JSON that PostgreSQL can store'
        : `is longer than ${maxCharacters} characters as JSON`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
}

/** A JSON object that PostgreSQL can store. */
export function jsonObjectInput(maxCharacters: number): z.ZodType<Prisma.JsonObject> {
  return jsonInput(maxCharacters).transform((value, context): Prisma.JsonObject => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
    context.addIssue({ code: 'custom', message: 'is not a JSON object' });
    return z.NEVER;
  });
}

const nodeId = textInput(100);
const retryRule = z.strictObject({
  maxAttempts: z.int().min(1).max(MAX_ATTEMPTS).optional(),
  delayMs: z.int().min(0).max(MAX_DELAY_MS).optional(),
});
const coordinate = z.number().min(-1e9).max(1e9);

export const nodesShape: z.ZodType<readonly WorkflowNode[]> = z
  .array(
    z.strictObject({
      id: nodeId,
      type: textInput(255),
      name: textInput(255).optional(),
      settings: jsonObjectInput(65_536).optional(),
      retry: retryRule.optional(),
      timeoutMs: z.int().min(1).max(DAY_MS).optional(),
      position: z.strictObject({ x: coordinate, y: coordinate }).optional(),
    }),
  )
  .max(MAX_NODES);

export const connectionsShape: z.ZodType<readonly Connection[]> = z
  .array(z.strictObject({ from: nodeId, to: nodeId }))
  .max(MAX_CONNECTIONS);

export const settingsShape: z.ZodType<WorkflowSettings> = z.strictObject({
  timeoutMs: z.int().min(1).max(MAX_RUN_MS).optional(),
  retry: retryRule.optional(),
  timezone: textInput(100).optional(),
});

/** The connections of a row. SQL that was written before this store also kept lists of ends by the node that they start from. */
export function connectionsOf(value: unknown): readonly Connection[] {
  if (Array.isArray(value)) return value as readonly Connection[];
  return Object.entries(Object(value)).flatMap(([from, ends]) =>
    (Array.isArray(ends) ? ends : []).map((to) => ({ from, to: String(to) })),
  );
}
