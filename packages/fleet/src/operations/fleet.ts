import os from 'node:os';
import { connectionFailure, findDatabaseError, redactedCause, SuiteError } from '@azora/db-core';
import pMap from 'p-map';
import type { Service } from '../config/registry';
import { READ_ONLY, readOnlyServer } from '../postgres/server-requirements';

/** The outcome of a run for one service. */
export type ServiceRow<Data> =
  | { readonly service: string; readonly state: 'done'; readonly data: Data }
  | { readonly service: string; readonly state: 'failed'; readonly error: SuiteError }
  /** The work began and stopped at a safe point; it is not complete. */
  | { readonly service: string; readonly state: 'interrupted' }
  | { readonly service: string; readonly state: 'not-started' };

/** The row of a service that failed. */
export type FailedRow = Extract<ServiceRow<never>, { state: 'failed' }>;

/** An event in the course of a run; `detail` is a short text such as `2 migrations`. */
export interface ProgressEvent {
  readonly service: string;
  readonly state: 'queued' | 'started' | 'working' | 'done' | 'failed' | 'interrupted';
  readonly detail: string;
}

export type Progress = (event: ProgressEvent) => void;

export interface RunOptions {
  readonly progress?: Progress | undefined;
  /** Once aborted, no further service is started; running ones continue to their next safe point. */
  readonly signal?: AbortSignal | undefined;
}

/** Two services per core: while one waits for the server's fsync, the other computes. */
export const CONCURRENCY = Math.min(8, Math.max(4, os.availableParallelism() * 2));

/** Runs `work` for every service, a bounded number at a time; returns one row per service. A failure does not stop the rest. */
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
        const { data, detail } = await work(item, (text) => progress?.({ service, state: 'working', detail: text }));
        progress?.({ service, state: 'done', detail });
        return { service, state: 'done', data };
      } catch (error) {
        if (isInterruption(error, signal)) {
          progress?.({ service, state: 'interrupted', detail: '' });
          return { service, state: 'interrupted' };
        }
        const known = toSuiteError(error);
        progress?.({ service, state: 'failed', detail: known.message });
        return { service, state: 'failed', error: known };
      }
    },
    { concurrency: CONCURRENCY },
  );
}

/** Whether the error only says that the work stopped because the signal was aborted. */
export function isInterruption(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted !== true) return false;
  // A function of Node throws its own AbortError, whose cause is the reason.
  return error === signal.reason || (error instanceof Error && error.cause === signal.reason);
}

/** The rows of services that succeeded, with their data. */
export function doneRows<Data>(
  rows: readonly ServiceRow<Data>[],
): readonly Extract<ServiceRow<Data>, { state: 'done' }>[] {
  return rows.filter((row) => row.state === 'done');
}

/** A number with its noun, in English: 1 migration, 1,200 rows. */
export function countOf(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}

/**
 * Converts an unknown error: a connection that failed becomes `SERVER.UNREACHABLE` when nothing was sent, and
 * `DATABASE.CONNECTION_LOST` when the outcome is unknown; a write to a read-only server becomes `SERVER.READ_ONLY`; another
 * error of PostgreSQL becomes `DATABASE.FAILED` with its SQLSTATE;
 * any other error becomes `INTERNAL`, a bug.
 */
export function toSuiteError(error: unknown): SuiteError {
  if (error instanceof SuiteError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const failure = connectionFailure(error);
  if (failure !== undefined) return connectionError(failure, error, message);
  const found = findDatabaseError(error);
  if (found?.sqlState === READ_ONLY) return readOnlyServer(found.message);
  if (found !== undefined) {
    return new SuiteError('DATABASE.FAILED', found.message, {
      why: `PostgreSQL returned SQLSTATE ${found.sqlState}.`,
      meta: { sqlState: found.sqlState },
      cause: redactedCause(error),
    });
  }
  return new SuiteError('INTERNAL', message, {
    kind: 'bug',
    next: 'Run again with AZORA_DEBUG=1 to see the stack trace',
    cause: error,
  });
}

function connectionError(outcome: 'not-sent' | 'unknown', error: unknown, message: string): SuiteError {
  // Node's error for several addresses at once has no message.
  const reason = message === '' ? '' : `${message}. `;
  if (outcome === 'not-sent') {
    return new SuiteError('SERVER.UNREACHABLE', 'Could not connect to the PostgreSQL server', {
      why: `${reason}Nothing was sent.`,
      next: 'Start the server or check its address, then run again',
      meta: { outcome },
      cause: redactedCause(error),
    });
  }
  return new SuiteError('DATABASE.CONNECTION_LOST', 'The connection to the server was lost', {
    why: `${reason}The statement may or may not have been committed.`,
    next: 'Run again when the server is back',
    meta: { outcome },
    cause: redactedCause(error),
  });
}
