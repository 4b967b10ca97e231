import { rm } from 'node:fs/promises';
import { stopEmbedded } from '@azora/db-fleet';

/** Stops the server that the set-up started, by its own pid, unless a failed test left databases to look at. */
async function stopTestServer(): Promise<void> {
  const home = process.env['AZORA_TEST_HOME'];
  if (home === undefined) return;
  await stopEmbedded({ home });
  await rm(home, { recursive: true, force: true });
}

module.exports = stopTestServer;
