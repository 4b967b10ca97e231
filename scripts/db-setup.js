// Bootstraps the checkout, then runs `azora-db` with the given arguments.
const { bootstrap, root, runTool, start } = require('./bootstrap.js');
const { hasNewSources } = require('./toolkit-sources.js');
const { compileArguments } = require('./tsc.js');

const FIRST_START = `First start: installs the npm packages, compiles the suite, starts PostgreSQL, and creates and migrates the databases.
This takes 2 to 5 minutes. Later starts take seconds. You can interrupt it; the next start continues.`;

start(async () => {
  const [command] = process.argv.slice(2);
  await bootstrap({
    intro: command === 'setup' ? FIRST_START : undefined,
    // The compiler needs half a second to find that nothing changed.
    builds: hasNewSources(root) ? [compileArguments({ emitOnly: true, projects: ['packages/fleet'] })] : [],
  });
  runTool(...process.argv.slice(2));
});
