import { type Logger, SuiteError } from '@azora/db-core';
import { type TestClock, type TestDatabase, useDatabase, useTestClock } from '@azora/db-testkit';
import { z } from 'zod';
import { type Nexus, openNexus } from '../../../services/nexus/src';
import { defineSaga, type SagaType } from '../src/saga/define-saga';
import { findSaga, type SagaStore } from '../src/saga/inspect-sagas';
import { type RunSagasOptions, runSagas } from '../src/saga/run-sagas';
import type { Saga } from '../src/saga/saga-state';
import { startSaga } from '../src/saga/start-saga';

/** Longer than every lease and every pause after a failed attempt. */
export const LONG_MS = 3_600_000;

export interface Order {
  readonly orderId: string;
}

/** A worker that a test ends, at the latest after the test. */
export interface TestWorker {
  readonly warnings: readonly string[];
  /** Aborts its signal and waits until it has finished its steps. */
  stop(): Promise<void>;
}

/** The sagas of one test file: a database of nexus, whose time stands still until the test moves it. */
export interface SagaBench {
  readonly db: () => TestDatabase;
  readonly clock: TestClock;
  readonly nexus: () => Nexus;
  start(saga: SagaType<Order>, key: string): Promise<string>;
  work(sagas: readonly Pick<SagaType<never>, 'name' | 'steps'>[], options?: Partial<RunSagasOptions>): TestWorker;
  /** Waits until the saga is as the test wants it. */
  reached(saga: { readonly name: string }, key: string, isReached: (saga: Saga) => boolean): Promise<Saga>;
  stateOf(saga: { readonly name: string }, key: string): Promise<Saga>;
}

export function useSagas(): SagaBench {
  let nexus: Nexus | undefined;
  const workers: TestWorker[] = [];
  afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.stop())));
  // Before the database is dropped.
  afterAll(() => nexus?.close());
  const db = useDatabase('nexus');
  const clock = useTestClock(db, '2026-03-01T00:00:00Z');
  const opened = () => (nexus ??= openNexus({ url: db().url, slowQueryMs: 60_000 }));

  const stateOf = async ({ name }: { readonly name: string }, key: string) => {
    const found = await findSaga(opened(), { name, key });
    if (found === null) throw new Error(`There is no saga ${name} with the key ${key}`);
    return found;
  };
  return {
    db,
    clock,
    nexus: opened,
    start: async (saga, key) => {
      const { id } = await opened().transaction((tx) => startSaga(tx, saga, { key, input: { orderId: key } }));
      return id;
    },
    work: (sagas, options = {}) => {
      const worker = startWorker(opened(), sagas, options);
      workers.push(worker);
      return worker;
    },
    stateOf,
    reached: async (saga, key, isReached) => {
      for (;;) {
        const found = await stateOf(saga, key);
        if (isReached(found)) return found;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}

export function startWorker(
  store: SagaStore,
  sagas: readonly Pick<SagaType<never>, 'name' | 'steps'>[],
  options: Partial<RunSagasOptions>,
): TestWorker {
  const stopping = new AbortController();
  const warnings: string[] = [];
  const logger: Logger = {
    warn: (message, fields) => warnings.push(`${message}: ${fields?.['error'] ?? ''}`),
  };
  const ended = runSagas(store, sagas, { signal: stopping.signal, pollMs: 20, logger, ...options });
  return {
    warnings,
    stop: () => {
      stopping.abort();
      return ended;
    },
  };
}

export const isOver = ({ state }: Saga) => state === 'done' || state === 'compensated';
export const isStuck = ({ state }: Saga) => state === 'stuck';

/** A service that a saga calls: it takes effect once per key, and remembers every call. */
export class FakeService {
  /** `do <key>` and `undo <key>`, in the order of the calls. */
  readonly calls: string[] = [];
  readonly effects = new Set<string>();

  perform(key: string): { readonly doneAs: string } {
    this.calls.push(`do ${key}`);
    this.effects.add(key);
    return { doneAs: key };
  }

  undo(key: string): void {
    this.calls.push(`undo ${key}`);
    this.effects.delete(key);
  }
}

export interface TripResults {
  readonly flight: { readonly doneAs: string };
  readonly hotel: { readonly doneAs: string };
  readonly car: { readonly doneAs: string };
}

export interface TripOptions {
  readonly name?: string;
  readonly service?: FakeService;
  readonly maxAttempts?: number;
  readonly deadlineMs?: number;
  /** Runs before the effect of a step; `undo hotel` for a compensation. */
  readonly before?: (action: string, attempt: number) => unknown;
  /** Runs after the effect, before the worker records it. */
  readonly after?: (action: string, attempt: number) => unknown;
}

/** A saga of three steps. The key of each call is the saga's key and the name of the step, so that tests can read it. */
export function tripSaga(options: TripOptions = {}): SagaType<Order> {
  const { name = 'trip', service = new FakeService(), maxAttempts = 20, deadlineMs, before, after } = options;
  const step = <Name extends keyof TripResults>(stepName: Name) => ({
    name: stepName,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    run: async ({ key, attempt }: { readonly key: string; readonly attempt: number }) => {
      await before?.(stepName, attempt);
      const result = service.perform(`${key}:${stepName}`);
      await after?.(stepName, attempt);
      return result;
    },
    undo: async ({ key, attempt }: { readonly key: string; readonly attempt: number }) => {
      await before?.(`undo ${stepName}`, attempt);
      service.undo(`${key}:${stepName}`);
      await after?.(`undo ${stepName}`, attempt);
    },
  });
  return defineSaga<Order, TripResults>({
    name,
    input: z.strictObject({ orderId: z.string() }),
    steps: [step('flight'), step('hotel'), step('car')],
    maxAttempts,
  });
}

/** What a service throws that will never do what it is asked. */
export function soldOut(): SuiteError {
  return new SuiteError('HOTEL.SOLD_OUT', 'The hotel has no room', { meta: {} });
}
