// Shared by the benchmarks: timing of whole processes, rates of clients, several runs, medians; and what a row says.
const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

/** What a load generator runs before it is measured: its connections are made and its code is compiled by then. */
const WARM_UP_SECONDS = 2;

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
  return middle(times);
}

function middle(values) {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
}

/**
 * The medians of several ways of the same thing, which take turns, so that whatever else the machine does meets all of
 * them alike; `before` is called before each run and not measured.
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

/** How often a second `clients` loops get through `work(client, turn)`, after the warm-up; and how often at all. */
async function rateOf({ clients, seconds: measured }, work) {
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
    await Promise.race([all, sleep(WARM_UP_SECONDS * 1_000)]);
    const [before, started] = [done, process.hrtime.bigint()];
    await Promise.race([all, sleep(measured * 1_000)]);
    const perSecond = ((done - before) * 1e9) / Number(process.hrtime.bigint() - started);
    stopped = true;
    await all;
    return { perSecond, done };
  } finally {
    // When one fails the others must end too, or the process would not.
    stopped = true;
  }
}

/** Runs one of the programs here as a process of its own, as the peers are, and returns what it prints. */
function runProgram(file, input) {
  const args = [path.join(__dirname, file), JSON.stringify(input)];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} failed: ${error?.message ?? stderr}`);
  return JSON.parse(stdout);
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

/** A line of the table about rates: more is better, and the ratio says how many times the peer's rate ours is. */
function rateRow(what, ours, peer, name, budget) {
  const rate = (value) => `${Math.round(value).toLocaleString('en')}/s`;
  return { what, ours: rate(ours), peer: `${rate(peer)} (${name})`, ratio: (ours / peer).toFixed(2), budget };
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

module.exports = {
  databaseOf,
  median,
  middle,
  peakMemoryMib,
  rateOf,
  rateRow,
  row,
  runProgram,
  seconds,
  takeTurns,
  WARM_UP_SECONDS,
  withDatabase,
};
