import { defineCheck } from './check';

/** A saga that has been due for longer has no worker: a restart of a process takes less. */
const STILL_SECONDS = 60;

interface SagaCounts {
  readonly name: string;
  readonly stuck: number;
  readonly waiting: number;
}

/** Finds sagas that nobody continues. What they have reserved stays reserved. */
export const checkSagas = defineCheck<SagaCounts>({
  sql: `SELECT name::text AS name, count(*) FILTER (WHERE state = 'stuck')::int AS stuck,
               count(*) FILTER (WHERE state <> 'stuck')::int AS waiting
        FROM sagas
        WHERE state = 'stuck'
          OR (state IN ('running', 'compensating') AND next_at < database_time() - ${STILL_SECONDS} * interval '1 s')
        GROUP BY name ORDER BY name`,
  judge: (rows) =>
    rows.flatMap(({ name: object, stuck, waiting }) => [
      ...(stuck === 0
        ? []
        : [
            {
              check: 'saga-stuck',
              level: 'warning',
              object,
              message: `has ${counted(stuck)} that failed too often and that no worker continues`,
              next: 'Read last_error in the table sagas, correct the cause, then call retrySaga() of @azora/db-events',
            } as const,
          ]),
      ...(waiting === 0
        ? []
        : [
            {
              check: 'saga-still',
              level: 'warning',
              object,
              message: `has ${counted(waiting)} that no worker has taken for more than a minute`,
              next: 'Start a worker with runSagas() whose definition has the steps that the sagas were started with',
            } as const,
          ]),
    ]),
});

function counted(sagas: number): string {
  return sagas === 1 ? '1 saga' : `${sagas} sagas`;
}
