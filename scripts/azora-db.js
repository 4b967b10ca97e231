// `npm run db:…`: runs `azora-db` of this checkout with the given arguments. Says what to do if the suite is not set up, and
// when a pull changed the packages or the sources since.
const { readdirSync, statSync } = require('node:fs');
const path = require('node:path');
const { isCompiled, root, runTool, SetupError, start } = require('./bootstrap.js');
const { stateOfInstallation } = require('./installation.js');

/** The packages whose code a command runs. */
const TOOLKIT = ['core', 'migrate', 'fleet'];

/** When a file was modified; undefined if it is absent, or a link without a target, such as the lock file of Emacs. */
const modifiedAt = (...parts) => statSync(path.join(...parts), { throwIfNoEntry: false })?.mtimeMs;

/** Whether a source file of the toolkit is newer than its last compilation. */
function hasNewSources() {
  return TOOLKIT.some((name) => {
    const folder = path.join(root, 'packages', name);
    const compiledAt = modifiedAt(folder, 'dist', 'tsconfig.tsbuildinfo') ?? 0;
    const sources = readdirSync(path.join(folder, 'src'), { recursive: true }).filter((file) => file.endsWith('.ts'));
    return sources.some((file) => modifiedAt(folder, 'src', file) > compiledAt);
  });
}

start(async () => {
  const installation = stateOfInstallation(root);
  if (installation === 'absent' || !isCompiled()) {
    const missing = installation === 'absent' ? 'installed' : 'compiled';
    throw new SetupError(`the suite is not set up: its packages are not ${missing}`, 'run "npm start" first');
  }
  if (installation === 'changed') {
    process.stderr.write(
      'warning: package-lock.json changed after the installation; run "npm start" to install the packages\n',
    );
  } else if (hasNewSources()) {
    process.stderr.write('warning: the toolkit changed after its compilation; run "npm start" to compile it\n');
  }
  runTool(...process.argv.slice(2));
});
