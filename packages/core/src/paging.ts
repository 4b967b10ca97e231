import { z } from 'zod';
import { textInput } from './input';

/**
 * A place in a list that is ordered by a time and an id, newest first. The time is in microseconds since 1970, the
 * precision of PostgreSQL; a Date has milliseconds only and would skip rows.
 */
export interface Cursor {
  readonly micros: string;
  readonly id: string;
}

/** PostgreSQL's timestamps begin on 24 November 4714 BC; a JavaScript Date ends before they do, at 8.64e15 milliseconds. */
const MIN_MICROS = -210_866_803_200_000_000n;
const MAX_MICROS = 8_640_000_000_000_000_000n;

/** How much of a list a call returns. */
export interface PageInput {
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

/** One page of a list, newest first unless the function says otherwise. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

/** The id of a row, which may be older than the rules for ids. */
const rowIdInput = textInput(100).refine((text) => !/[\s\p{Cc}]/u.test(text));

/** Reads the cursor that {@link pageOf} made. */
export const cursorInput: z.ZodType<Cursor, string> = z
  .string()
  .max(500)
  .transform((text, context): Cursor => {
    const [, micros, id] = /^(-?\d{1,19}) (.+)$/su.exec(Buffer.from(text, 'base64url').toString()) ?? [];
    if (micros !== undefined && id !== undefined && isTime(BigInt(micros)) && rowIdInput.safeParse(id).success) {
      return { micros, id };
    }
    context.addIssue({ code: 'custom', message: 'is not a cursor of a page' });
    return z.NEVER;
  });

/** Reads the limit of a page. */
export const limitInput = z.int().min(1).max(200).default(50);

/** Reads a {@link PageInput}. */
export const pageFields = { limit: limitInput, cursor: cursorInput.optional() };

function isTime(micros: bigint): boolean {
  return micros >= MIN_MICROS && micros <= MAX_MICROS;
}

/** SQL that reads a column of time as a cursor's microseconds. */
export function microsOf(column: string): string {
  return `(extract(epoch FROM ${column}) * 1000000)::bigint::text`;
}

/** SQL that turns a parameter with a cursor's microseconds back into a time. */
export function timeOfMicros(parameter: string): string {
  return `(timestamptz 'epoch' + ${parameter}::bigint * interval '1 microsecond')`;
}

/**
 * Cuts a page out of rows that were read with a limit of one more, so that the last page is known. `nextCursor` is null
 * on the last page.
 */
export function pageOf<Row extends Cursor>(
  rows: readonly Row[],
  limit: number,
): { readonly rows: readonly Row[]; readonly nextCursor: string | null } {
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  const nextCursor = last === undefined ? null : Buffer.from(`${last.micros} ${last.id}`).toString('base64url');
  return { rows: page, nextCursor };
}
