import { setTimeout as sleep } from 'node:timers/promises';
import { withClient } from '@azora/db-fleet';
import type { Client } from 'pg';
import type { Mint } from '../../src';
import type { Random } from './random';
import type { ChaosServer, Ledger } from './server';
import { count, isOver, type World } from './world';

const EVERY_MS = 100;

/** The connections of a store, whose sockets can be cut as a network does it: the server does not notice in time. */
export function watchSockets(mint: Mint): Set<Client> {
  const clients = new Set<Client>();
  mint.pool.on('connect', (client) => clients.add(client as Client));
  mint.pool.on('remove', (client) => clients.delete(client as Client));
  return clients;
}

/** Drops a connection about every 100 ms: by cutting its socket, or by terminating its backend. */
export async function dropConnections(
  world: World,
  { admin }: Ledger,
  clients: readonly Set<Client>[],
  random: Random,
): Promise<void> {
  while (!isOver(world)) {
    await sleep(EVERY_MS / 2 + random.int(EVERY_MS));
    const open = clients.flatMap((ofStore) => [...ofStore]);
    if (random.chance(0.5) && open.length > 0) {
      random.pick(open).connection.stream.destroy();
      count(world.events, 'cut');
    } else {
      await terminateOne(world, admin, random).catch(() => undefined);
    }
  }
}

async function terminateOne(world: World, admin: Ledger['admin'], random: Random): Promise<void> {
  await withClient(admin, async (client) => {
    const others = `SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY pid`;
    const { rows } = await client.query<{ pid: number }>(others);
    if (rows.length === 0) return;
    const { pid } = random.pick(rows);
    await client.query('SELECT pg_terminate_backend($1)', [pid]);
    count(world.events, 'terminated');
  });
}

/** Kills the server when the number of begun operations reaches each of the moments. */
export async function killAt(world: World, server: ChaosServer, moments: readonly number[]): Promise<void> {
  for (const moment of moments) {
    while (world.begun < moment && !isOver(world)) await sleep(5);
    if (isOver(world)) return;
    const took = await server.killAndRestart();
    count(world.events, 'killed');
    count(world.events, 'ms without a server', took);
  }
}
