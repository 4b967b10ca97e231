// Shared by the benchmarks: timing of whole processes, several runs, medians; and what a row says.
const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');

/** Runs a program to its end and returns seconds; a failure ends the benchmark, for its time would mean nothing. */
function seconds(command, args, options = {}) {
  const started = process.hrtime.bigint();
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 30, ...options });
  if (status !== 0) throw new Error(`${command} ${args.slice(0, 4).join(' ')} failed: ${error?.message ?? stderr}`);
  return Number(process.hrtime.bigint() - started) / 1e9;
}

/** The median of `runs` calls; `reset` is called before each and not measured. */
function median(runs, work, reset = () => undefined) {
  const times = [];
  for (let run = 0; run < runs; run += 1) {
    reset();
    times.push(work());
  }
  times.sort((one, other) => one - other);
  return times[Math.floor(times.length / 2)];
}

/** The maximum resident size of a process in MiB, or undefined where GNU time is missing. */
function peakMemoryMib(command, args, options = {}) {
  const { status, stderr, error } = spawnSync('/usr/bin/time', ['-f', 'peak=%M', command, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    ...options,
  });
  if (error !== undefined || status !== 0) return undefined;
  const match = /peak=(\d+)\s*$/.exec(stderr);
  return match === null ? undefined : Math.round(Number(match[1]) / 1024);
}

/** A line of the table: seconds of ours and of the peer that is named, and their ratio. */
function row(what, ours, peer, name, budget) {
  return {
    what,
    ours: `${ours.toFixed(2)} s`,
    peer: `${peer.toFixed(2)} s (${name})`,
    ratio: (ours / peer).toFixed(2),
    budget,
  };
}

/** The name of a service's database, without the prefix. */
function databaseOf(root, service) {
  const { azora } = JSON.parse(readFileSync(path.join(root, 'services', service, 'package.json'), 'utf8'));
  return azora.database.replace('azora_', '');
}

function withDatabase(url, database) {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

module.exports = { databaseOf, median, peakMemoryMib, row, seconds, withDatabase };
