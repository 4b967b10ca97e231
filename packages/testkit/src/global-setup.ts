import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { startEmbedded, withClient } from '@azora/db-fleet';

/** Starts a server for the run, unless TEST_DATABASE_URL names one. The workers inherit its URL. */
async function startTestServer(): Promise<void> {
  if (process.env['TEST_DATABASE_URL'] !== undefined) return;
  const home = await mkdtemp(path.join(os.tmpdir(), 'azora-test-'));
  const { url } = await startEmbedded({ home });
  process.env['TEST_DATABASE_URL'] = url.href;
  process.env['AZORA_TEST_HOME'] = home;
  // Test data need not survive a crash. Tests of durability start their own server.
  await withClient(url, async (client) => {
    await client.query('ALTER SYSTEM SET fsync = off');
    await client.query('SELECT pg_reload_conf()');
  });
}

module.exports = startTestServer;
