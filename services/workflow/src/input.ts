import { idInput, textInput } from '@azora/db-core/input';
import { cursorInput, limitInput } from '@azora/db-core/paging';
import { z } from 'zod';

const MAX_INTEGER = 2_147_483_647;

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

/** The id of a workflow. */
export const workflowIdInput = z.int().min(1).max(MAX_INTEGER);

/** The number of a version, and the version of a draft. */
export const versionInput = z.int().min(1).max(MAX_INTEGER);

/** The id of a run. */
export const runIdInput: z.ZodType<string> = idInput.refine((id) => id.length <= 32, 'is longer than 32 characters');

/** A workflow with its owner: nobody else finds it. */
export const ownedFields = { workflowId: workflowIdInput, ownerId: idInput };

/** The user who makes the change; the owner when absent. */
export const byInput = idInput.optional();

/** The cursor of a list of rows with numbers as ids. */
export const numberPageFields = {
  limit: limitInput,
  cursor: cursorInput.refine(({ id }) => isInteger(id), 'is not a cursor of this list').optional(),
};

function isInteger(id: string): boolean {
  return /^\d{1,10}$/.test(id) && Number(id) <= MAX_INTEGER;
}
