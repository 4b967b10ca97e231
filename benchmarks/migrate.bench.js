// The migration runner against psql, node-pg-migrate and the official command line, all with the same SQL.
const { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { databaseOf, median, row, seconds, withDatabase } = require('./measure.js');

const MIGRATIONS = 100;

exports.run = async ({ root, home, url, runs, hasVector }) => [
  ...(await hundredMigrations({ url, runs })),
  ...(await wholeFleet({ root, home, url, runs, hasVector })),
];

/**
 * A hundred migrations on one database: our runner as a process of its own, and inside a running process, as when a service
 * starts; psql as one process with a transaction for each file.
 */
async function hundredMigrations({ url, runs }) {
  const { withClient, createDatabase, dropDatabase, migrateUp, readMigrations } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-migrations-'));
  const script = path.join(folder, '..', `${path.basename(folder)}.sql`);
  const program = path.join(__dirname, 'migrate-one.js');
  const server = parseDatabaseUrl(url, 'BENCH_DATABASE_URL');
  const database = withDatabase(url, 'bench_hundred');
  writeMigrations(folder, script);
  const fresh = () =>
    withClient(server, async (client) => {
      await dropDatabase(client, 'bench_hundred');
      await createDatabase(client, 'bench_hundred');
    });
  const inside = async () => {
    const started = process.hrtime.bigint();
    await migrateUp(parseDatabaseUrl(database, 'bench'), await readMigrations(folder));
    return Number(process.hrtime.bigint() - started) / 1e9;
  };
  const ways = {
    process: () => seconds(process.execPath, [program, database, folder]),
    inside,
    psql: () => seconds('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', script]),
  };
  const times = { process: [], inside: [], psql: [] };
  for (let run = 0; run < runs; run += 1) {
    for (const [way, measure] of Object.entries(ways)) {
      await fresh();
      times[way].push(await measure());
    }
  }
  await withClient(server, (client) => dropDatabase(client, 'bench_hundred'));
  rmSync(folder, { recursive: true });
  rmSync(script);
  const peer = [middle(times.psql), 'psql, a transaction for each file'];
  return [
    row(`${MIGRATIONS} migrations on one database, a process`, middle(times.process), ...peer, '≤ 1.3'),
    row(`${MIGRATIONS} migrations on one database, migrateUp()`, middle(times.inside), ...peer, '≤ 1.3'),
  ];
}

function middle(times) {
  return times.sort((one, other) => one - other)[Math.floor(times.length / 2)];
}

function writeMigrations(folder, script) {
  let all = '';
  for (let number = 0; number < MIGRATIONS; number += 1) {
    const directory = path.join(folder, `${20260101000000 + number}_table`);
    const up = `CREATE TABLE t${number} (id bigint PRIMARY KEY, name text NOT NULL);\nCREATE INDEX ON t${number} (name);\n`;
    mkdirSync(directory);
    writeFileSync(path.join(directory, 'migration.sql'), up);
    writeFileSync(path.join(directory, 'down.sql'), `DROP TABLE t${number};\n`);
    all += `BEGIN;\n${up}COMMIT;\n`;
  }
  writeFileSync(script, all);
}

/** `migrate up` of all services on empty databases, compared with one process per service of each peer. */
async function wholeFleet({ root, home, url, runs, hasVector }) {
  const { withClient, createDatabase, dropDatabase } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const server = parseDatabaseUrl(url, 'BENCH_DATABASE_URL');
  const services = readdirSync(path.join(root, 'services')).filter((name) => hasVector || name !== 'rag');
  const env = { ...process.env, DATABASE_URL: url, AZORA_HOME: home, AZORA_DB_PREFIX: 'bench_' };
  const azora = (...args) => [
    process.execPath,
    [path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js'), ...args, '--service', services.join(',')],
    { cwd: root, env },
  ];
  const names = services.map((name) => `bench_${databaseOf(root, name)}`);
  const fresh = () =>
    withClient(server, async (client) => {
      for (const name of names) {
        await dropDatabase(client, name);
        await createDatabase(client, name);
      }
    });
  // The roles remain from here on, so each run only has to create the tables.
  seconds(...azora('setup', '--no-build'));
  const folders = services.map((name) => nodePgFolder(root, name));
  const cli = path.join(path.dirname(require.resolve('node-pg-migrate/package.json')), 'bin', 'node-pg-migrate.js');
  const nodePg = () =>
    names.reduce((sum, name, at) => {
      const args = [cli, 'up', '-m', folders[at], '--no-check-order', '--no-verbose'];
      return sum + seconds(process.execPath, args, { env: { ...process.env, DATABASE_URL: withDatabase(url, name) } });
    }, 0);
  const times = { ours: [], nodePg: [] };
  for (let run = 0; run < runs; run += 1) {
    await fresh();
    times.ours.push(seconds(...azora('migrate', 'up')));
    await fresh();
    times.nodePg.push(nodePg());
  }
  const prisma = median(runs, () =>
    seconds(process.execPath, [path.join(root, 'node_modules', 'prisma', 'build', 'index.js'), '--version'], {
      cwd: path.join(root, 'services', 'mint'),
    }),
  );
  await withClient(server, async (client) => {
    for (const name of names) await dropDatabase(client, name);
    for (const name of services) await client.query(`DROP ROLE IF EXISTS bench_${name}_app`);
  });
  for (const folder of folders) rmSync(folder, { recursive: true });
  const ours = middle(times.ours);
  const what = `migrate up, ${services.length} databases`;
  return [
    row(what, ours, middle(times.nodePg), `node-pg-migrate, ${services.length} times`, '≤ 0.2'),
    row(
      what,
      ours,
      prisma * services.length,
      `prisma --version, ${services.length} times: less than its migrate deploy`,
      '≤ 0.2',
    ),
  ];
}

/** The service's migrations in the format of node-pg-migrate: one file each, with the down SQL below a marker. */
function nodePgFolder(root, name) {
  const migrations = path.join(root, 'services', name, 'prisma', 'migrations');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-node-pg-'));
  for (const migration of readdirSync(migrations).filter((entry) => /^\d/.test(entry))) {
    const read = (file) => readFileSync(path.join(migrations, migration, file), 'utf8');
    const text = `-- Up Migration\n${read('migration.sql')}\n-- Down Migration\n${read('down.sql')}\n`;
    writeFileSync(path.join(folder, `${migration.replace('_', '000_')}.sql`), text);
  }
  return folder;
}
