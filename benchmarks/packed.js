// The packages of the checkout as npm would publish them, installed into an empty project. Used by install.bench.js and by
// tests/packed.long.test.ts.
const { execFileSync } = require('node:child_process');
const { mkdirSync, readdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

/** The folders of the workspace packages, by package name. */
function workspaceFolders() {
  const folders = ['packages', 'services'].flatMap((parent) =>
    readdirSync(path.join(root, parent)).map((name) => path.join(root, parent, name)),
  );
  const nameOf = (folder) => JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).name;
  return new Map(folders.map((folder) => [nameOf(folder), folder]));
}

/** Packs workspace packages, which must be built, into a directory; returns the tarballs by package name. */
function packPackages(names, directory) {
  const folders = workspaceFolders();
  mkdirSync(directory, { recursive: true });
  const pack = (name) => {
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', directory];
    const [{ filename }] = JSON.parse(npm(args, folders.get(name)));
    return path.join(directory, filename);
  };
  return Object.fromEntries(names.map((name) => [name, pack(name)]));
}

/**
 * Makes a project that depends on tarballs and installs it without development dependencies. The tarballs must include every
 * workspace package that one of them depends on: no registry has those.
 */
function installTarballs(directory, tarballs) {
  mkdirSync(directory, { recursive: true });
  const dependencies = Object.fromEntries(Object.entries(tarballs).map(([name, file]) => [name, `file:${file}`]));
  const overrides = Object.fromEntries(Object.keys(tarballs).map((name) => [name, `$${name}`]));
  const manifest = { name: 'installed', private: true, dependencies, overrides };
  writeFileSync(path.join(directory, 'package.json'), JSON.stringify(manifest, null, 2));
  npm(['install', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'], directory);
}

/** The packages below a node_modules folder and the bytes of their files. */
function measureInstallation(directory) {
  const lock = JSON.parse(readFileSync(path.join(directory, 'node_modules', '.package-lock.json'), 'utf8'));
  const [kib] = execFileSync('du', ['-sk', path.join(directory, 'node_modules')], { encoding: 'utf8' }).split('\t');
  return { packages: Object.keys(lock.packages).length, bytes: Number(kib) * 1024 };
}

function npm(args, cwd) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
}

module.exports = { installTarballs, measureInstallation, packPackages };
