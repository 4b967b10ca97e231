import type { DatabaseUrl } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { withClient } from '../connect';
import type { Migration } from './files';
import { CREATE_HISTORY, compareHistory, type MigrationState, readHistory } from './history';
import { type LockOptions, withMigrationLock } from './lock';
import { refuseOutOfOrder, refuseTampered, refuseTransactionControl, refuseUnfinished } from './refusals';
import { runStep, type Step, type StepOptions, stepDown, stepUp } from './step';

export interface RunOptions extends LockOptions, StepOptions {
  readonly onMigration?: (name: string) => void;
  /** Once aborted, the migration that runs is finished and no further one begins. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Applies what is pending, each migration and its history row in one transaction; returns the names. One runner at a
 * time; whoever waited finds nothing left to do.
 * @throws {SuiteError} `MIGRATION.EDITED`, `.MISSING`, `.OUT_OF_ORDER`, `.UNFINISHED`, `.HOLDS_TRANSACTION` before anything
 *   runs; `.LOCKED`, `.SQL_FAILED`, `.CONNECTION_LOST`
 */
export async function migrateUp(
  connection: ClientBase | DatabaseUrl,
  migrations: readonly Migration[],
  options: RunOptions,
): Promise<readonly string[]> {
  return onClient(connection, async (client) => {
    // Asked without the lock first: with nothing to do, one question is all that a run costs.
    const before = await readState(client, migrations);
    if (planUp(migrations, before).length === 0 && before.unfinished.length === 0) return [];
    return withMigrationLock(client, options, async () => {
      await client.query(CREATE_HISTORY);
      const state = await readState(client, migrations);
      refuseUnfinished(state);
      return runSteps(client, planUp(migrations, state), options);
    });
  });
}

/**
 * Takes back the newest `steps` applied migrations, newest first, each one's down.sql and the removal of its history row
 * in one transaction; returns the names.
 * @throws {SuiteError} `MIGRATION.IRREVERSIBLE` before anything runs, and what {@link migrateUp} throws
 */
export async function migrateDown(
  connection: ClientBase | DatabaseUrl,
  migrations: readonly Migration[],
  options: RunOptions & { readonly steps: number },
): Promise<readonly string[]> {
  return onClient(connection, async (client) => {
    const before = await readState(client, migrations);
    if (planDown(migrations, before, options.steps).length === 0 && before.unfinished.length === 0) return [];
    return withMigrationLock(client, options, async () => {
      const state = await readState(client, migrations);
      refuseUnfinished(state);
      return runSteps(client, planDown(migrations, state, options.steps), options);
    });
  });
}

async function readState(client: ClientBase, migrations: readonly Migration[]): Promise<MigrationState> {
  const state = compareHistory(migrations, await readHistory(client));
  refuseTampered(state);
  return state;
}

function planUp(migrations: readonly Migration[], state: MigrationState): readonly Step[] {
  refuseOutOfOrder(state);
  return checked(migrations.filter(({ name }) => state.pending.includes(name)).map(stepUp));
}

function planDown(migrations: readonly Migration[], state: MigrationState, count: number): readonly Step[] {
  const applied = migrations.filter(({ name }) => state.applied.includes(name));
  return checked(applied.reverse().slice(0, count).map(stepDown));
}

function checked(steps: readonly Step[]): readonly Step[] {
  for (const { script } of steps) refuseTransactionControl(script);
  return steps;
}

async function runSteps(client: ClientBase, steps: readonly Step[], options: RunOptions): Promise<readonly string[]> {
  const done: string[] = [];
  for (const step of steps) {
    if (options.signal?.aborted) break;
    options.onMigration?.(step.name);
    if (await runStep(client, step, options)) done.push(step.name);
  }
  return done;
}

async function onClient<Result>(
  connection: ClientBase | DatabaseUrl,
  work: (client: ClientBase) => Promise<Result>,
): Promise<Result> {
  return 'href' in connection ? withClient(connection, work) : work(connection);
}
