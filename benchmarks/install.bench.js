// The cost of a store in a project of its own: what "npm install --omit=dev" brings for a store that migrates itself on start,
// against the same store with the toolkit, and what loading it takes, against loading only the npm packages it needs.
const { execFileSync } = require('node:child_process');
const { mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { takeTurns } = require('./measure.js');
const { installTarballs, measureInstallation, packPackages } = require('./packed.js');

const STORE = ['@azora/db-core', '@azora/db-migrate', '@azora/mint'];
const TOOLKIT = ['@azora/db-fleet', '@azora/db-studio'];
const LOADED = {
  ours: "require('@azora/mint')",
  // Prisma's client without an engine, its driver, and the validator.
  peer: "require('@prisma/client/runtime/client'); require('@prisma/adapter-pg'); require('zod')",
};

exports.run = async ({ runs }) => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-install-'));
  try {
    const tarballs = packPackages([...STORE, ...TOOLKIT], path.join(directory, 'tarballs'));
    const [store, withToolkit] = ['store', 'toolkit'].map((name) => path.join(directory, name));
    installTarballs(store, Object.fromEntries(STORE.map((name) => [name, tarballs[name]])));
    installTarballs(withToolkit, tarballs);
    return [...sizes(measureInstallation(store), measureInstallation(withToolkit)), ...(await loading(store, runs))];
  } finally {
    rmSync(directory, { recursive: true });
  }
};

function sizes(ours, peer) {
  const what = 'npm install --omit=dev: mint with migrations on start';
  const row = (measured, one, other, text, budget) => {
    const peerText = `${text(other)} (with the toolkit)`;
    return { what: `${what}, ${measured}`, ours: text(one), peer: peerText, ratio: (one / other).toFixed(2), budget };
  };
  return [
    row('size on disk', ours.bytes, peer.bytes, (bytes) => `${(bytes / 1e6).toFixed(0)} MB`, '≤ 0.5'),
    row('packages', ours.packages, peer.packages, String, '≤ 0.5'),
  ];
}

/** Milliseconds and added resident memory of loading, each in a fresh process. */
async function loading(project, runs) {
  const peer = '(the npm packages it needs)';
  const time = await takeTurns(runs, {
    ours: () => load(project, LOADED.ours).milliseconds,
    peer: () => load(project, LOADED.peer).milliseconds,
  });
  const memory = await takeTurns(runs, {
    ours: () => load(project, LOADED.ours).mebibytes,
    peer: () => load(project, LOADED.peer).mebibytes,
  });
  const row = (what, medians, unit) => ({
    what: `require('@azora/mint'), ${what}`,
    ours: `${medians.ours.toFixed(0)} ${unit}`,
    peer: `${medians.peer.toFixed(0)} ${unit} ${peer}`,
    ratio: (medians.ours / medians.peer).toFixed(2),
    budget: '≤ 1.5',
  });
  return [row('time', time, 'ms'), row('added resident memory', memory, 'MiB')];
}

function load(project, code) {
  const script = `
    const [before, started] = [process.memoryUsage.rss(), performance.now()];
    ${code};
    const milliseconds = performance.now() - started;
    console.log(JSON.stringify({ milliseconds, mebibytes: (process.memoryUsage.rss() - before) / 1024 ** 2 }));
  `;
  return JSON.parse(execFileSync(process.execPath, ['-e', script], { cwd: project, encoding: 'utf8' }));
}
