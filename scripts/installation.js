// Whether node_modules contains the packages of package-lock.json. npm writes node_modules/.package-lock.json at the end of
// an installation, also of one that a person started, so the file is the record of a complete one. Plain Node without dependencies.
const { existsSync, readFileSync, statSync } = require('node:fs');
const path = require('node:path');

const lockOf = (root) => path.join(root, 'package-lock.json');
const recordOf = (root) => path.join(root, 'node_modules', '.package-lock.json');

/** The packages of a lockfile by their folders; undefined if the file is absent or incomplete. */
function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

const allows = (list, value) =>
  list === undefined || list.includes(value) || (list.some((it) => it.startsWith('!')) && !list.includes(`!${value}`));

/** npm leaves out an optional package that does not fit the platform, and may leave out any other one. */
function isRequired({ optional, os, cpu, libc }) {
  if (optional !== true) return true;
  const namesPlatform = os !== undefined || cpu !== undefined;
  return namesPlatform && libc === undefined && allows(os, process.platform) && allows(cpu, process.arch);
}

const isSame = (one, other) =>
  other !== undefined &&
  one.version === other.version &&
  one.integrity === other.integrity &&
  one.link === other.link &&
  (one.link !== true || one.resolved === other.resolved);

/** The folders that npm must have made, relative to the checkout; the folders of its own packages are there from the start. */
function requiredFolders(root) {
  const packages = readPackages(lockOf(root)) ?? {};
  return Object.keys(packages).filter((folder) => /(^|\/)node_modules\//.test(folder) && isRequired(packages[folder]));
}

/** How many of these folders contain a package. */
function countPackages(root, folders) {
  return folders.filter((folder) => existsSync(path.join(root, folder, 'package.json'))).length;
}

/** Whether every package that this platform needs is installed in the version of package-lock.json. */
function isInstalled(root) {
  const [wanted, installed] = [readPackages(lockOf(root)), readPackages(recordOf(root))];
  if (wanted === undefined || installed === undefined) return false;
  const folders = requiredFolders(root);
  return (
    folders.every((folder) => isSame(wanted[folder], installed[folder])) &&
    countPackages(root, folders) === folders.length
  );
}

/**
 * The state of the installation for a command that must start fast: `absent`, `changed` if package-lock.json changed since,
 * or `complete`. It compares the packages only if package-lock.json is newer than the installation.
 */
function stateOfInstallation(root) {
  const [lock, record] = [lockOf(root), recordOf(root)].map((file) => statSync(file, { throwIfNoEntry: false }));
  if (record === undefined) return 'absent';
  const isNewer = lock?.mtimeMs > record.mtimeMs;
  return isNewer && !isInstalled(root) ? 'changed' : 'complete';
}

module.exports = { countPackages, isInstalled, requiredFolders, stateOfInstallation };
