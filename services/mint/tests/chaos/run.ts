import { type Mint, openMint } from '../../src';
import { audit, waitForTheDead } from './audit';
import { answerOf, runClient } from './client';
import { countDeadlocks, dropConnections, killAt, watchSockets } from './disturb';
import { type Random, randomOf } from './random';
import { readSums, reconcileMeanwhile } from './reader';
import type { ChaosServer, Ledger } from './server';
import { acknowledge, blame, chaosClock, count, isOver, openWorld, type Tally, type World } from './world';

const CLIENTS = 16;
const STORES = 4;

export interface ChaosOptions {
  readonly operations: number;
  readonly seed: string;
  /** How often the server is killed, at random among the operations. */
  readonly kills: number;
}

export interface ChaosReport {
  readonly faults: readonly string[];
  /** Operations that were begun, of which each was answered, refused or is a fault. */
  readonly begun: number;
  readonly answered: Tally;
  readonly refused: Tally;
  readonly events: Tally;
  readonly seconds: number;
}

/**
 * Lets 16 clients of four stores do random operations while connections are dropped, the server is killed and others read,
 * then compares what was acknowledged with what is there. The seed decides what each client asks for, as far as that does
 * not depend on what it and others were answered before; the interleaving is nobody's choice.
 */
export async function runChaos(server: ChaosServer, ledger: Ledger, options: ChaosOptions): Promise<ChaosReport> {
  const startedAt = performance.now();
  const random = randomOf(options.seed);
  const clock = chaosClock(random);
  const stores = Array.from({ length: STORES }, () => openStoreOf(ledger, clock.look));
  const operator = openStoreOf(ledger, clock.look);
  const world = await openWorld(ledger, operator, clock, options);
  const sockets = stores.map(watchSockets);
  const clients = Array.from({ length: CLIENTS }, (_, n) =>
    runClient(world, stores[n % STORES] ?? operator, `client-${n}`),
  );
  await allOrBlame(world, [
    ...clients,
    dropConnections(world, ledger, sockets, random),
    killAt(world, server, ledger, killMoments(options, random)),
    readSums(world, ledger),
    reconcileMeanwhile(world, operator),
  ]);
  await Promise.all([...stores, operator].map((store) => store.close()));
  await countDeadlocks(world, ledger);
  await settleAndAudit(world, ledger, random);
  const { begun, answered, refused, events, faults } = world;
  return { faults, begun, answered, refused, events, seconds: (performance.now() - startedAt) / 1_000 };
}

function openStoreOf({ url }: Ledger, clock: () => Date): Mint {
  // What is slow on a busy machine is none of this test's business.
  return openMint({ url, clock, pool: { max: CLIENTS / STORES }, slowQueryMs: 60_000 });
}

/** One in each part of the run, not at its very edges. */
function killMoments({ kills, operations }: ChaosOptions, random: Random): readonly number[] {
  return Array.from({ length: kills }, (_, n) =>
    Math.floor((operations / kills) * (n + 0.15 + random.int(700) / 1_000)),
  );
}

/** One that throws ends the others, and the run tells why. */
async function allOrBlame(world: World, work: readonly Promise<void>[]): Promise<void> {
  await Promise.all(
    work.map((one) =>
      one.catch((error: unknown) => {
        while (!isOver(world)) blame(world, `it broke off: ${error instanceof Error ? error.stack : String(error)}`);
      }),
    ),
  );
}

/** What was refused after an answer was lost is asked for once more, now that nothing is under way; then all is compared. */
async function settleAndAudit(world: World, ledger: Ledger, random: Random): Promise<void> {
  await waitForTheDead(ledger);
  const store = openStoreOf(ledger, world.clock.look);
  try {
    for (const operation of world.inDoubt.splice(0)) {
      if (world.told.entries.has(operation.key)) continue;
      const answer = await answerOf(world, store, operation, random);
      if (answer !== undefined) acknowledge(world, operation, answer, random);
      count(world.events, 'settled');
    }
    await audit(world, ledger, store, random);
  } finally {
    await store.close();
  }
}
