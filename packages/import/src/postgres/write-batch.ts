import { findDatabaseError } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { Reject } from '../source';
import type { Stage } from '../stage';
import { writeStatement } from './batch-sql';
import { type Counts, NO_COUNTS } from './journal';
import type { StagedRow } from './staging';
import type { TargetTable } from './target-table';

/** A stage with its table and its place in the journal. */
export interface StageRun {
  readonly importId: string;
  readonly at: number;
  readonly stage: Stage;
  readonly target: TargetTable;
}

export interface BatchOutcome {
  readonly counts: Counts;
  readonly rejects: readonly Reject[];
}

interface Written {
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly duplicates: number;
  readonly conflicting: readonly { readonly ordinal: number; readonly earlier: number }[];
  readonly orphaned: readonly { readonly ordinal: number; readonly constraint: string }[];
  readonly missing: readonly number[];
}

/**
 * The classes of errors that a value of a row causes: data exceptions, constraints, limits such as the size of an index entry, and the
 * rules of triggers.
 */
const ROW_ERROR = /^(22|23|54|AZ)/;

/**
 * Writes the staged rows in the caller's transaction. When the database rejects a batch, its halves are written by themselves, until
 * the rows are found that it rejects.
 */
export async function writeBatch(
  client: ClientBase,
  run: StageRun,
  source: number,
  rows: readonly StagedRow[],
): Promise<BatchOutcome> {
  const statement = writeStatement(run.stage, run.target);
  const rejects: Reject[] = [];
  let { inserted, updated, unchanged, duplicates } = NO_COUNTS;
  const positionAt = (ordinal: number) => rows[ordinal - 1]?.position ?? { file: '', record: 0 };
  const write = async (from: number, to: number): Promise<void> => {
    await client.query('SAVEPOINT batch');
    try {
      const { rows: found } = await client.query<Written>(statement, [from, to, run.importId, run.at, source]);
      await client.query('RELEASE SAVEPOINT batch');
      const [written] = found;
      if (written === undefined) throw new Error('The statement of a batch returned no row');
      inserted += written.inserted;
      updated += written.updated;
      unchanged += written.unchanged;
      duplicates += written.duplicates;
      rejects.push(...rejectsOf(run.stage, written, positionAt));
    } catch (error) {
      const reason = rowErrorOf(error);
      if (reason === undefined) throw error;
      await client.query('ROLLBACK TO SAVEPOINT batch');
      if (from === to) {
        rejects.push({ position: positionAt(from), ...reason });
        return;
      }
      const middle = (from + to) >> 1;
      await write(from, middle);
      await write(middle + 1, to);
    }
  };
  if (rows.length > 0) await write(1, rows.length);
  return { counts: { inserted, updated, unchanged, duplicates, rejected: rejects.length }, rejects };
}

/** The message of the server may quote a value, so the reason names the constraint, or the SQLSTATE. */
function rowErrorOf(error: unknown): Pick<Reject, 'code' | 'reason'> | undefined {
  const found = findDatabaseError(error);
  if (found === undefined || !ROW_ERROR.test(found.sqlState)) return undefined;
  const { sqlState, constraint } = found;
  if (sqlState === '23505') return { code: 'CONFLICT', reason: `Another row has these values (${constraint})` };
  if (constraint !== undefined) return { code: 'INVALID_VALUE', reason: `The row breaks the rule ${constraint}` };
  return { code: 'INVALID_VALUE', reason: `PostgreSQL does not accept a value (SQLSTATE ${sqlState})` };
}

function rejectsOf(
  { table }: Stage,
  { conflicting, orphaned, missing }: Written,
  positionAt: (ordinal: number) => Reject['position'],
): readonly Reject[] {
  const duplicate = conflicting.map(
    ({ ordinal, earlier }): Reject => ({
      position: positionAt(ordinal),
      code: 'DUPLICATE_ID',
      reason: `Record ${earlier} has the same id and other values`,
    }),
  );
  const orphan = orphaned.map(
    ({ ordinal, constraint }): Reject => ({
      position: positionAt(ordinal),
      code: 'BROKEN_REFERENCE',
      reason: `The row that it refers to does not exist (${constraint})`,
    }),
  );
  const absent = missing.map(
    (ordinal): Reject => ({
      position: positionAt(ordinal),
      code: 'BROKEN_REFERENCE',
      reason: `${table} has no row with this key`,
    }),
  );
  return [...duplicate, ...orphan, ...absent];
}
