// Compares the fleet commands with psql and with Prisma's command line.
const { readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { databaseOf, median, peakMemoryMib, row, seconds, withDatabase } = require('./measure.js');

exports.run = ({ root, home, url, runs, hasVector }) => {
  const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
  const services = readdirSync(path.join(root, 'services')).filter((name) => hasVector || name !== 'rag');
  const env = { ...process.env, DATABASE_URL: url, AZORA_HOME: home, AZORA_DB_PREFIX: 'bench_' };
  const azora = (...args) => [process.execPath, [bin, ...args, '--service', services.join(',')], { cwd: root, env }];
  const psql = (database, args) =>
    seconds('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', withDatabase(url, database), ...args]);
  const drop = (prefix) => {
    const sql = services.flatMap((name) => [
      '-c',
      `DROP DATABASE IF EXISTS ${prefix}${databaseOf(root, name)} WITH (FORCE)`,
    ]);
    const roles = services.flatMap((name) => ['-c', `DROP ROLE IF EXISTS ${prefix}${name}_app`]);
    psql('postgres', [...sql, ...roles]);
  };
  const rows = [];

  const ours = median(
    runs,
    () => seconds(...azora('setup', '--no-build')),
    () => drop('bench_'),
  );
  const peer = median(
    runs,
    () => services.reduce((sum, name) => sum + setUpByPsql(root, name, psql), 0),
    () => drop('peer_'),
  );
  rows.push(row(`set up ${services.length} databases`, ours, peer, 'psql, the same SQL one after the other', '≤ 1.0'));

  seconds(...azora('setup', '--no-build'));
  const idle = median(runs, () => seconds(...azora('migrate', 'up')));
  const prisma = path.join(root, 'node_modules', 'prisma', 'build', 'index.js');
  const official = median(runs, () =>
    seconds(process.execPath, [prisma, '--version'], { cwd: path.join(root, 'services', 'mint') }),
  );
  rows.push(row(`nothing to migrate, ${services.length} databases`, idle, official, 'prisma --version', '≤ 0.7'));

  const status = median(runs, () => seconds(...azora('status')));
  rows.push({
    what: `status of ${services.length} databases`,
    ours: `${status.toFixed(2)} s`,
    peer: '',
    ratio: '',
    budget: '≤ 1 s',
  });
  const help = median(runs, () => seconds(process.execPath, [bin, '--help']));
  const bare = median(runs, () => seconds(process.execPath, ['-e', '']));
  rows.push({
    what: 'azora-db --help',
    ours: `${(help * 1000).toFixed(0)} ms`,
    peer: `${(bare * 1000).toFixed(0)} ms (node -e '')`,
    ratio: (help / bare).toFixed(2),
    budget: '≤ 200 ms',
  });
  const memory = peakMemoryMib(...azora('status'));
  if (memory !== undefined)
    rows.push({ what: 'status, resident', ours: `${memory} MiB`, peer: '', ratio: '', budget: '≤ 400 MiB' });
  drop('bench_');
  drop('peer_');
  return rows;
};

/** Does by psql what setup does: role, database, rights, the migration. */
function setUpByPsql(root, name, psql) {
  const database = `peer_${databaseOf(root, name)}`;
  const [migration] = readdirSync(path.join(root, 'services', name, 'prisma', 'migrations'));
  const file = path.join(root, 'services', name, 'prisma', 'migrations', migration, 'migration.sql');
  readFileSync(file);
  return (
    psql('postgres', [
      '-c',
      `CREATE ROLE peer_${name}_app LOGIN PASSWORD 'x'`,
      '-c',
      `CREATE DATABASE ${database} TEMPLATE template0`,
    ]) +
    psql(database, ['-1', '-f', file]) +
    psql(database, [
      '-c',
      `REVOKE ALL ON DATABASE ${database} FROM PUBLIC; GRANT CONNECT ON DATABASE ${database} TO peer_${name}_app`,
      '-c',
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO peer_${name}_app`,
    ])
  );
}
