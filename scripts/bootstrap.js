// Installs the packages and compiles the toolkit, so that a clean clone can run its own code. Plain Node without
// dependencies, because nothing is installed yet.
const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');
const { bootstrapEnvironment } = require('./environment.js');
const { countPackages, isInstalled, requiredFolders } = require('./installation.js');
const { EXIT_INTERRUPTED, Interrupted, listen } = require('./interrupt.js');
const { withLock } = require('./lock.js');
const { projectOf } = require('./tsc.js');
const { runPhase } = require('./phases.js');
const { typedCommand } = require('./typed-command.js');

const root = path.resolve(__dirname, '..');
const toolkit = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
const MINIMUM_NODE = [20, 19];

/** A failure with its solution, printed as two lines without a stack, after the output of the program that failed. */
class SetupError extends Error {
  constructor(message, fix, output = '') {
    super(message);
    this.fix = fix;
    this.output = output;
  }
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) return;
  throw new SetupError(`Node ${process.versions.node} is too old`, `install Node ${MINIMUM_NODE.join('.')} or newer`);
}

/** Signals of this run. Child processes get them from here only, each in a process group of its own. */
const interrupt = listen(() => killRunning('SIGKILL'));
let killRunning = () => undefined;

/**
 * Runs a program in the checkout and passes the lines of its output on. A failure contains the output. An interrupt ends the
 * program with its children.
 */
async function run(command, args, { about, owns, onLine = () => undefined }) {
  interrupt.signal.throwIfAborted();
  const isWindows = process.platform === 'win32';
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    // On Windows npm is a batch file, which only a shell can start. None of these arguments comes from the user.
    shell: isWindows && command === 'npm',
    env: bootstrapEnvironment(process.env),
    detached: !isWindows,
  });
  // Without a pid the program did not start, and the event `error` says why.
  if (child.pid !== undefined) owns(child.pid);
  killRunning = (signal) => {
    try {
      if (isWindows) child.kill(signal);
      else process.kill(-child.pid, signal);
    } catch {
      // It has ended already.
    }
  };
  const stop = () => killRunning('SIGTERM');
  interrupt.signal.addEventListener('abort', stop, { once: true });
  const printed = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      printed.push(text);
      for (const line of text.split('\n')) if (line.trim() !== '') onLine(line);
    });
  }
  try {
    const status = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    interrupt.signal.throwIfAborted();
    if (status === 0) return;
  } finally {
    interrupt.signal.removeEventListener('abort', stop);
    killRunning = () => undefined;
  }
  throw new SetupError(
    `${about} failed`,
    `read its output above and correct the problem; "${typedCommand(process)}" then continues from there`,
    printed.join(''),
  );
}

/** Installs the packages unless node_modules has all of them, whether a start or a person installed them. */
async function install(owns) {
  if (isInstalled(root)) return;
  await runPhase({ doing: 'installing the npm packages', done: 'installed the npm packages' }, async (detail) => {
    const folders = requiredFolders(root);
    detail(() => `${countPackages(root, folders)} of ${folders.length}`);
    const args = ['ci', '--no-audit', '--no-fund', '--loglevel', 'error'];
    await run('npm', args, { about: 'npm ci', owns });
  });
}

/**
 * Installs the packages if they are not complete, and runs the builds: each is a script of the checkout or of a package with
 * its arguments. Prints `intro` if the toolkit was never compiled here. One process per checkout does this at a time.
 */
async function bootstrap({ intro, builds }) {
  checkNode();
  const { signal } = interrupt;
  if (intro !== undefined && !isCompiled()) process.stderr.write(`${intro}\n`);
  let left = 'Nothing was changed';
  try {
    await withLock(root, signal, async (owns) => {
      left = 'The npm packages are not completely installed';
      await install(owns);
      left = 'The npm packages are installed; the suite is not completely compiled';
      await runPhase({ doing: 'compiling', done: 'compiled' }, async (detail) => {
        const onLine = (line) => detail(projectOf(root, line) ?? line);
        for (const [script, ...args] of builds) {
          const program = require.resolve(script, { paths: [root] });
          await run(process.execPath, [program, ...args], { about: 'the compilation', owns, onLine });
        }
      });
    });
  } catch (error) {
    if (error instanceof Interrupted) error.message = `Interrupted. ${left}`;
    if (!['EACCES', 'EROFS', 'EPERM', 'ENOSPC'].includes(error.code)) throw error;
    throw new SetupError(
      `the checkout cannot be written (${error.message})`,
      'run the command as the owner of the checkout, on a disk with free space',
    );
  }
  // From here on, signals belong to the command.
  interrupt.release();
}

/** Whether the toolkit was compiled completely at some time: tsc writes this file last. */
function isCompiled() {
  return existsSync(path.join(root, 'packages', 'fleet', 'dist', 'tsconfig.tsbuildinfo'));
}

/** Runs `main` and prints its failure as a problem and a solution, or an interrupt with the command that continues. */
function start(main) {
  // A terminal that was closed rejects every line.
  process.stderr.on('error', () => undefined);
  main()
    .catch((error) => {
      if (error instanceof Interrupted) {
        process.stderr.write(`${error.message}. Run "${typedCommand(process)}" to continue\n`);
        process.exitCode = EXIT_INTERRUPTED;
        return;
      }
      process.stderr.write(error.output ?? '');
      process.stderr.write(`error: ${error.message}\n${error.fix === undefined ? '' : `fix:   ${error.fix}\n`}`);
      process.exitCode = error instanceof SetupError ? 2 : 1;
    })
    .finally(interrupt.release);
}

/** Runs `azora-db` in this process, so that Ctrl-C and the exit code are those of the command. */
function runTool(...args) {
  process.chdir(root);
  process.argv = [process.execPath, toolkit, ...args];
  require(toolkit);
}

module.exports = { bootstrap, isCompiled, root, runTool, SetupError, start, toolkit };
