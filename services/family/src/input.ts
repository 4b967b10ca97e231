import { idInput, textInput } from '@azora/db-core/input';
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
