import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Anchor, listAnchors, type Mint, reconcile } from '../../src';
import { unitsOf } from './acknowledged';
import { codeOf, isLost, isWithoutEffect } from './operations';
import type { Ledger } from './server';
import { blame, count, isOver, type World } from './world';

const RECONCILE_INTERVALS = 10;

interface BalanceRow {
  readonly id: string;
  readonly currency: string;
  readonly balance: string;
  readonly held: string;
}

/**
 * Reads all balances again and again, each time in one snapshot: the users' wallets first, the system wallets a little later.
 * The balances of a currency must add up to zero, and no balance may be less than its held amount.
 */
export async function readSums(world: World, { url }: Ledger): Promise<void> {
  while (!isOver(world)) {
    const client = new Client(url);
    client.on('error', () => undefined);
    try {
      await client.connect();
      while (!isOver(world)) await readOnce(world, client);
    } catch {
      // The connection was dropped, or the server is down: try another connection.
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
  for (const [currency, sum] of sums)
    if (sum !== 0n) blame(world, `a reader saw balances in ${currency} that add up to ${sum} units`);
  for (const { id, balance, held } of users.rows) {
    if (unitsOf(balance) < unitsOf(held))
      blame(world, `a reader saw the wallet ${id} with a balance of ${balance}, of which ${held} is held`);
  }
  count(world.events, 'sums read');
}

const ANCHORS_PER_PAGE = 50;

/** Runs reconcile at regular intervals while the clients work, each time with the anchors of all times before. */
export async function reconcileMeanwhile(world: World, mint: Mint): Promise<void> {
  const anchors: Anchor[] = [];
  for (let part = 1; part < RECONCILE_INTERVALS; part += 1) {
    while (world.begun < (world.operations * part) / RECONCILE_INTERVALS && !isOver(world)) await sleep(20);
    if (isOver(world)) return;
    try {
      blameDifferences(world, await reconcile(mint, { anchors }));
      count(world.events, 'reconciled meanwhile');
      for await (const anchor of anchorsOf(mint)) anchors.push(anchor);
      count(world.events, 'anchors listed');
    } catch (error) {
      const code = codeOf(error);
      if (!isLost(code) && !isWithoutEffect(code)) blame(world, `reconcile was rejected: ${code}`);
    }
  }
}

async function* anchorsOf(mint: Mint): AsyncGenerator<Anchor> {
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page = await listAnchors(mint, { limit: ANCHORS_PER_PAGE, ...(cursor === undefined ? {} : { cursor }) });
    yield* page.anchors;
    cursor = page.nextCursor;
  }
}

export function blameDifferences(world: World, differences: Awaited<ReturnType<typeof reconcile>>): void {
  for (const { check, subject, expected, found } of differences) {
    blame(world, `reconcile: ${check} of ${subject} is ${found.toFixed()} instead of ${expected.toFixed()}`);
  }
}
