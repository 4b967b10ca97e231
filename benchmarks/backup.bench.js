// Compares a backup and restore of the seeded fleet (BENCH_SCALE thousand users, 30 by default: about 1 GB) with pg_dump -Fd
// -j2 and pg_restore -j2 of every database, one after the other, on the same server. Needs client programs of its version.
const { spawnSync } = require('node:child_process');
const { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { hostOf, median, peakMemoryMib, row, seconds, takeTurns, withDatabase } = require('./measure.js');

const SCALE = Number(process.env.BENCH_SCALE ?? 30);
const RUNS = 3;
const PREFIX = 'benchb_';

exports.run = async ({ root, home, url, hasVector }) => {
  if (spawnSync('pg_dump', ['--schema-only', '--dbname', url]).status !== 0)
    return [{ what: 'backup', ours: '', peer: 'no pg_dump here can read this server', ratio: '', budget: '' }];
  const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
  const services = readdirSync(path.join(root, 'services')).filter((name) => hasVector || name !== 'rag');
  const place = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-sets-'));
  const env = { ...process.env, DATABASE_URL: url, AZORA_HOME: home, AZORA_DB_PREFIX: PREFIX, AZORA_BACKUP_DIR: place };
  const azora = (...args) => [process.execPath, [bin, ...args, '--service', services.join(',')], { cwd: root, env }];
  try {
    seconds(...azora('setup', '--no-build'));
    seconds(...azora('reset', '--confirm', hostOf(url)));
    seconds(...azora('seed'));
    seconds(...azora('seed', '--scale', String(SCALE)));
    const status = JSON.parse(spawnSync(...azora('status', '--json')).stdout);
    const databases = status.services.map(({ database }) => database);
    const megabytes = Math.round(status.services.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / 2 ** 20);
    return await measure({ azora, url, place, databases, megabytes });
  } finally {
    rmSync(place, { recursive: true });
  }
};

async function measure({ azora, url, place, databases, megabytes }) {
  const dumps = path.join(place, 'pg_dump');
  const each = (work) => databases.reduce((sum, database) => sum + work(database), 0);
  const side = (database) => `${database}_peer`;
  const sql = (...statements) =>
    seconds('psql', ['-X', '-q', '-d', url, ...statements.flatMap((statement) => ['-c', statement])]);
  const emptyDumps = () => {
    rmSync(dumps, { recursive: true, force: true });
    mkdirSync(dumps);
  };
  const dropSides = () => each((database) => sql(`DROP DATABASE IF EXISTS "${side(database)}"`));
  // The replaced databases, which our restore keeps and pg_restore does not have.
  const dropKept = () => {
    const query = `SELECT datname FROM pg_database WHERE datname LIKE '${PREFIX}%\\_\\_before\\_%'`;
    const { stdout } = spawnSync('psql', ['-X', '-At', '-d', url, '-c', query], { encoding: 'utf8' });
    for (const name of stdout.split('\n').filter(Boolean)) sql(`DROP DATABASE "${name}"`);
  };
  const beforeRestore = () => {
    dropKept();
    dropSides();
    each((database) => sql(`CREATE DATABASE "${side(database)}" TEMPLATE template0`));
  };

  const stored = await takeTurns(
    RUNS,
    {
      ours: () => seconds(...azora('backup', '--full')),
      peer: () =>
        each((database) =>
          seconds('pg_dump', ['-Fd', '-j2', '-f', path.join(dumps, database), withDatabase(url, database)]),
        ),
    },
    emptyDumps,
  );
  const again = median(RUNS, () => seconds(...azora('backup')));
  const restored = await takeTurns(
    RUNS,
    {
      ours: () => seconds(...azora('restore', 'latest', '--confirm', hostOf(url))),
      peer: () =>
        each((database) =>
          seconds('pg_restore', ['-j2', '-d', withDatabase(url, side(database)), path.join(dumps, database)]),
        ),
    },
    beforeRestore,
  );
  const [set, archive] = [newestSet(place), dumps].map(bytesIn);
  dropKept();
  dropSides();
  const verified = median(RUNS, () => seconds(...azora('backup', 'verify')));
  const memory = Math.max(
    peakMemoryMib(...azora('backup', '--full')) ?? 0,
    peakMemoryMib(...azora('restore', 'latest', '--confirm', hostOf(url), '--drop-old')) ?? 0,
  );
  const what = `${megabytes} MB in ${databases.length} databases`;
  return [
    row(`backup, ${what}`, stored.ours, stored.peer, 'pg_dump -Fd -j2, one after the other', '≤ 1.2'),
    {
      what: 'the set, gzip',
      ours: `${(set / 1e6).toFixed(1)} MB`,
      peer: `${(archive / 1e6).toFixed(1)} MB (the dumps, gzip)`,
      ratio: (set / archive).toFixed(2),
      budget: '',
    },
    row(`backup of unchanged tables, ${what}`, again, stored.ours, 'our backup --full', '≤ 0.2'),
    row(`restore, ${what}`, restored.ours, restored.peer, 'pg_restore -j2, one after the other', '≤ 1.2'),
    row(`backup verify, ${what}`, verified, restored.ours, 'our restore', '≤ 2'),
    { what: 'backup and restore, largest process', ours: `${memory} MiB`, peer: '', ratio: '', budget: '≤ 300 MiB' },
  ];
}

function newestSet(place) {
  const sets = readdirSync(place).filter((name) => /^\d{8}T/.test(name));
  return path.join(place, sets.sort().at(-1));
}

function bytesIn(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(path.join(parentPath, name)).size, 0);
}
