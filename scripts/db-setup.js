// Bootstraps the checkout, then runs `azora-db` with the given arguments.
const { bootstrap, runTool, start } = require('./bootstrap.js');

start(async () => {
  await bootstrap(['typescript/bin/tsc', '-b', 'packages/fleet']);
  runTool(...process.argv.slice(2));
});
