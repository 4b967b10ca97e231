// `npm run db:…`: runs `azora-db` of this checkout with the given arguments. Says what to do if the suite is not set up, and
// when a pull changed the packages or the sources since.
const { isCompiled, root, runTool, SetupError, start } = require('./bootstrap.js');
const { stateOfInstallation } = require('./installation.js');
const { hasNewSources } = require('./toolkit-sources.js');

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
  } else if (hasNewSources(root)) {
    process.stderr.write('warning: the toolkit changed after its compilation; run "npm start" to compile it\n');
  }
  runTool(...process.argv.slice(2));
});
