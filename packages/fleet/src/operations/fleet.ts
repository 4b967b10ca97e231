import os from 'node:os';
import { findDatabaseError, isConnectionLoss, SuiteError } from '@azora/db-core';
import pMap from 'p-map';
import type { Service } from '../config/registry';

/** How one service came out of a run over the fleet. */
export type ServiceRow<Data> =
  | { readonly service: string; readonly state: 'done'; readonly data: Data }
  | { readonly service: string; readonly state: 'failed'; readonly error: SuiteError }
  | { readonly service: string; readonly state: 'not-started' };

/** What a run tells while it goes on; `detail` is a few words such as `2 migrations`. */
export interface ProgressEvent {
  readonly service: string;
  readonly state: 'queued' | 'started' | 'working' | 'done' | 'failed';
  readonly detail: string;
}

export type Progress = (event: ProgressEvent) => void;

export interface RunOptions {
  readonly progress?: Progress | undefined;
  /** Once aborted, no further service is started; those that run come to their next safe point. */
  readonly signal?: AbortSignal | undefined;
}

/** Two services per core: while one waits for the server's fsync, another computes. */
const CONCURRENCY = Math.min(8, Math.max(4, os.availableParallelism() * 2));

/** Does `work` for every service, a bounded number at a time, going on past those that fail: one row per service. */
export async function eachService<Item extends { readonly service: Service }, Data>(
  items: readonly Item[],
  { progress, signal }: RunOptions,
  work: (item: Item, tell: (detail: string) => void) => Promise<{ readonly data: Data; readonly detail: string }>,
): Promise<readonly ServiceRow<Data>[]> {
  for (const { service } of items) progress?.({ service: service.name, state: 'queued', detail: '' });
  return pMap(
    items,
    async (item): Promise<ServiceRow<Data>> => {
      const service = item.service.name;
      if (signal?.aborted) return { service, state: 'not-started' };
      progress?.({ service, state: 'started', detail: '' });
      try {
        const { data, detail } = await work(item, (told) => progress?.({ service, state: 'working', detail: told }));
        progress?.({ service, state: 'done', detail });
        return { service, state: 'done', data };
      } catch (error) {
        // Its work came to a safe point and ended there.
        if (signal?.aborted && error === signal.reason) return { service, state: 'not-started' };
        const known = toSuiteError(error);
        progress?.({ service, state: 'failed', detail: known.message });
        return { service, state: 'failed', error: known };
      }
    },
    { concurrency: CONCURRENCY },
  );
}

/** The rows that are done, with their data. */
export function doneRows<Data>(
  rows: readonly ServiceRow<Data>[],
): readonly Extract<ServiceRow<Data>, { state: 'done' }>[] {
  return rows.filter((row) => row.state === 'done');
}

/**
 * What was thrown, as the suite's error: the end of a session, a database's error by its SQLSTATE, anything else as a bug
 * with its cause.
 */
export function toSuiteError(error: unknown): SuiteError {
  if (error instanceof SuiteError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (isConnectionLoss(error)) {
    return new SuiteError('SERVER.CONNECTION_LOST', 'The connection to the server was lost', {
      // Node's error of several addresses at once has no message.
      ...(message === '' ? {} : { why: `${message}.` }),
      next: 'Run it again when the server is back',
      cause: error,
    });
  }
  const fault = findDatabaseError(error);
  if (fault !== undefined) {
    return new SuiteError('DATABASE.FAILED', fault.message, {
      why: `PostgreSQL answered SQLSTATE ${fault.sqlState}.`,
      meta: { sqlState: fault.sqlState },
      cause: error,
    });
  }
  return new SuiteError('INTERNAL', message, {
    kind: 'bug',
    next: 'Run it again with AZORA_DEBUG=1 for the stack',
    cause: error,
  });
}
