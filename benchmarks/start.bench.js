// The first start of a clean clone by phase, against "npm ci" alone in another clean clone, and the second start. Generating and
// compiling run beside the databases, so the phases add up to more than the whole.
const { execFileSync, spawnSync } = require('node:child_process');
const { chmodSync, mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { middle, seconds } = require('./measure.js');

/** The phases, and the lines of the start that end them. */
const PHASES = {
  install: ['installed the npm packages'],
  generate: ['generated the clients'],
  build: ['compiled', 'compiled the packages', 'bundled the studio'],
  databases: ['embedded server ready', 'set up the databases'],
  seed: ['seeded'],
};
const CI = ['ci', '--no-audit', '--no-fund', '--loglevel', 'error'];

exports.run = ({ root }) => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-start-'));
  // The account that runs the embedded server must be able to reach its data.
  chmodSync(directory, 0o755);
  const [alone, suite] = ['alone', 'suite'].map((name) => path.join(directory, name));
  const start = () => spawnSync('npm', ['start', '--silent'], { cwd: suite, encoding: 'utf8' });
  try {
    for (const clone of [alone, suite]) execFileSync('git', ['clone', '--quiet', root, clone]);
    // Fills npm's cache, so that neither side downloads.
    seconds('npm', CI, { cwd: alone });
    const peer = seconds('npm', CI, { cwd: alone });
    const begun = performance.now();
    const { status, stderr } = start();
    if (status !== 0) throw new Error(`npm start failed: ${stderr}`);
    const whole = (performance.now() - begun) / 1_000;
    const again = middle([1, 2, 3].map(() => seconds('npm', ['start', '--silent'], { cwd: suite })));
    return rowsOf({ peer, whole, again, phases: phasesOf(stderr) });
  } finally {
    spawnSync('npm', ['run', '--silent', 'db:server', '--', 'stop'], { cwd: suite });
    rmSync(directory, { recursive: true, force: true });
  }
};

/** The units in which a start writes durations, in seconds. */
const UNITS = { ms: 0.001, s: 1, min: 60 };

/** The seconds of each phase, from the lines that a start writes. */
function phasesOf(stderr) {
  const durations = [...stderr.matchAll(/^(.+) in ([\d.]+) (ms|s|min)$/gm)].map(([, what, value, unit]) => [
    what,
    Number(value) * UNITS[unit],
  ]);
  const sumOf = (lines) =>
    durations.filter(([what]) => lines.includes(what)).reduce((sum, [, duration]) => sum + duration, 0);
  return Object.fromEntries(Object.entries(PHASES).map(([phase, lines]) => [phase, sumOf(lines)]));
}

exports.phasesOf = phasesOf;

function rowsOf({ peer, whole, again, phases }) {
  const row = (what, ours, budget = '') => ({
    what,
    ours: `${ours.toFixed(1)} s`,
    peer: `${peer.toFixed(1)} s (npm ci alone)`,
    ratio: (ours / peer).toFixed(2),
    budget,
  });
  return [
    ...Object.entries(phases).map(([phase, duration]) => row(`first start: ${phase}`, duration)),
    row('first start: everything after the install', whole - phases.install, '≤ 0.6'),
    row('second start', again, '≤ 5 s'),
  ];
}
