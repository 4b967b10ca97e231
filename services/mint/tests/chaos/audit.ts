import { setTimeout as sleep } from 'node:timers/promises';
import { withClient } from '@azora/db-fleet';
import type { Client } from 'pg';
import { balanceAt, type Mint, reconcile, stakingReward } from '../../src';
import { type Acknowledged, type Entry, entryOf, textOf, unitsOf } from './acknowledged';
import type { Random } from './random';
import { blameDifferences } from './reader';
import type { Ledger } from './server';
import { blame, type World } from './world';

const MOMENTS_ASKED = 20;

/** Waits until the server has ended all sessions of closed connections: what they sent has taken effect by then, or never will. */
export async function waitForSessions({ admin }: Ledger): Promise<void> {
  await withClient(admin, async (client) => {
    const others = `SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`;
    while ((await client.query(others)).rowCount !== 0) await sleep(25);
  });
}

/** Compares the acknowledged operations with the database: each is in the other, once. */
export async function audit(world: World, ledger: Ledger, mint: Mint, random: Random): Promise<void> {
  blameDifferences(world, await reconcile(mint));
  await withClient(ledger.admin, async (client) => {
    await auditRequests(world, client);
    await auditEntries(world, client);
    await auditHolds(world, client);
    await auditWallets(world, client);
    await auditStakes(world, client);
    await auditRecords(world, client);
  });
  await auditMoments(world, mint, random);
}

async function rowsOf<Row extends object>(client: Client, sql: string): Promise<readonly Row[]> {
  return (await client.query<Row>(sql)).rows;
}

/** Records a problem for each subject whose acknowledged state differs from the database. */
function compare(
  world: World,
  what: string,
  acknowledged: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): void {
  for (const [subject, text] of acknowledged) {
    const there = found.get(subject);
    if (there !== text) blame(world, `${what} ${subject}: acknowledged "${text}", found "${there ?? 'nothing'}"`);
  }
  for (const [subject, text] of found) {
    if (!acknowledged.has(subject)) blame(world, `${what} ${subject}: found "${text}", which was never acknowledged`);
  }
}

async function auditRequests(world: World, client: Client): Promise<void> {
  const rows = await rowsOf<{ key: string }>(client, 'SELECT key FROM requests');
  const keys = (names: Iterable<string>) => new Map(Array.from(names, (name): [string, string] => [name, 'there']));
  compare(world, 'request', keys(world.acknowledged.entries.keys()), keys(rows.map(({ key }) => key)));
}

const ENTRIES = `SELECT id, type, from_id AS "fromId", to_id AS "toId", amount, stake_id AS "stakeId", hold_id AS "holdId",
  request_key AS key, created_at AS "createdAt" FROM transactions`;

async function auditEntries(world: World, client: Client): Promise<void> {
  type Found = Parameters<typeof entryOf>[0] & { readonly key: string };
  const found = new Map<string, Entry[]>();
  for (const { key, ...row } of await rowsOf<Found>(client, ENTRIES)) {
    const ofKey = found.get(key);
    if (ofKey === undefined) found.set(key, [entryOf(row)]);
    else ofKey.push(entryOf(row));
  }
  const acknowledged = world.acknowledged.entries;
  const isAcknowledged = (key: string) => acknowledged.get(key)?.some(({ id }) => id !== undefined) === true;
  const lines = (all: ReadonlyMap<string, readonly Entry[]>) =>
    new Map(
      Array.from(all, ([key, entries]) => [key, linesOf(entries, isAcknowledged(key))] as const).filter(
        ([, text]) => text !== '',
      ),
    );
  compare(world, 'transactions of', lines(acknowledged), lines(found));
}

/** Some answers do not have the ids of their transactions. */
function linesOf(entries: readonly Entry[], areIdsTold: boolean): string {
  const lines = entries.map(({ line, id, at }) => (areIdsTold ? `${id} ${line} ${at}` : `${line} ${at}`));
  return lines.sort().join(', ');
}

/** The sums of the acknowledged entries by wallet, up to a time. */
function balancesOf({ entries }: Acknowledged, until = Number.POSITIVE_INFINITY): Map<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const ofKey of entries.values()) {
    for (const { from, to, units, at } of ofKey) {
      if (at > until) continue;
      sums.set(from, (sums.get(from) ?? 0n) - units);
      sums.set(to, (sums.get(to) ?? 0n) + units);
    }
  }
  return sums;
}

async function auditWallets(world: World, client: Client): Promise<void> {
  const { acknowledged } = world;
  const held = new Map<string, bigint>();
  for (const [id, { walletId, units }] of acknowledged.holds) {
    if (!acknowledged.ends.has(id)) held.set(walletId, (held.get(walletId) ?? 0n) + units);
  }
  const balances = balancesOf(acknowledged);
  const rows = await rowsOf<Record<'id' | 'balance' | 'held', string>>(client, 'SELECT id, balance, held FROM wallets');
  const show = (balance: bigint, ofThem: bigint) => `${textOf(balance)}, held ${textOf(ofThem)}`;
  compare(
    world,
    'wallet',
    new Map(rows.map(({ id }) => [id, show(balances.get(id) ?? 0n, held.get(id) ?? 0n)])),
    new Map(rows.map((row) => [row.id, show(unitsOf(row.balance), unitsOf(row.held))])),
  );
}

const HOLDS = `SELECT id, request_key AS key, wallet_id AS "walletId", amount, captured_amount AS captured, status
  FROM holds`;

type HoldFound = Readonly<Record<'id' | 'key' | 'walletId' | 'amount' | 'captured' | 'status', string>>;

async function auditHolds(world: World, client: Client): Promise<void> {
  const { acknowledged, lostSweeps } = world;
  const rows = await rowsOf<HoldFound>(client, HOLDS);
  const found = new Map<string, string>();
  for (const { id, key, walletId, amount, captured, status } of rows) {
    const end = status === 'held' ? '' : `${status} ${unitsOf(captured)}`;
    // The only outcome that may never have been acknowledged: the answer of a sweep was lost.
    const isUnheard = status === 'expired' && !acknowledged.ends.has(id) && lostSweeps > 0;
    if (isUnheard) acknowledged.ends.set(id, [end]);
    found.set(id, `${key} ${walletId} ${unitsOf(amount)} ${end}`);
  }
  const lines = Array.from(acknowledged.holds, ([id, { key, walletId, units }]): [string, string] => {
    return [id, `${key} ${walletId} ${units} ${acknowledged.ends.get(id)?.join(' and ') ?? ''}`];
  });
  compare(world, 'hold', new Map(lines), found);
}

const STAKES = `SELECT id, wallet_id AS "walletId", amount, annual_rate AS rate, status, rewards_earned AS earned,
  rewards_accrued AS accrued, extract(epoch FROM accrued_until - started_at)::text AS seconds FROM stakes`;

async function auditStakes(world: World, client: Client): Promise<void> {
  const { acknowledged } = world;
  const paid = new Map<string, bigint>();
  const withdrawn = new Set<string>();
  for (const { stakeId, line, units } of [...acknowledged.entries.values()].flat()) {
    if (stakeId === null) continue;
    if (line.startsWith('staking_reward ')) paid.set(stakeId, (paid.get(stakeId) ?? 0n) + units);
    if (line.startsWith('unstake ')) withdrawn.add(stakeId);
  }
  type Found = Record<'id' | 'walletId' | 'amount' | 'rate' | 'status' | 'earned' | 'accrued' | 'seconds', string>;
  const found = new Map<string, string>();
  for (const row of await rowsOf<Found>(client, STAKES)) {
    const { id, walletId, amount, rate, status, earned, accrued, seconds } = row;
    found.set(id, `${walletId} ${unitsOf(amount)} ${status} ${unitsOf(earned)}`);
    const due = stakingReward({ amount, annualRate: rate, seconds }).toFixed(8);
    if (due !== accrued) blame(world, `stake ${id} has accrued ${accrued} instead of ${due}`);
    const isInOrder = status === 'withdrawn' ? accrued === earned : unitsOf(accrued) >= unitsOf(earned);
    if (!isInOrder) blame(world, `${status} stake ${id} accrued ${accrued} and was paid ${earned}`);
  }
  const lines = Array.from(acknowledged.stakes, ([id, { walletId, units }]): [string, string] => {
    return [id, `${walletId} ${units} ${withdrawn.has(id) ? 'withdrawn' : 'active'} ${paid.get(id) ?? 0n}`];
  });
  compare(world, 'stake', new Map(lines), found);
}

async function auditRecords(world: World, client: Client): Promise<void> {
  const sql = `SELECT id, concat_ws(' ', wallet_id, proof_hash, status, (reward * 1e8)::bigint, coalesce(transaction_id, '-'))
    AS line FROM mining_records`;
  const rows = await rowsOf<{ id: string; line: string }>(client, sql);
  compare(world, 'mining record', world.acknowledged.records, new Map(rows.map(({ id, line }) => [id, line])));
}

/** Compares past balances of the store with the sums of the acknowledged entries. */
async function auditMoments(world: World, mint: Mint, random: Random): Promise<void> {
  const times = [...world.acknowledged.entries.values()].flatMap((entries) => entries[0]?.at ?? []);
  for (let n = 0; n < MOMENTS_ASKED; n += 1) {
    const [at, { id }] = [random.pick(times), random.pick(world.wallets)];
    const acknowledged = textOf(balancesOf(world.acknowledged, at).get(id) ?? 0n);
    const found = (await balanceAt(mint, { walletId: id, at: new Date(at) })).toFixed(8);
    if (acknowledged !== found)
      blame(world, `wallet ${id} had ${acknowledged} at ${at}, but balanceAt returns ${found}`);
  }
}
