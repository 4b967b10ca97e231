import {
  planDown,
  planUp,
  readMigrations,
  readState,
  refuseUnfinished,
  relationName,
  type Step,
  withClient,
} from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { effectsOf } from '../../postgres/analysis/effects';
import { findLosses } from '../../postgres/analysis/losses';
import { parseScript } from '../../postgres/analysis/parse';
import { type Effect, LOCK_MODES, type Loss } from '../../postgres/analysis/statement-effects';
import { eachService, type RunOptions, type ServiceRow } from '../fleet';
import { type Destination, depthOf, withService } from './destination';

/** The strongest lock that a step takes on an existing table. */
export interface PlannedLock extends Pick<Effect, 'table' | 'lock' | 'work'> {
  /** The estimated number of rows; undefined when the server has no estimate. */
  readonly rows?: number | undefined;
}

export interface PlannedStep {
  readonly name: string;
  readonly file: string;
  readonly sql: string;
  readonly transactional: boolean;
  readonly locks: readonly PlannedLock[];
  /** The data that the step would remove; `hit` tells whether such data exists now. */
  readonly losses: readonly (Loss & { readonly hit: boolean })[];
  /** The reasons why the step fails if its tables have rows. */
  readonly needsNoRows: readonly string[];
}

export interface PlannedService {
  readonly steps: readonly PlannedStep[];
}

/** Up, or down by steps or to the destination. */
export type Direction = { readonly down: false } | { readonly down: true; readonly steps?: number | undefined };

/** Plans a run on each database; nothing is changed. */
export async function planFleet(
  destinations: readonly Destination[],
  direction: Direction,
  options: RunOptions,
): Promise<readonly ServiceRow<PlannedService>[]> {
  const rows = await eachService(destinations.map(withService), options, async (destination) => {
    const steps = await planTarget(destination, direction);
    return { data: { steps }, detail: steps.length === 0 ? 'nothing to do' : `${steps.length} to run` };
  });
  options.signal?.throwIfAborted();
  return rows;
}

/**
 * Plans a run on one database.
 * @throws {SuiteError} the errors with which the run itself would refuse to begin
 */
export async function planTarget({ target, to }: Destination, direction: Direction): Promise<readonly PlannedStep[]> {
  const migrations = await readMigrations(target.service.migrationsPath);
  return withClient(target.admin, async (client) => {
    const state = await readState(client, migrations);
    refuseUnfinished(state);
    const steps = direction.down
      ? planDown(migrations, state, depthOf(to, direction.steps))
      : to === null
        ? []
        : planUp(migrations, state, { to });
    const planned: PlannedStep[] = [];
    for (const step of steps) planned.push(await planStep(client, step));
    return planned;
  });
}

async function planStep(client: ClientBase, { name, script }: Step): Promise<PlannedStep> {
  const effects = effectsOf(await parseScript(script)).flatMap((statement) => statement.effects);
  const locks = strongest(effects);
  const rows = await rowsOf(
    client,
    locks.map(({ table }) => table),
  );
  const losses = effects.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
  const hit = new Set(await findLosses(client, losses));
  return {
    name,
    ...script,
    locks: locks.map((lock) => ({ ...lock, rows: rows.get(lock.table) })),
    losses: losses.map((loss) => ({ ...loss, hit: hit.has(loss) })),
    needsNoRows: effects.flatMap(({ needsNoRows }) => (needsNoRows === undefined ? [] : [needsNoRows])),
  };
}

function strongest(effects: readonly Effect[]): readonly Pick<Effect, 'table' | 'lock' | 'work'>[] {
  const locks = new Map<string, Pick<Effect, 'table' | 'lock' | 'work'>>();
  for (const { table, lock, work } of effects) {
    const known = locks.get(table);
    const stronger = known === undefined || LOCK_MODES.indexOf(lock) > LOCK_MODES.indexOf(known.lock);
    const heavier = known?.work === 'rewrite' ? known.work : (work ?? known?.work);
    locks.set(table, { table, lock: stronger ? lock : known.lock, work: heavier });
  }
  return [...locks.values()];
}

/** The planner's estimate; for a table that was never analyzed, the number of rows written to it. */
async function rowsOf(client: ClientBase, tables: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (tables.length === 0) return new Map();
  const { rows } = await client.query<{ name: string; rows: string }>(
    `SELECT name, coalesce(nullif(reltuples, -1), pg_stat_get_live_tuples(pg_class.oid))::bigint AS rows
     FROM pg_class, LATERAL ${relationName('pg_class')} AS named (name)
     WHERE relkind IN ('r', 'p') AND name = ANY($1)`,
    [tables],
  );
  return new Map(rows.map(({ name, rows: count }) => [name, Number(count)]));
}
