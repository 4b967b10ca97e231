// Installs the packages and compiles the toolkit, so that a clean clone can run its own code. Plain Node without
// dependencies, because nothing is installed yet.
const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { bootstrapEnvironment } = require('./environment.js');
const { withLock } = require('./lock.js');

const root = path.resolve(__dirname, '..');
const MINIMUM_NODE = [20, 19];

/** A failure with its solution, printed as two lines without a stack. */
class SetupError extends Error {
  constructor(message, fix) {
    super(message);
    this.fix = fix;
  }
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) return;
  throw new SetupError(`Node ${process.versions.node} is too old`, `install Node ${MINIMUM_NODE.join('.')} or newer`);
}

/** Runs a program in the checkout. When it fails, its output goes to stderr, away from the output of the command. */
async function run(command, args, { about, owns }) {
  // On Windows npm is a batch file, which only a shell can start. None of these arguments comes from the user.
  const shell = process.platform === 'win32' && command === 'npm';
  const env = bootstrapEnvironment(process.env);
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], shell, env });
  owns(child.pid);
  const printed = [];
  child.stdout.on('data', (chunk) => printed.push(chunk));
  child.stderr.on('data', (chunk) => printed.push(chunk));
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (status === 0) return;
  process.stderr.write(Buffer.concat(printed));
  throw new SetupError(
    `${about} failed`,
    'read its output above and correct the problem; the next run continues from there',
  );
}

/** Installs when package-lock.json differs from the one whose hash is in node_modules. */
async function install(owns) {
  const stamp = path.join(root, 'node_modules', '.azora-installed');
  const hash = createHash('sha256')
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  process.stderr.write('installing the packages\n');
  await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel', 'error'], { about: 'npm ci', owns });
  writeFileSync(stamp, hash);
}

/**
 * Installs the packages if package-lock.json changed, and runs the builds, each a script of a package with its arguments.
 * One process per checkout does this at a time.
 */
async function bootstrap(...builds) {
  checkNode();
  try {
    await withLock(path.join(root, '.azora', 'setup.lock'), async (owns) => {
      await install(owns);
      process.stderr.write('building\n');
      for (const [script, ...args] of builds) {
        const program = require.resolve(script, { paths: [root] });
        await run(process.execPath, [program, ...args], { about: 'the build', owns });
      }
    });
  } catch (error) {
    if (!['EACCES', 'EROFS', 'EPERM', 'ENOSPC'].includes(error.code)) throw error;
    throw new SetupError(
      `the checkout cannot be written (${error.message})`,
      'run the command as the owner of the checkout, on a disk with free space',
    );
  }
}

/** Runs `main` and prints its failure as a problem and a solution. */
function start(main) {
  main().catch((error) => {
    process.stderr.write(`error: ${error.message}\n${error.fix === undefined ? '' : `fix:   ${error.fix}\n`}`);
    process.exitCode = error instanceof SetupError ? 2 : 1;
  });
}

/** Runs `azora-db` in this process, so that Ctrl-C and the exit code are those of the command. */
function runTool(...args) {
  const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
  process.chdir(root);
  process.argv = [process.execPath, bin, ...args];
  require(bin);
}

module.exports = { bootstrap, root, runTool, start };
