import { idInput, textInput } from '@azora/db-core/input';
import { cursorInput } from '@azora/db-core/paging';
import { z } from 'zod';
import { $Enums } from './generated/client';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

/** The text of a message, at most 20,000 characters. */
export const contentText: z.ZodType<string> = textInput(20_000);
export const titleText: z.ZodType<string> = textInput(200);

export const moodInput = z.enum($Enums.Mood);
export const kindInput = z.enum($Enums.InteractionKind);

const MAX_FACTS_BYTES = 16_384;

/** An object of JSON values of at most 16 KB. */
export const factsInput = z
  .record(z.string(), z.json())
  .refine((facts) => isStorable(JSON.stringify(facts)), 'contains NUL or an unpaired surrogate')
  .refine((facts) => Buffer.byteLength(JSON.stringify(facts)) <= MAX_FACTS_BYTES, 'is larger than 16 KB');

/** JSON.stringify writes NUL and unpaired surrogates as escapes, which jsonb rejects. */
function isStorable(json: string): boolean {
  return !/\\u0000|\\u[dD][89a-fA-F]/.test(json);
}

/** A conversation and the user whom it belongs to. */
export const talkFields = { conversationId: idInput, userId: idInput };

const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;

/** The fields of every list. */
export const pageFields = {
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  cursor: cursorInput.optional(),
};

export interface PageInput {
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

/** One page of a list, newest first. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}
