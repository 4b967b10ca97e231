// `npm run db:studio`: builds the toolkit and the studio's page, then runs `azora-db studio`.
const { bootstrap, runTool, start } = require('./bootstrap.js');

start(async () => {
  await bootstrap({ builds: [['./scripts/build.js', '--emit-only', '--under-lock']] });
  runTool('studio', ...process.argv.slice(2));
});
