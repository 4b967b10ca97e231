import { type Store, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';
import { cursorInput, microsOf, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import { type Saga, type SagaRow, type SagaState, sagaOf } from './saga-state';

/** The store of nexus, which keeps the sagas. */
export type SagaStore = Pick<Store<unknown, unknown>, 'query'>;

export interface FindSagaInput {
  readonly name: string;
  readonly key: string;
}

export interface ListSagasInput {
  readonly state: SagaState;
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface SagaPage {
  /** The newest first. */
  readonly sagas: readonly Saga[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

export interface RetrySagaInput {
  readonly sagaId: string;
}

const readInput = inputReader('SAGA.INVALID_INPUT');
const findInput = z.strictObject({ name: z.string().max(100), key: z.string().max(200) });
const listInput = z.strictObject({
  state: z.enum(['running', 'compensating', 'done', 'compensated', 'stuck']),
  limit: z.int().min(1).max(200).default(50),
  cursor: cursorInput.optional(),
});
const retryInput = z.strictObject({ sagaId: z.uuid() });

/**
 * The saga that was started with this key, in its present state; null if there is none.
 * @throws {SuiteError} `SAGA.INVALID_INPUT`
 */
export async function findSaga(store: SagaStore, input: FindSagaInput): Promise<Saga | null> {
  const { name, key } = readInput(findInput, input);
  const [row] = await store.query<SagaRow>({
    text: 'SELECT * FROM sagas WHERE name = $1 AND key = $2',
    values: [name, key],
  });
  return row === undefined ? null : sagaOf(row);
}

/**
 * The sagas in a state, newest first, by pages.
 * @throws {SuiteError} `SAGA.INVALID_INPUT`
 */
export async function listSagas(store: SagaStore, input: ListSagasInput): Promise<SagaPage> {
  const { state, limit, cursor } = readInput(listInput, input);
  const before = cursor === undefined ? '' : `AND (created_at, id) < (${timeOfMicros('$3')}, $4::uuid)`;
  const found = await store.query<SagaRow & { readonly micros: string }>({
    text: `SELECT *, ${microsOf('created_at')} AS micros FROM sagas WHERE state = $1::saga_state ${before}
      ORDER BY created_at DESC, id DESC LIMIT $2`,
    values: [state, limit + 1, ...(cursor === undefined ? [] : [cursor.micros, cursor.id])],
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { sagas: rows.map(sagaOf), nextCursor };
}

/**
 * Lets a stuck saga continue where it stopped, with all its attempts: forwards if nothing was undone yet, else backwards.
 * @throws {SuiteError} `SAGA.INVALID_INPUT`, `SAGA.NOT_FOUND`, `SAGA.NOT_STUCK`
 */
export async function retrySaga(store: SagaStore, input: RetrySagaInput): Promise<Saga> {
  const { sagaId } = readInput(retryInput, input);
  const [retried] = await store.query<SagaRow>({ text: 'SELECT * FROM retry_saga($1)', values: [sagaId] });
  if (retried !== undefined) return sagaOf(retried);
  const [found] = await store.query<SagaRow>({ text: 'SELECT * FROM sagas WHERE id = $1', values: [sagaId] });
  if (found === undefined) {
    throw new SuiteError('SAGA.NOT_FOUND', 'The saga does not exist', {
      next: 'Pass the id that listSagas() or findSaga() returned',
      meta: { sagaId },
    });
  }
  throw new SuiteError('SAGA.NOT_STUCK', `A saga that is ${found.state} cannot be retried`, {
    why: 'Only a stuck saga waits for a retry.',
    next: 'Read the saga with findSaga(); a worker continues a saga that is running or compensating',
    meta: { sagaId, state: found.state },
  });
}
