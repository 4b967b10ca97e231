// Timing shared by the benchmarks: whole processes, several runs, medians.
const { spawnSync } = require('node:child_process');

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

module.exports = { median, peakMemoryMib, seconds };
