import { idInput, jsonObjectInput, textInput } from '@azora/db-core/input';
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
export const factsInput = jsonObjectInput(MAX_FACTS_BYTES, 'bytes');

/** A conversation and the user whom it belongs to. */
export const talkFields = { conversationId: idInput, userId: idInput };
