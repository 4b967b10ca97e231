import { chmod, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, withUrlParts } from '@azora/db-core';
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

const DATABASE = 'azt_notifications_chaos';

/** A server with one migrated database, which the test may kill. Its fsync is on. */
export interface ChaosServer {
  /** The URL of the app role. */
  readonly url: string;
  readonly admin: DatabaseUrl;
  /** Kills the postmaster and its children with SIGKILL and starts the server again. */
  readonly killAndRestart: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function openChaosServer(): Promise<ChaosServer> {
  const checkout = await mkdtemp(path.join(os.tmpdir(), 'azora-chaos-'));
  // When root runs the tests, the server runs under another account, which must be able to enter.
  await chmod(checkout, 0o755);
  const home = path.join(checkout, '.azora');
  const { url: maintenance } = await startEmbedded({ home });
  const [service] = selectServices(await findServices(repositoryRoot()), ['notification']);
  if (service === undefined) throw new Error('no service notification');
  const admin = withUrlParts(maintenance, { database: DATABASE });
  const target: Target = { service, server: 'embedded', database: DATABASE, admin, maintenance, role: 'chaos_app' };
  const passwordOf = () => 'a password of a server that lives for a minute';
  await provision(target, passwordOf);
  await migrateTargetUp(target, { runnerTimeoutMs: 60_000 });
  return {
    url: appUrl(target, passwordOf).href,
    admin,
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
