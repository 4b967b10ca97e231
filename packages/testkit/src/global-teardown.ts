import { rm } from 'node:fs/promises';
import { stopEmbedded, withClient } from '@azora/db-fleet';
import { TEST_PREFIX, testServerUrl } from './server';

/** Stops the server that the set-up started, and deletes its data unless a failed test kept a database. */
async function stopTestServer(): Promise<void> {
  const home = process.env['AZORA_TEST_HOME'];
  if (home === undefined) return;
  const kept = await keptDatabases();
  await stopEmbedded({ home });
  if (kept.length === 0) await rm(home, { recursive: true, force: true });
  else process.stderr.write(`To inspect ${kept.join(', ')}: AZORA_HOME=${home} npx azora-db server start\n`);
}

async function keptDatabases(): Promise<readonly string[]> {
  const { rows } = await withClient(testServerUrl(), (client) =>
    client.query<{ datname: string }>('SELECT datname FROM pg_database WHERE datname LIKE $1 AND datname NOT LIKE $2', [
      `${TEST_PREFIX}%`,
      `${TEST_PREFIX}template%`,
    ]),
  );
  return rows.map(({ datname }) => datname);
}

module.exports = stopTestServer;
