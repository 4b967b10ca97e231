// From a clean clone to running databases: bootstraps the checkout, then runs `azora-db` with the arguments given.
const path = require('node:path');
const { bootstrap, root, start } = require('./bootstrap.js');

start(async () => {
  await bootstrap('typescript/bin/tsc', '-b', 'packages/fleet');
  const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
  process.chdir(root);
  // In this process, so that Ctrl-C and the exit code are the command's own.
  process.argv = [process.execPath, bin, ...process.argv.slice(2)];
  require(bin);
});
