import { idInput, jsonObjectInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

export const titleInput: z.ZodType<string> = textInput(200);
export const messageInput: z.ZodType<string> = textInput(10_000);

/** The service that sends, such as `education`. */
export const sourceInput = z
  .string()
  .max(50)
  .regex(/^[a-z][a-z0-9-]*$/, 'is not lower-case words with hyphens');

/** A path of the app; a link to another site would lead users away in the name of the suite. */
export const pathInput = textInput(1_000).refine((path) => /^\/([^/]|$)/.test(path), 'is not a path of the app');

export const typeInput = z.enum(['info', 'warning', 'success', 'error']);

/** The channels beyond the app. */
export const channelInput = z.enum(['email', 'push', 'sms']);

export const templateNameInput = z
  .string()
  .max(100)
  .regex(/^[a-z][a-z0-9]*([.-][a-z0-9]+)*$/, 'is not lower-case words with dots and hyphens');

export const userInput = z.strictObject({ userId: idInput });
export const oneInput = z.strictObject({ userId: idInput, notificationId: idInput });

/** Values of a template, by the names of its places. */
export const valuesInput = z
  // A record of zod would drop this name without a word.
  .custom<object>((values) => values instanceof Object && !Object.hasOwn(values, '__proto__'), 'has no names of places')
  .pipe(z.record(z.string().regex(/^[a-z][A-Za-z0-9]{0,49}$/, 'is not the name of a place'), textInput(1_000, 0)));

const MAX_METADATA_CHARACTERS = 16_384;

/** Data of the caller that the notification carries, as a JSON object. */
export const metadataInput = jsonObjectInput(MAX_METADATA_CHARACTERS, 'characters');
