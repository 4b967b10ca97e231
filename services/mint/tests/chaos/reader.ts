import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Mint, reconcile } from '../../src';
import { codeOf, isLost } from './operations';
import type { Ledger } from './server';
import { unitsOf } from './told';
import { blame, count, isOver, type World } from './world';

const RECONCILED = 10;

interface BalanceRow {
  readonly id: string;
  readonly currency: string;
  readonly balance: string;
  readonly held: string;
}

/**
 * Looks all the time, in one snapshot each: the users' wallets first, the system's a moment later. All money of a currency
 * adds up to nothing, and nobody has less than is held of it.
 */
export async function readSums(world: World, { url }: Ledger): Promise<void> {
  while (!isOver(world)) {
    const client = new Client(url);
    client.on('error', () => undefined);
    try {
      await client.connect();
      while (!isOver(world)) await readOnce(world, client);
    } catch {
      // It was dropped or there is no server: another connection will do.
      await sleep(20);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

async function readOnce(world: World, client: Client): Promise<void> {
  const select = 'SELECT id, currency, balance, held FROM wallets WHERE kind';
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const users = await client.query<BalanceRow>(`${select} = 'user'`);
  await sleep(15);
  const system = await client.query<BalanceRow>(`${select} <> 'user'`);
  await client.query('COMMIT');
  const sums = new Map<string, bigint>();
  for (const { currency, balance } of [...users.rows, ...system.rows]) {
    sums.set(currency, (sums.get(currency) ?? 0n) + unitsOf(balance));
  }
  for (const [currency, sum] of sums) if (sum !== 0n) blame(world, `a reader saw ${sum} units of ${currency} too many`);
  for (const { id, balance, held } of users.rows) {
    if (unitsOf(balance) < unitsOf(held)) blame(world, `a reader saw ${id} with ${balance}, of which ${held} are held`);
  }
  count(world.events, 'sums read');
}

/** Reconciles ten times while everybody works. */
export async function reconcileMeanwhile(world: World, mint: Mint): Promise<void> {
  for (let part = 1; part < RECONCILED; part += 1) {
    while (world.begun < (world.operations * part) / RECONCILED && !isOver(world)) await sleep(20);
    if (isOver(world)) return;
    try {
      blameDifferences(world, await reconcile(mint));
      count(world.events, 'reconciled meanwhile');
    } catch (error) {
      if (!isLost(codeOf(error))) blame(world, `reconcile was refused: ${codeOf(error)}`);
    }
  }
}

export function blameDifferences(world: World, differences: Awaited<ReturnType<typeof reconcile>>): void {
  for (const { check, subject, expected, found } of differences) {
    blame(world, `reconcile: ${check} of ${subject} is ${found.toFixed()}, not ${expected.toFixed()}`);
  }
}
