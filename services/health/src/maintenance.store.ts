import { z } from 'zod';
import type { Health } from './client';
import { readInput } from './errors';
import { onlyRow } from './rows';

/** The `@retain` annotations of the schema, in days. */
const KEEP_LOG_DAYS = 30;
const KEEP_CHECK_DAYS = 90;
const KEEP_BATCH_DAYS = 7;
const DEFAULT_MONTHS_AHEAD = 3;
const BATCH_ROWS = 5_000;
/** More months than a log has, so that a mistake cannot loop for ever. */
const MAX_MONTHS = 1_200;

export interface MaintainHealthInput {
  /** 30 to 3650; 30 when absent. A month of log lines is dropped when its last line is older. */
  readonly keepLogDays?: number;
  /** 30 to 3650; 90 when absent. */
  readonly keepCheckDays?: number;
  /** The number of months, after the present one, that log lines can be written to; 1 to 12, 3 when absent. */
  readonly monthsAhead?: number;
}

export interface Maintained {
  /** The number of months that were made. */
  readonly monthsMade: number;
  /** The dropped months, such as 2026-07. */
  readonly monthsDropped: readonly string[];
  /** Whether a month waits for the next call, because a reader or a writer held the log. */
  readonly isBusy: boolean;
  /** Deleted checks of endpoints. */
  readonly checks: number;
  /** Forgotten idempotency keys of log batches. */
  readonly batches: number;
}

const days = z.int().min(30).max(3_650);
const maintainHealthInput = z.strictObject({
  keepLogDays: days.default(KEEP_LOG_DAYS),
  keepCheckDays: days.default(KEEP_CHECK_DAYS),
  monthsAhead: z.int().min(1).max(12).default(DEFAULT_MONTHS_AHEAD),
});

/**
 * Makes the months of the log ahead, drops the months that are too old, and deletes old checks of endpoints. Run it daily; calls at the
 * same time share the work. A month is dropped only if the log is free within 40 ms, so that no writer waits longer: each lock is
 * asked for once per call.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function maintainHealth(health: Health, input: MaintainHealthInput = {}): Promise<Maintained> {
  const { keepLogDays, keepCheckDays, monthsAhead } = readInput(maintainHealthInput, input);
  const made = await health.query<{ made: number }>({
    text: 'SELECT make_log_months($1) AS made',
    values: [monthsAhead],
  });
  const { monthsDropped, isBusy } = await dropMonths(health, keepLogDays);
  return {
    monthsMade: onlyRow(made).made,
    monthsDropped,
    isBusy,
    checks: await deleteOld(health, 'prune_health_checks', keepCheckDays),
    batches: await deleteOld(health, 'prune_log_batches', KEEP_BATCH_DAYS),
  };
}

/** One month in each transaction: its locks end with it. */
async function dropMonths(health: Health, keepDays: number): Promise<Pick<Maintained, 'monthsDropped' | 'isBusy'>> {
  const monthsDropped: string[] = [];
  for (let month = 0; month < MAX_MONTHS; month += 1) {
    const [row] = await health.query<{ dropped: string | null; is_busy: boolean }>({
      text: `SELECT dropped, is_busy FROM drop_log_month($1 * interval '1 day')`,
      values: [keepDays],
    });
    if (row === undefined || row.is_busy) return { monthsDropped, isBusy: row?.is_busy ?? false };
    if (row.dropped !== null) monthsDropped.push(row.dropped);
  }
  return { monthsDropped, isBusy: false };
}

async function deleteOld(
  health: Health,
  prune: 'prune_health_checks' | 'prune_log_batches',
  keepDays: number,
): Promise<number> {
  for (let total = 0; ; ) {
    const rows = await health.query<{ deleted: number }>({
      text: `SELECT ${prune}($1 * interval '1 day', $2) AS deleted`,
      values: [keepDays, BATCH_ROWS],
    });
    const { deleted } = onlyRow(rows);
    total += deleted;
    if (deleted < BATCH_ROWS) return total;
  }
}
