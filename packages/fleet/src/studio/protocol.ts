import { z } from 'zod';
import { MAX_STATEMENTS } from './limits';

const Query = z.object({ sql: z.string().min(1), parameters: z.array(z.unknown()).default([]) });
const schema = z.string().min(1).max(63).optional();

/** What the page asks of one database, as @prisma/studio-core sends it; what else it sends along is left out. */
export const StudioRequest = z.discriminatedUnion('procedure', [
  z.object({ procedure: z.literal('query'), query: Query, schema }),
  z.object({ procedure: z.literal('transaction'), queries: z.array(Query).min(1).max(MAX_STATEMENTS), schema }),
  z.object({
    procedure: z.literal('sql-lint'),
    sql: z.string(),
    schema,
    schemaVersion: z.string().optional(),
  }),
]);

export type StudioRequest = z.infer<typeof StudioRequest>;

/** An error as the page shows it. */
export interface StudioFault {
  readonly name: string;
  readonly message: string;
  /** A SQLSTATE, or a code of the suite's. */
  readonly code: string;
  readonly next?: string;
}

export interface Diagnostic {
  readonly from: number;
  readonly to: number;
  readonly severity: 'error';
  readonly message: string;
  readonly code: string;
  readonly source: 'postgresql';
}

/** The page tells failures of the database in the answer itself, with status 200. */
export type StudioAnswer = readonly [StudioFault] | readonly [null, unknown];
