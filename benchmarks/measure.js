// Measurements for the benchmarks: the time of a process, the rate of concurrent clients, medians, and rows of the result table.
const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

/** The time for which a load generator runs before it is measured, so that it has connected and its code is compiled. */
const WARM_UP_SECONDS = 2;
/** Clock ticks of Linux in a second, in /proc/<pid>/stat. */
const TICKS = 100;

/** Runs a program and returns its time in seconds. A failing program ends the benchmark: its time means nothing. */
function seconds(command, args, options = {}) {
  const started = process.hrtime.bigint();
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 30, ...options });
  if (status !== 0) throw new Error(`${command} ${args.slice(0, 4).join(' ')} failed: ${error?.message ?? stderr}`);
  return Number(process.hrtime.bigint() - started) / 1e9;
}

/** The median of `runs` calls. `reset` runs before each call and is not measured. */
function median(runs, work, reset = () => undefined) {
  const times = [];
  for (let run = 0; run < runs; run += 1) {
    reset();
    times.push(work());
  }
  return middle(times);
}

function middle(values) {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
}

/**
 * The medians of several ways to do the same work. The ways take turns, so that other load on the machine affects all of them
 * equally. `before` runs before each measurement and is not measured.
 */
async function takeTurns(runs, ways, before = () => undefined) {
  const results = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
  for (let run = 0; run < runs; run += 1) {
    for (const [way, measure] of Object.entries(ways)) {
      await before();
      results[way].push(await measure());
    }
  }
  return Object.fromEntries(Object.entries(results).map(([way, values]) => [way, middle(values)]));
}

/** The calls of `work(client, turn)` per second by `clients` concurrent loops after the warm-up, and their total number. */
async function rateOf({ clients, seconds: measured, warmUpSeconds = WARM_UP_SECONDS }, work) {
  let done = 0;
  let stopped = false;
  const loops = Array.from({ length: clients }, async (_, client) => {
    for (let turn = 0; !stopped; turn += 1) {
      await work(client, turn);
      done += 1;
    }
  });
  const all = Promise.all(loops);
  try {
    await Promise.race([all, sleep(warmUpSeconds * 1_000)]);
    const [before, started] = [done, process.hrtime.bigint()];
    await Promise.race([all, sleep(measured * 1_000)]);
    const perSecond = ((done - before) * 1e9) / Number(process.hrtime.bigint() - started);
    stopped = true;
    await all;
    return { perSecond, done };
  } finally {
    // If one loop fails, the others must stop, or the process would never exit.
    stopped = true;
  }
}

/** Runs a program of this folder in a process of its own, like the peers, and returns the JSON that it prints. */
function runProgram(file, input) {
  const args = [path.join(__dirname, file), JSON.stringify(input)];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} failed: ${error?.message ?? stderr}`);
  return JSON.parse(stdout);
}

/** The peak resident size of a process in MiB, or undefined if GNU time is not installed. */
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

/** A row of the result table: our time, the named peer's time, and their ratio. Lower is better. */
function row(what, ours, peer, name, budget) {
  return {
    what,
    ours: `${ours.toFixed(2)} s`,
    peer: `${peer.toFixed(2)} s (${name})`,
    ratio: (ours / peer).toFixed(2),
    budget,
  };
}

/** A row of the result table: our rate, the named peer's rate, and their ratio. Higher is better. */
function rateRow(what, ours, peer, name, budget) {
  const rate = (value) => `${Math.round(value).toLocaleString('en')}/s`;
  return { what, ours: rate(ours), peer: `${rate(peer)} (${name})`, ratio: (ours / peer).toFixed(2), budget };
}

/** The user and system time of a process; its name in parentheses may contain spaces. */
function ticksOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** The name of a service's database without the prefix. */
function databaseOf(root, service) {
  const { azora } = JSON.parse(readFileSync(path.join(root, 'services', service, 'package.json'), 'utf8'));
  return azora.database.replace('azora_', '');
}

function withDatabase(url, database) {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

/** The host of a URL as `--confirm` expects it. */
function hostOf(url) {
  const { hostname, searchParams } = new URL(url);
  return searchParams.get('host') ?? hostname.replace(/^\[(.*)\]$/, '$1');
}

module.exports = {
  databaseOf,
  hostOf,
  median,
  middle,
  peakMemoryMib,
  rateOf,
  rateRow,
  row,
  runProgram,
  seconds,
  TICKS,
  takeTurns,
  ticksOf,
  WARM_UP_SECONDS,
  withDatabase,
};
