import { idInput, jsonObjectInput, textInput } from '@azora/db-core/input';
import { cursorInput, limitInput } from '@azora/db-core/paging';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

/** The id of a conversation, a message or an execution. */
export const uuidInput = z.guid().transform((id) => id.toLowerCase());

/** The cursor of a list of rows with such ids. */
export const uuidPageFields = {
  limit: limitInput,
  cursor: cursorInput.refine(({ id }) => uuidInput.safeParse(id).success, 'is not a cursor of this list').optional(),
};

/** The name of an agent, as events carry it. */
export const agentIdInput = z
  .string()
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]*$/, 'is not letters, digits and : . _ | -');

/** The id of a task. Imported ones have 12 characters, new ones 25. */
export const taskIdInput: z.ZodType<string> = idInput.refine((id) => id.length <= 32, 'is longer than 32 characters');

export const modelInput: z.ZodType<string> = textInput(100);
export const pathInput: z.ZodType<string> = textInput(1_000);

/** What a person or an agent says. */
export const contentInput: z.ZodType<string> = textInput(100_000);

/** The owner of a conversation: an auth.User, or null for a conversation that an agent started itself. */
export const ownerInput = idInput.nullable();

/** Two of these still fit the column of their sum. */
export const tokensInput = z.int().min(0).max(1_000_000_000);

const MAX_METADATA_CHARACTERS = 16_384;

/** Data of the caller, as a JSON object. */
export const metadataInput = jsonObjectInput(MAX_METADATA_CHARACTERS, 'characters');
