import os from 'node:os';
import { findDatabaseError, isConnectionLoss, SuiteError } from '@azora/db-core';
import pMap from 'p-map';
import type { Service } from '../config/registry';

/** The result of one service in a run over the fleet. */
export type ServiceRow<Data> =
  | { readonly service: string; readonly state: 'done'; readonly data: Data }
  | { readonly service: string; readonly state: 'failed'; readonly error: SuiteError }
  | { readonly service: string; readonly state: 'not-started' };

/** A step of a run; `detail` is a short text such as `2 migrations`. */
export interface ProgressEvent {
  readonly service: string;
  readonly state: 'queued' | 'started' | 'working' | 'done' | 'failed';
  readonly detail: string;
}

export type Progress = (event: ProgressEvent) => void;

export interface RunOptions {
  readonly progress?: Progress | undefined;
  /** Once it is aborted, no further service starts, and running ones stop at their next safe point. */
  readonly signal?: AbortSignal | undefined;
}

/** Two services per core: one computes while another waits for the server's fsync. */
const CONCURRENCY = Math.min(8, Math.max(4, os.availableParallelism() * 2));

/** Runs `work` for every service, a bounded number at a time. A service that fails does not stop the others. */
export async function eachService<Item extends { readonly service: Service }, Data>(
  items: readonly Item[],
  { progress, signal }: RunOptions,
  work: (item: Item, onProgress: (detail: string) => void) => Promise<{ readonly data: Data; readonly detail: string }>,
): Promise<readonly ServiceRow<Data>[]> {
  for (const { service } of items) progress?.({ service: service.name, state: 'queued', detail: '' });
  return pMap(
    items,
    async (item): Promise<ServiceRow<Data>> => {
      const service = item.service.name;
      if (signal?.aborted) return { service, state: 'not-started' };
      progress?.({ service, state: 'started', detail: '' });
      try {
        const { data, detail } = await work(item, (step) => progress?.({ service, state: 'working', detail: step }));
        progress?.({ service, state: 'done', detail });
        return { service, state: 'done', data };
      } catch (error) {
        // The work stopped at a safe point after an interrupt.
        if (signal?.aborted && error === signal.reason) return { service, state: 'not-started' };
        const known = toSuiteError(error);
        progress?.({ service, state: 'failed', detail: known.message });
        return { service, state: 'failed', error: known };
      }
    },
    { concurrency: CONCURRENCY },
  );
}

/** The rows of services that are done. */
export function doneRows<Data>(
  rows: readonly ServiceRow<Data>[],
): readonly Extract<ServiceRow<Data>, { state: 'done' }>[] {
  return rows.filter((row) => row.state === 'done');
}

/**
 * Turns anything that was thrown into the suite's error: a lost connection, an error of PostgreSQL with its SQLSTATE, and
 * otherwise a bug with its cause.
 */
export function toSuiteError(error: unknown): SuiteError {
  if (error instanceof SuiteError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (isConnectionLoss(error)) {
    return new SuiteError('SERVER.CONNECTION_LOST', 'The connection to the server was lost', {
      // The error of a host with several addresses has no message.
      ...(message === '' ? {} : { why: `${message}.` }),
      next: 'Run the command again when the server is back',
      cause: error,
    });
  }
  const found = findDatabaseError(error);
  if (found !== undefined) {
    return new SuiteError('DATABASE.FAILED', found.message, {
      why: `PostgreSQL reported SQLSTATE ${found.sqlState}.`,
      meta: { sqlState: found.sqlState },
      cause: error,
    });
  }
  return new SuiteError('INTERNAL', message, {
    kind: 'bug',
    next: 'Run the command again with AZORA_DEBUG=1 to see the stack',
    cause: error,
  });
}
