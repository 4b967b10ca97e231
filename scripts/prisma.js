// Runs Prisma's command line without its engine, from the folder of a service: `node ../../scripts/prisma.js validate`.
const { spawnSync } = require('node:child_process');

// Every Prisma command first downloads its schema engine, even when it does not need it. It skips the download when this
// variable names an existing file, which is never run. Prisma otherwise gets the whole environment, as if called directly.
const env = {
  PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
  PRISMA_HIDE_UPDATE_MESSAGE: '1',
  CHECKPOINT_DISABLE: '1',
  ...process.env,
};
const cli = require.resolve('prisma/build/index.js');
const { status } = spawnSync(process.execPath, [cli, ...process.argv.slice(2)], { stdio: 'inherit', env });
process.exitCode = status ?? 1;
