// `npm run demo`: starts the suite like `npm start`, without the seed, then makes the journey of packages/flows through all services.
const { spawn } = require('node:child_process');
const path = require('node:path');
const { bootstrap, root, SetupError, start, toolkit } = require('./bootstrap.js');
const { hasNewSources } = require('./toolkit-sources.js');
const { compileArguments } = require('./tsc.js');

const JOURNEY = path.join(root, 'packages', 'flows', 'dist', 'journey', 'demo.js');
const SERVICES = ['auth', 'education', 'family', 'forge', 'health', 'mint', 'nexus', 'notification', 'sapiens'];

/** Runs a program of the checkout and returns its exit code and what it printed, if stdout is a pipe. Ctrl-C reaches it by itself. */
function run(args, { stdout, env = process.env }) {
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['inherit', stdout, 'inherit'] });
  let printed = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    printed += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status: status ?? (signal === 'SIGINT' ? 130 : 1), printed }));
  });
}

async function urlOf(service) {
  const { status, printed } = await run([toolkit, 'url', service], { stdout: 'pipe' });
  if (status !== 0)
    throw new SetupError(`the database of ${service} has no URL`, 'read the error above and correct it');
  return [`${service.toUpperCase()}_DATABASE_URL`, printed.trim()];
}

start(async () => {
  await bootstrap({
    intro: undefined,
    builds: hasNewSources(root) ? [compileArguments({ emitOnly: true, projects: ['packages/fleet'] })] : [],
  });
  // The program that runs gets the signal too, and decides how this one ends.
  process.on('SIGINT', () => undefined);
  // stdout is for the report.
  const setup = await run([toolkit, 'setup'], { stdout: 2 });
  if (setup.status !== 0) {
    process.exitCode = setup.status;
    return;
  }
  const urls = Object.fromEntries(await Promise.all(SERVICES.map(urlOf)));
  const journey = await run([JOURNEY, ...process.argv.slice(2)], {
    stdout: 'inherit',
    env: { ...process.env, ...urls },
  });
  process.exitCode = journey.status;
});
