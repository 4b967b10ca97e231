// From a clean clone to running databases: bootstraps the checkout, then runs `azora-db` with the arguments given.
const { bootstrap, runTool, start } = require('./bootstrap.js');

start(async () => {
  await bootstrap(['typescript/bin/tsc', '-b', 'packages/fleet']);
  runTool(...process.argv.slice(2));
});
