// `npm test`: bootstraps the checkout, builds what changed, then runs jest with the given arguments.
const path = require('node:path');
const { bootstrap, root, start } = require('./bootstrap.js');

start(async () => {
  await bootstrap({ builds: [['./scripts/build.js', '--under-lock']] });
  process.chdir(root);
  await require(path.join(root, 'node_modules', 'jest')).run(process.argv.slice(2));
});
