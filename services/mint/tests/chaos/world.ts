import { withClient } from '@azora/db-fleet';
import { type Mint, openWallet, type Wallet } from '../../src';
import { type Acknowledged, type Facts, nothingTold, writeDown } from './acknowledged';
import { type Answer, issueOf, type Operation, type SystemWallets } from './operations';
import type { Random } from './random';
import type { Ledger } from './server';

export type Currency = Wallet['currency'];

export interface ChaosWallet {
  readonly id: string;
  readonly currency: Currency;
}

export interface OpenHold {
  readonly id: string;
  readonly wallet: ChaosWallet;
  readonly isDecided: boolean;
  readonly units: bigint;
}

export interface ActiveStake {
  readonly id: string;
  readonly currency: Currency;
  readonly units: bigint;
}

/** Counts by name. */
export type Tally = Record<string, number>;

/** The state that the clients, the reader and the disturbances share. */
export interface World {
  readonly wallets: readonly ChaosWallet[];
  readonly system: Readonly<Record<Currency, SystemWallets>>;
  readonly openHolds: OpenHold[];
  readonly activeStakes: ActiveStake[];
  /** A sample of acknowledged requests, to be sent again. */
  readonly recent: { readonly operation: Operation; readonly text: string }[];
  /** Requests that were rejected after a lost answer: the lost attempt may still take effect. */
  readonly inDoubt: Operation[];
  /** The number of sweeps of expired holds whose answer was lost. */
  lostSweeps: number;
  readonly acknowledged: Acknowledged;
  readonly answered: Tally;
  readonly rejected: Tally;
  readonly events: Tally;
  readonly problems: string[];
  /** The number of operations that clients have begun. */
  begun: number;
  readonly operations: number;
  readonly seed: string;
}

const WALLETS: readonly (readonly [Currency, number])[] = [
  ['AZR', 30],
  ['USD', 10],
  ['BTC', 6],
  ['ETH', 4],
];
const WELCOME = '10000';
const RECENT = 2_000;
const MAX_PROBLEMS = 20;

export function count(tally: Tally, name: string, by = 1): void {
  tally[name] = (tally[name] ?? 0) + by;
}

/** Records a problem; MAX_PROBLEMS of them end the run. */
export function blame(world: World, problem: string): void {
  if (world.problems.length < MAX_PROBLEMS) world.problems.push(problem);
}

export function isOver(world: World): boolean {
  return world.begun >= world.operations || world.problems.length >= MAX_PROBLEMS;
}

/** Opens 50 wallets and gives each a balance. */
export async function openWorld(
  { admin }: Ledger,
  mint: Mint,
  { operations, seed }: Pick<World, 'operations' | 'seed'>,
): Promise<World> {
  const system = await findSystemWallets(admin);
  const world: World = {
    ...{ wallets: await openWallets(mint), system, operations, seed, begun: 0 },
    ...{ openHolds: [], activeStakes: [], recent: [], inDoubt: [], lostSweeps: 0, acknowledged: nothingTold() },
    ...{ answered: {}, rejected: {}, events: {}, problems: [] },
  };
  for (const { id } of world.wallets) {
    const welcome = issueOf({ to: id, amount: WELCOME, idempotencyKey: `welcome-${id}` });
    const { facts } = await welcome.send(mint);
    writeDown(world.acknowledged, welcome.key, facts);
  }
  return world;
}

async function openWallets(mint: Mint): Promise<readonly ChaosWallet[]> {
  const wallets: ChaosWallet[] = [];
  for (const [currency, many] of WALLETS) {
    for (let n = 0; n < many; n += 1) {
      const { id } = await openWallet(mint, { userId: `user-${n}`, currency });
      wallets.push({ id, currency });
    }
  }
  return wallets;
}

async function findSystemWallets(admin: Ledger['admin']): Promise<World['system']> {
  const rows = await withClient(admin, async (client) => {
    const sql = "SELECT id, kind, currency FROM wallets WHERE kind <> 'user'";
    return (await client.query<{ id: string; kind: string; currency: string }>(sql)).rows;
  });
  const found: Record<string, Record<string, string>> = {};
  for (const { id, kind, currency } of rows) found[currency] = { ...found[currency], [kind]: id };
  return found as unknown as World['system'];
}

/** Records a first answer and offers its holds and stakes to the other clients. */
export function acknowledge(world: World, operation: Operation, { facts, text }: Answer, random: Random): void {
  const { acknowledged, recent } = world;
  if (!writeDown(acknowledged, operation.key, facts)) {
    blame(world, `${operation.kind} ${operation.key}: its key already has an answer`);
    return;
  }
  count(world.answered, operation.kind);
  if (recent.length < RECENT) recent.push({ operation, text });
  else recent[random.int(RECENT)] = { operation, text };
  offer(world, facts);
  if (operation.kind === 'unstake' && random.chance(0.9)) withdraw(world, facts);
}

/** Offers holds to capture or release, and stakes to claim or unstake. */
function offer({ acknowledged, wallets, openHolds, activeStakes }: World, { hold, stake }: Facts): void {
  const walletId = hold?.walletId ?? stake?.walletId;
  const wallet = wallets.find(({ id }) => id === walletId);
  if (wallet === undefined) return;
  if (hold !== undefined) {
    const units = acknowledged.holds.get(hold.id)?.units ?? 0n;
    openHolds.push({ id: hold.id, wallet, isDecided: hold.toId !== null, units });
  }
  if (stake !== undefined) {
    const units = acknowledged.stakes.get(stake.id)?.units ?? 0n;
    activeStakes.push({ id: stake.id, currency: wallet.currency, units });
  }
}

function withdraw({ activeStakes }: World, { entries }: Facts): void {
  const index = activeStakes.findIndex(({ id }) => id === entries[0]?.stakeId);
  if (index >= 0) activeStakes.splice(index, 1);
}
