import { type Inside, SuiteError } from '@azora/db-core';
import type { EventTransaction } from '@azora/db-core/events';
import { textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { SagaType } from './define-saga';
import { jsonProblem } from './stored-json';

export interface StartSagaInput<Input> {
  /** One saga is started for one key, however often the call is repeated. */
  readonly key: string;
  readonly input: Input;
}

/** The id of a saga, and whether this call started it. */
export interface StartedSaga {
  readonly id: string;
  readonly isNew: boolean;
}

const keyInput = textInput(200);
const MAX_INPUT_BYTES = 65_536;

/**
 * Starts a saga in a transaction of nexus, once per key: a repeated call returns the saga of the first one, whatever became of it.
 * A transaction that is rolled back starts nothing. Workers (`runSagas`) find the saga after the commit.
 * @throws {SuiteError} `SAGA.INVALID_INPUT`, `SAGA.KEY_REUSED`
 */
export async function startSaga<Input>(
  tx: Inside<EventTransaction>,
  saga: SagaType<Input>,
  { key, input }: StartSagaInput<Input>,
): Promise<StartedSaga> {
  const body = JSON.stringify(readStart(saga, { key, input }));
  const rows = await tx.$queryRawUnsafe<readonly StartedRow[]>(
    'SELECT id, is_new, is_same FROM start_saga($1, $2, $3::jsonb, $4::text[], $5::bigint, $6::integer)',
    saga.name,
    key,
    body,
    saga.steps.map(({ name }) => name),
    saga.steps[0]?.deadlineMs ?? null,
    saga.maxAttempts,
  );
  const [started] = rows;
  if (started === undefined) throw new Error(`The database did not return saga "${saga.name}"`);
  if (!started.is_same) throw keyReused(saga.name, started.id);
  return { id: started.id, isNew: started.is_new };
}

interface StartedRow {
  readonly id: string;
  readonly is_new: boolean;
  readonly is_same: boolean;
}

function readStart<Input>({ name, input: schema }: SagaType<Input>, start: StartSagaInput<Input>): Input {
  const startInput = z.strictObject({ key: keyInput, input: schema });
  const parsed = startInput.safeParse(start);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`);
    throw invalidInput(name, problems.join('; '));
  }
  const input = parsed.data.input as Input;
  const problem = jsonProblem(input, MAX_INPUT_BYTES);
  if (problem !== undefined) throw invalidInput(name, `input: ${problem}`);
  return input;
}

function invalidInput(name: string, why: string): SuiteError {
  return new SuiteError('SAGA.INVALID_INPUT', `Saga "${name}" cannot be started with this input`, {
    kind: 'usage',
    why: `${why}.`,
    next: 'Correct the named fields and call again',
    meta: { saga: name },
  });
}

/** SAGA.KEY_REUSED: the key belongs to a saga that was started with other input. */
function keyReused(name: string, id: string): SuiteError {
  return new SuiteError('SAGA.KEY_REUSED', `The key belongs to another saga "${name}"`, {
    kind: 'usage',
    why: 'A saga with this key was started with different input.',
    next: 'Use a new key for a new saga, and repeat a start unchanged',
    meta: { saga: name, sagaId: id },
  });
}
