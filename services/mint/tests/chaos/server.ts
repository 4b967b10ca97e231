import { chmod, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { DatabaseUrl } from '@azora/db-core';
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
import { repositoryRoot } from '@azora/db-testkit';

/** A server of the test's own, which it may kill, with the settings that the embedded server has: fsync is on. */
export interface ChaosServer {
  readonly home: string;
  /** Kills the postmaster and then its children by kill -9, starts it again, and tells how long that took. */
  readonly killAndRestart: () => Promise<number>;
  readonly close: () => Promise<void>;
}

/** A migrated mint database on that server. */
export interface Ledger {
  /** The app role's, as a store gets it. */
  readonly url: string;
  readonly admin: DatabaseUrl;
}

export async function openChaosServer(): Promise<ChaosServer> {
  const checkout = await mkdtemp(path.join(os.tmpdir(), 'azora-chaos-'));
  // The account that the server runs under when the tests are root's has to get through.
  await chmod(checkout, 0o755);
  const home = path.join(checkout, '.azora');
  await startEmbedded({ home });
  return {
    home,
    killAndRestart: () => killAndRestart(home),
    close: async () => {
      await stopEmbedded({ home });
      await rm(checkout, { recursive: true, force: true });
    },
  };
}

/** Makes a database as the toolkit makes one: its role, its rights and its migrations. */
export async function createLedger({ home }: ChaosServer, database: string): Promise<Ledger> {
  const { url: maintenance } = await startEmbedded({ home });
  const [service] = selectServices(await findServices(repositoryRoot()), ['mint']);
  if (service === undefined) throw new Error('no service mint');
  const admin = withUrlParts(maintenance, { database });
  const target: Target = { service, server: 'embedded', database, admin, maintenance, role: 'chaos_mint_app' };
  const passwordOf = () => 'a password of a server that lives for a minute';
  await provision(target, passwordOf);
  await migrateTargetUp(target, { runnerTimeoutMs: 60_000 });
  return { url: appUrl(target, passwordOf).href, admin };
}

/** The postmaster first, so that nobody cleans up after the others; their pids are its own word. */
async function killAndRestart(home: string): Promise<number> {
  const { url, pid } = await startEmbedded({ home });
  const children = await withClient(url, async (client) => {
    const { rows } = await client.query<{ pid: number }>(
      'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()',
    );
    return rows.map((row) => row.pid);
  });
  const killedAt = Date.now();
  process.kill(pid, 'SIGKILL');
  for (const child of children) {
    try {
      process.kill(child, 'SIGKILL');
    } catch {
      // It ended when it saw that the postmaster was gone.
    }
  }
  const restarted = await startEmbedded({ home });
  if (restarted.url.port !== url.port) throw new Error('the server came back on another port');
  if (restarted.pid === pid) throw new Error('the server was not killed');
  return Date.now() - killedAt;
}
