import type { DatabaseUrl } from '@azora/db-core/url';
import type { ClientBase } from 'pg';
import { withClient } from './connect';
import { refuseForeignContents } from './contents';
import type { Migration } from './files';
import { CREATE_HISTORY, compareHistory, type HistoryRow, type MigrationState, readHistory } from './history';
import { type RunnerLockOptions, withMigrationLock } from './lock';
import { refuseOutOfOrder, refuseTampered, refuseTransactionControl, refuseUnfinished } from './refusals';
import { insertApplied } from './resolve';
import { rehearseSteps, runStep } from './run-step';
import { refuseSearchPath } from './search-path';
import { type Step, type StepOptions, stepDown, stepUp } from './step';

export interface RunOptions extends RunnerLockOptions, StepOptions {
  readonly onMigration?: (name: string) => void;
}

/** Up to this migration, or all of them. */
export interface UpOptions extends RunOptions {
  readonly to?: string | undefined;
  /** The name of the service, for the next step of an error. */
  readonly service?: string | undefined;
  /**
   * Whether the history may continue after the newest file, as after a rollback of the code. A pending file is out of order then.
   */
  readonly newerHistory?: 'refused' | 'tolerated' | undefined;
  /** Whether pending migrations that sort before an applied one are applied too, as after a merge of two branches. */
  readonly outOfOrder?: boolean | undefined;
}

/** A number of steps down, or the migration that becomes the newest; null reverts all of them. */
export type Depth = { readonly steps: number } | { readonly to: string | null };

export type DownOptions = RunOptions & Depth;

/**
 * Applies the pending migrations, each with its history row in one transaction; returns their names. One runner at a time
 * works; a runner that waited finds nothing left to do. Once the signal is aborted, the current migration is finished and
 * no further one begins.
 * @throws {SuiteError} `MIGRATION.EDITED`, `.MISSING`, `.OUT_OF_ORDER`, `.UNFINISHED`, `.SCHEMA_NOT_EMPTY`,
 *   `.SEARCH_PATH`, `.HOLDS_TRANSACTION` before anything is written; `.LOCKED`, `.POOLED`, `.LOCK_TIMEOUT`, `.SQL_FAILED`, `DATABASE.CONNECTION_LOST`
 */
export async function migrateUp(
  connection: ClientBase | DatabaseUrl,
  migrations: readonly Migration[],
  options: UpOptions = {},
): Promise<readonly string[]> {
  return onClient(connection, async (client) => {
    // The first look is without the lock: when nothing is pending, a run costs one query.
    const before = stateFor(migrations, await readHistory(client), options);
    const isDone = before.unfinished.length === 0 && before.recognized.length === 0;
    if (planUp(migrations, before, options).length === 0 && isDone) return [];
    return withMigrationLock(client, options, async (session) => {
      const history = await readHistory(client);
      const state = stateFor(migrations, history, options);
      refuseUnfinished(state);
      await refuseSearchPath(client);
      await refuseForeignContents(client, history, options.service);
      await client.query(CREATE_HISTORY);
      // The rows that the squash replaces stay, so that older code finds its own migrations.
      await insertApplied(
        client,
        migrations.filter(({ name }) => state.recognized.includes(name)),
      );
      return runSteps(client, planUp(migrations, state, options), { ...options, session });
    });
  });
}

/**
 * Reverts the newest applied migrations, newest first, each down.sql and the removal of its history row in one
 * transaction; returns their names.
 * @throws {SuiteError} `MIGRATION.IRREVERSIBLE` before anything runs, and the errors of {@link migrateUp}
 */
export async function migrateDown(
  connection: ClientBase | DatabaseUrl,
  migrations: readonly Migration[],
  options: DownOptions,
): Promise<readonly string[]> {
  return onClient(connection, async (client) => {
    const before = await readState(client, migrations);
    if (planDown(migrations, before, options).length === 0 && before.unfinished.length === 0) return [];
    return withMigrationLock(client, options, async (session) => {
      const state = await readState(client, migrations);
      refuseUnfinished(state);
      await refuseSearchPath(client);
      return runSteps(client, planDown(migrations, state, options), { ...options, session });
    });
  });
}

/**
 * Reverts the migrations in one transaction and rolls it back, so that nothing of it stays. Everything that would stop
 * {@link migrateDown} at any of its steps stops it here. Other sessions wait for the locks of all steps meanwhile.
 * @throws {SuiteError} the errors of {@link migrateDown}
 */
export async function rehearseDown(
  connection: ClientBase | DatabaseUrl,
  migrations: readonly Migration[],
  options: DownOptions,
): Promise<void> {
  return onClient(connection, async (client) =>
    withMigrationLock(client, options, async (session) => {
      const state = await readState(client, migrations);
      refuseUnfinished(state);
      await refuseSearchPath(client);
      await rehearseSteps(client, planDown(migrations, state, options), { ...options, session });
    }),
  );
}

/**
 * The state of the history, if the files match it.
 * @throws {SuiteError} `MIGRATION.EDITED`, `MIGRATION.MISSING`
 */
export async function readState(client: ClientBase, migrations: readonly Migration[]): Promise<MigrationState> {
  return stateOf(migrations, await readHistory(client));
}

/** With `tolerated`, migrations that are newer than every file are left out: they belong to newer code. */
function stateFor(
  migrations: readonly Migration[],
  history: readonly HistoryRow[],
  { newerHistory }: UpOptions,
): MigrationState {
  const newest = migrations.at(-1)?.name;
  if (newerHistory !== 'tolerated' || newest === undefined) return stateOf(migrations, history);
  const known = history.filter(({ name }) => name <= newest);
  const state = stateOf(migrations, known);
  return known.length === history.length ? state : { ...state, outOfOrder: state.pending };
}

function stateOf(migrations: readonly Migration[], history: readonly HistoryRow[]): MigrationState {
  const state = compareHistory(migrations, history);
  refuseTampered(state);
  return state;
}

/**
 * The steps of a run up, in order.
 * @throws {SuiteError} `MIGRATION.OUT_OF_ORDER`, `MIGRATION.HOLDS_TRANSACTION`
 */
export function planUp(
  migrations: readonly Migration[],
  state: MigrationState,
  { to, outOfOrder = false }: Pick<UpOptions, 'to' | 'outOfOrder'> = {},
): readonly Step[] {
  if (!outOfOrder) refuseOutOfOrder(state);
  const wanted = state.pending.filter((name) => to === undefined || name <= to);
  return checked(migrations.filter(({ name }) => wanted.includes(name)).map(stepUp));
}

/**
 * The steps of a run down, newest first.
 * @throws {SuiteError} `MIGRATION.IRREVERSIBLE`, `MIGRATION.HOLDS_TRANSACTION`
 */
export function planDown(migrations: readonly Migration[], state: MigrationState, depth: Depth): readonly Step[] {
  const applied = migrations.filter(({ name }) => state.applied.includes(name)).reverse();
  const { to } = 'to' in depth ? depth : { to: undefined };
  const chosen = 'steps' in depth ? applied.slice(0, depth.steps) : applied.filter(({ name }) => name > (to ?? ''));
  return checked(chosen.map(stepDown));
}

function checked(steps: readonly Step[]): readonly Step[] {
  for (const { script } of steps) refuseTransactionControl(script);
  return steps;
}

async function runSteps(client: ClientBase, steps: readonly Step[], options: RunOptions): Promise<readonly string[]> {
  const done: string[] = [];
  for (const [at, step] of steps.entries()) {
    if (options.signal?.aborted) break;
    options.onMigration?.(step.name);
    if (await runStep(client, step, { ...options, isLast: at === steps.length - 1 })) done.push(step.name);
  }
  return done;
}

async function onClient<Result>(
  connection: ClientBase | DatabaseUrl,
  work: (client: ClientBase) => Promise<Result>,
): Promise<Result> {
  return 'href' in connection ? withClient(connection, work) : work(connection);
}
