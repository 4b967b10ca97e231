import { jsonObjectInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** Limits of pgvector. */
export const MAX_DIMENSIONS = 16_000;
/** A path is part of an index entry, which PostgreSQL limits to 2,704 bytes. */
const MAX_PATH_BYTES = 1_200;
const MAX_METADATA_CHARACTERS = 16_384;

export const workspaceIdInput = z.string().regex(/^[0-9a-f]{16}$/, 'is not the id of a workspace');

/** A path of at most 1,000 characters that an index can hold. */
export const pathInput: z.ZodType<string> = textInput(1_000).refine(
  (path) => Buffer.byteLength(path) <= MAX_PATH_BYTES,
  `is longer than ${MAX_PATH_BYTES} bytes`,
);

/** The path of a file in its workspace, with forward slashes. */
export const filePathInput: z.ZodType<string> = pathInput.refine(
  (path) => !/^\/|\\|(^|\/)\.\.?(\/|$)|\/\/|\/$/.test(path),
  'is not a relative path with forward slashes and without "." and ".."',
);

export const hashInput = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 hash in lower-case hex');

export const commitInput = z.string().regex(/^[0-9a-f]{40}$/, 'is not a commit in lower-case hex');

export const modelInput: z.ZodType<string> = textInput(100);
export const dimensionInput = z.int().min(1).max(MAX_DIMENSIONS);

export const uuidInput = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'is not a UUID');

export const contentIdInput: z.ZodType<string> = textInput(500);
export const contentTypeInput: z.ZodType<string> = textInput(50);
export const titleInput: z.ZodType<string> = textInput(500);

/** An embedding: the type vector stores single precision, and a vector of zeros has no direction. */
export const vectorInput = z
  .array(z.number())
  .min(1)
  .max(MAX_DIMENSIONS)
  .refine((numbers) => vectorProblem(numbers) === undefined, 'is all zeros or has numbers beyond single precision');

/** Why an embedding cannot be stored; undefined when it can. */
export function vectorProblem(numbers: readonly number[]): string | undefined {
  let isZero = true;
  for (const number of numbers) {
    const single = Math.fround(number);
    if (!Number.isFinite(single)) return 'has numbers beyond single precision';
    if (single !== 0) isZero = false;
  }
  return isZero ? 'is all zeros' : undefined;
}

/** Data of the caller, as a JSON object. */
export const metadataInput = jsonObjectInput(MAX_METADATA_CHARACTERS, 'characters');
