import { chmod, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { withUrlParts } from '@azora/db-core';
import {
  appUrl,
  findServices,
  migrateTargetUp,
  provision,
  selectServices,
  startEmbedded,
  stopEmbedded,
  type Target,
  withClient,
} from '@azora/db-fleet';
import type { Query } from './database';
import { repositoryRoot, TEST_PREFIX } from './server';

/** A server of its own with the migrated database of one service, which the test may kill. Its fsync is on. */
export interface ChaosServer {
  /** The connection URL of the app role, which a store takes. */
  readonly url: string;
  /** Runs SQL as the administrator, in a session of its own. */
  readonly admin: Query;
  /** Kills the server and its sessions with SIGKILL, and starts it again. */
  readonly killAndRestart: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function openChaosServer(serviceName: string): Promise<ChaosServer> {
  const checkout = await mkdtemp(path.join(os.tmpdir(), 'azora-chaos-'));
  // When root runs the tests, the server runs under another account, which must be able to enter.
  await chmod(checkout, 0o755);
  const home = path.join(checkout, '.azora');
  const { url: maintenance } = await startEmbedded({ home });
  const [service] = selectServices(await findServices(repositoryRoot()), [serviceName]);
  if (service === undefined) throw new Error(`There is no service "${serviceName}"`);
  const database = `${TEST_PREFIX}${service.databaseSuffix}_chaos`;
  const admin = withUrlParts(maintenance, { database });
  const target: Target = { service, server: 'embedded', database, admin, maintenance, role: 'chaos_app' };
  const passwordOf = () => 'a password of a server that lives for a minute';
  await provision(target, passwordOf);
  await migrateTargetUp(target, { runnerTimeoutMs: 60_000 });
  return {
    url: appUrl(target, passwordOf).href,
    admin: (sql, parameters = []) =>
      withClient(admin, async (client) => (await client.query(sql, [...parameters])).rows),
    killAndRestart: () => killAndRestart(home),
    close: async () => {
      await stopEmbedded({ home });
      await rm(checkout, { recursive: true, force: true });
    },
  };
}

/** Kills the postmaster first, so that it cannot clean up after the others. */
async function killAndRestart(home: string): Promise<void> {
  const { url, pid } = await startEmbedded({ home });
  const children = await withClient(url, async (client) => {
    const { rows } = await client.query<{ pid: number }>(
      'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()',
    );
    return rows.map((row) => row.pid);
  });
  process.kill(pid, 'SIGKILL');
  for (const child of children) {
    try {
      process.kill(child, 'SIGKILL');
    } catch {
      // The child has already ended because the postmaster is gone.
    }
  }
  const restarted = await startEmbedded({ home });
  if (restarted.pid === pid) throw new Error('the server was not killed');
}

/** A call, which may be made several times, and its name. */
export type ChaosCall = readonly [name: string, call: () => Promise<unknown>];

export interface ChaosRun {
  readonly clients: number;
  readonly kills: number;
  /** How many calls the clients make, at least, around each kill. */
  readonly calls: number;
  /** The next call of a client. */
  readonly next: (client: number) => ChaosCall;
  /** The codes with which a call may be refused, because clients share rows. */
  readonly refusals: RegExp;
  /** Runs after each kill, when the server is up and no call is running. */
  readonly check: () => Promise<void>;
}

export interface ChaosOutcome {
  /** How often the calls of each name were done. */
  readonly done: Readonly<Record<string, number>>;
  readonly refused: number;
  /** How many attempts lost the server. */
  readonly lost: number;
}

/** The errors of a server that was killed or is starting. */
const LOST = /^DATABASE\.(CONNECTION_LOST|NO_CONNECTION|TIMEOUT|ACCESS_DENIED|FAILED)$/;

/**
 * Makes calls in several clients at the same time, and kills the server in the middle of them. A call that loses the server is made
 * again when it is up, as by a client that does not know whether the call was committed. Throws the error of a call that is neither
 * refused nor loses the server.
 */
export async function callUnderKills(server: ChaosServer, run: ChaosRun): Promise<ChaosOutcome> {
  const done: Record<string, number> = {};
  const counts = { refused: 0, lost: 0 };
  for (let kill = 0; kill < run.kills; kill += 1) {
    await callAroundKill(server, run, (name, outcome) => {
      if (outcome === 'done') done[name] = (done[name] ?? 0) + 1;
      else counts[outcome] += 1;
    });
    await run.check();
  }
  return { done, ...counts };
}

type Outcome = 'done' | 'refused' | 'lost';

async function callAroundKill(
  server: ChaosServer,
  { clients, calls, next, refusals }: ChaosRun,
  count: (name: string, outcome: Outcome) => void,
): Promise<void> {
  let begun = 0;
  let isUpAgain = false;
  let restart: Promise<void> | undefined;
  const kill = async () => {
    await server.killAndRestart();
    isUpAgain = true;
  };
  const callUntilAnswered = async ([name, call]: ChaosCall) => {
    for (;;) {
      const outcome = await outcomeOf(call, refusals);
      count(name, outcome);
      if (outcome !== 'lost') return;
      await restart;
    }
  };
  const client = async (number: number) => {
    // Every client makes calls until the server was killed, so that no kill misses the calls.
    while (begun < calls || !isUpAgain) {
      begun += 1;
      if (begun >= calls / 2) restart ??= kill();
      await callUntilAnswered(next(number));
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
}

async function outcomeOf(call: () => Promise<unknown>, refusals: RegExp): Promise<Outcome> {
  try {
    await call();
    return 'done';
  } catch (error) {
    const { code } = Object(error) as { readonly code?: unknown };
    if (typeof code === 'string' && LOST.test(code)) return 'lost';
    if (typeof code === 'string' && refusals.test(code)) return 'refused';
    throw error;
  }
}
