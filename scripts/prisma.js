// Runs Prisma's own command line without its engine: `node ../../scripts/prisma.js validate`, from a service's folder.
const { spawnSync } = require('node:child_process');

// Every Prisma command tries to download its schema engine first, even those that need none. Naming a file that exists
// as that engine stops it; nothing here ever runs it.
const env = {
  PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
  PRISMA_HIDE_UPDATE_MESSAGE: '1',
  CHECKPOINT_DISABLE: '1',
  ...process.env,
};
const cli = require.resolve('prisma/build/index.js');
const { status } = spawnSync(process.execPath, [cli, ...process.argv.slice(2)], { stdio: 'inherit', env });
process.exitCode = status ?? 1;
