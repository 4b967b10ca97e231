// Builds the toolkit and the studio's page, then runs `azora-db studio` with the given arguments.
const { bootstrap, runTool, start } = require('./bootstrap.js');

start(async () => {
  await bootstrap(
    ['typescript/bin/tsc', '-b', 'packages/fleet'],
    ['lerna/dist/cli.js', 'run', 'build', '--scope', '@azora/db-studio', '--loglevel', 'error'],
  );
  runTool('studio', ...process.argv.slice(2));
});
