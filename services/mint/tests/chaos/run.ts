import { type Mint, openMint } from '../../src';
import { audit, waitForSessions } from './audit';
import { answerOf, runClient } from './client';
import { startChaosClock } from './clock';
import { dropConnections, killAt, watchSockets } from './disturb';
import { type Random, randomOf } from './random';
import { readSums, reconcileMeanwhile } from './reader';
import { type ChaosServer, countDeadlocks, type Ledger } from './server';
import { acknowledge, blame, count, isOver, openWorld, type Tally, type World } from './world';

const CLIENTS = 16;
const STORES = 4;

export interface ChaosOptions {
  readonly operations: number;
  readonly seed: string;
  /** How many times the server is killed, at random points of the run. */
  readonly kills: number;
}

export interface ChaosReport {
  readonly problems: readonly string[];
  /** The number of operations that were begun; each was answered, rejected or is a problem. */
  readonly begun: number;
  readonly answered: Tally;
  readonly rejected: Tally;
  readonly events: Tally;
  readonly seconds: number;
}

/**
 * Runs random operations by 16 clients of four stores while connections are dropped, the server is killed and others read,
 * then compares the acknowledged operations with the database. The seed determines the requests of each client as far as
 * they do not depend on earlier answers; it does not determine the interleaving.
 */
export async function runChaos(server: ChaosServer, ledger: Ledger, options: ChaosOptions): Promise<ChaosReport> {
  const startedAt = performance.now();
  const deadlocksBefore = await countDeadlocks(server);
  const random = randomOf(options.seed);
  await startChaosClock(ledger);
  const stores = Array.from({ length: STORES }, () => openStoreOf(ledger));
  const operator = openStoreOf(ledger);
  const world = await openWorld(ledger, operator, options);
  const sockets = stores.map(watchSockets);
  const clients = Array.from({ length: CLIENTS }, (_, n) =>
    runClient(world, stores[n % STORES] ?? operator, `client-${n}`),
  );
  await allOrBlame(world, [
    ...clients,
    dropConnections(world, ledger, sockets, random),
    killAt(world, server, killMoments(options, random)),
    readSums(world, ledger),
    reconcileMeanwhile(world, operator),
  ]);
  await Promise.all([...stores, operator].map((store) => store.close()));
  await settleAndAudit(world, ledger, random);
  count(world.events, 'deadlocks', (await countDeadlocks(server)) - deadlocksBefore);
  const { begun, answered, rejected, events, problems } = world;
  return { problems, begun, answered, rejected, events, seconds: (performance.now() - startedAt) / 1_000 };
}

function openStoreOf({ url }: Ledger): Mint {
  // Slow queries on a busy machine do not matter here.
  return openMint({ url, pool: { max: CLIENTS / STORES }, slowQueryMs: 60_000 });
}

/** One moment in each part of the run, not close to its ends. */
function killMoments({ kills, operations }: ChaosOptions, random: Random): readonly number[] {
  return Array.from({ length: kills }, (_, n) =>
    Math.floor((operations / kills) * (n + 0.15 + random.int(700) / 1_000)),
  );
}

/** An exception in one of them ends the others and becomes a problem of the run. */
async function allOrBlame(world: World, work: readonly Promise<void>[]): Promise<void> {
  await Promise.all(
    work.map((one) =>
      one.catch((error: unknown) => {
        while (!isOver(world)) blame(world, `the run failed: ${error instanceof Error ? error.stack : String(error)}`);
      }),
    ),
  );
}

/** Sends requests that were rejected after a lost answer once more, now that nothing is running; then compares everything. */
async function settleAndAudit(world: World, ledger: Ledger, random: Random): Promise<void> {
  await waitForSessions(ledger);
  const store = openStoreOf(ledger);
  try {
    for (const operation of world.inDoubt.splice(0)) {
      if (world.acknowledged.entries.has(operation.key)) continue;
      const answer = await answerOf(world, store, operation, random);
      if (answer !== undefined) acknowledge(world, operation, answer, random);
      count(world.events, 'settled');
    }
    await audit(world, ledger, store, random);
  } finally {
    await store.close();
  }
}
