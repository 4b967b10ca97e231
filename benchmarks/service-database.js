// A migrated, empty database of one service on the benchmark's server, dropped after the measurements.
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { databaseOf } = require('./measure.js');

const PREFIX = 'bench_';

/** Yields the rows of `measure`, which gets the URLs of the app role and the administrator. */
async function* withServiceDatabase({ root, home, url }, service, measure) {
  const { createDatabase, dropDatabase, withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const server = parseDatabaseUrl(url, 'BENCH_DATABASE_URL');
  const database = `${PREFIX}${databaseOf(root, service)}`;
  const azora = (...args) => {
    const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
    const own = { DATABASE_URL: url, AZORA_HOME: home, AZORA_DB_PREFIX: PREFIX };
    // An empty variable also overrides a value in .env.
    const env = { ...process.env, ...own, [`${service.toUpperCase()}_DATABASE_URL`]: '' };
    return execFileSync(process.execPath, [bin, ...args], { cwd: root, env, encoding: 'utf8', stdio: 'pipe' }).trim();
  };
  await withClient(server, async (client) => {
    await dropDatabase(client, database);
    await createDatabase(client, database);
  });
  try {
    azora('setup', '--no-build', '--service', service);
    yield* await measure({ app: azora('url', service), admin: azora('url', service, '--admin') });
  } finally {
    await withClient(server, async (client) => {
      await dropDatabase(client, database);
      await client.query(`DROP ROLE IF EXISTS ${PREFIX}${service}_app`);
    });
  }
}

module.exports = { withServiceDatabase };
