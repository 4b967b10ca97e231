import { HISTORY } from '@azora/db-migrate';
import { defineCheck } from './check';
import type { Finding } from './finding';

interface HistoryCounts {
  readonly tries: number;
  readonly unfinished: readonly string[] | null;
}

/** No migration is half done, and failed tries do not pile up. Only for a database that has the history table. */
export const checkHistory = defineCheck<HistoryCounts>({
  sql: `SELECT count(*) FILTER (WHERE finished_at IS NULL OR rolled_back_at IS NOT NULL)::int AS tries,
               array_agg(DISTINCT migration_name::text)
                 FILTER (WHERE finished_at IS NULL AND rolled_back_at IS NULL) AS unfinished
        FROM ${HISTORY}`,
  judge: (rows, { limits }) =>
    rows.flatMap(({ tries, unfinished }) => [
      ...(unfinished ?? []).map(unfinishedFinding),
      ...(tries > limits.historyTries ? [bloatFinding(tries)] : []),
    ]),
});

function unfinishedFinding(name: string): Finding {
  return {
    check: 'history-unfinished',
    level: 'error',
    object: name,
    message: 'began and did not finish, so part of it may be there',
    next: 'Look at what it did, complete or undo it, then say which with "azora-db migrate resolve"',
  };
}

function bloatFinding(tries: number): Finding {
  return {
    check: 'history-bloat',
    level: 'warning',
    object: '_prisma_migrations',
    message: `holds ${tries} rows of tries that are not in effect`,
    next: `Find out who tries again and again, then DELETE FROM ${HISTORY} WHERE rolled_back_at IS NOT NULL`,
  };
}
