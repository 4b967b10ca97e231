// PostgreSQL's own load generator as a peer: one process with one thread, like ours, and prepared statements.
const { spawnSync } = require('node:child_process');
const { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { WARM_UP_SECONDS } = require('./measure.js');

/** Debian installs the programs of each version here; its /usr/bin/pgbench is a wrapper that needs a cluster. */
const DEBIAN = '/usr/lib/postgresql';

/** @throws {Error} if pgbench is not installed: a benchmark needs its peer. */
function findPgbench() {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((one, other) => Number(other) - Number(one)) : [];
  const installed = versions.map((version) => path.join(DEBIAN, version, 'bin', 'pgbench')).find(existsSync);
  const program = installed ?? 'pgbench';
  if (spawnSync(program, ['--version']).status === 0) return program;
  throw new Error('pgbench is not installed. On Debian 12, run "apt-get install postgresql-15".');
}

/**
 * Runs a script with the given number of clients. Returns the transactions per second after the same warm-up as ours, and the
 * total number of transactions. A client keeps its variables between transactions; `n`, its turn, starts at 0.
 */
function pgbench(url, { script, clients, seconds, warmUpSeconds = WARM_UP_SECONDS, variables = {} }) {
  const program = findPgbench();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-script-'));
  const file = path.join(folder, 'script.sql');
  writeFileSync(file, script);
  const given = Object.entries({ n: 0, ...variables }).flatMap(([name, value]) => ['-D', `${name}=${value}`]);
  const load = ['-M', 'prepared', '-n', '-c', String(clients), '-j', '1', '-T', String(warmUpSeconds + seconds)];
  const args = [...load, '-P', '1', '-f', file, ...given, url];
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  const seen = [...stderr.matchAll(/^progress: .*?, ([\d.]+) tps/gm)].map(([, tps]) => Number(tps));
  const measured = seen.slice(warmUpSeconds, warmUpSeconds + seconds);
  const done = Number(/^number of transactions actually processed: (\d+)/m.exec(stdout)?.[1]);
  if (status !== 0 || !(done > 0) || measured.length < seconds - 1) throw new Error(`pgbench failed: ${stderr}`);
  return { perSecond: measured.reduce((sum, tps) => sum + tps, 0) / measured.length, done };
}

module.exports = { findPgbench, pgbench };
