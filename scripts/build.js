// `npm run build`: generates the clients, compiles all packages and bundles the studio's page, each only if it changed. Prints a
// line for each step. `--emit-only` compiles without a check of the types. One process per checkout does this at a time: two
// would replace each other's clients. `--under-lock` says that the caller has the lock of the checkout.
const { spawn } = require('node:child_process');
const { existsSync, readdirSync, statSync } = require('node:fs');
const path = require('node:path');
const { stateOfInstallation } = require('./installation.js');
const { EXIT_INTERRUPTED, Interrupted, listen } = require('./interrupt.js');
const { withLock } = require('./lock.js');
const { durationText } = require('./phases.js');
const { compileArguments, projectOf } = require('./tsc.js');
const { typedCommand } = require('./typed-command.js');

const root = path.resolve(__dirname, '..');
const studio = path.join(root, 'packages', 'studio');

class BuildError extends Error {}

/** Signals of this run. Ctrl-C also reaches the child process; `kill` does not. */
const interrupt = listen(() => killRunning('SIGKILL'));
let killRunning = () => undefined;

/**
 * Runs a script of the checkout or of a package. An interrupt ends it.
 * @param owns gets its process id
 * @param onLine returns true for a line that must not be printed
 */
async function run([script, ...args], { owns, onLine = () => false }) {
  interrupt.signal.throwIfAborted();
  const file = require.resolve(script, { paths: [root] });
  const child = spawn(process.execPath, [file, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  // Without a pid the program did not start, and the event `error` says why.
  if (child.pid !== undefined) owns(child.pid);
  killRunning = (signal) => child.kill(signal);
  const stop = () => killRunning('SIGTERM');
  interrupt.signal.addEventListener('abort', stop, { once: true });
  let rest = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop();
    for (const line of lines) if (line.trim() !== '' && !onLine(line)) console.log(line);
  });
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => {
    interrupt.signal.removeEventListener('abort', stop);
    killRunning = () => undefined;
  });
  interrupt.signal.throwIfAborted();
  if (status !== 0) throw new BuildError(`${path.relative(root, file)} failed`);
}

/** Runs a step and prints its duration. */
async function step(done, work) {
  const started = performance.now();
  await work();
  console.log(`${done} in ${durationText(performance.now() - started)}`);
}

/** The newest modification of a file or of the files in a folder; 0 if it is absent, or disappears meanwhile. */
function modifiedAt(entry) {
  const state = statSync(entry, { throwIfNoEntry: false });
  if (!state?.isDirectory()) return state?.mtimeMs ?? 0;
  const files = readdirSync(entry, { recursive: true, withFileTypes: true }).filter((it) => it.isFile());
  return Math.max(0, ...files.map((file) => modifiedAt(path.join(file.parentPath ?? file.path, file.name))));
}

function isBundled() {
  const bundle = path.join(studio, 'dist', 'LICENSE');
  if (!existsSync(bundle)) return false;
  const inputs = ['src', 'build.js', 'build-patches.js', 'package.json', '../../package-lock.json'];
  return inputs.every((input) => modifiedAt(path.join(studio, input)) <= modifiedAt(bundle));
}

async function build({ emitOnly, owns }) {
  await step('generated the clients', () => run([path.join(root, 'prisma', 'generate.js')], { owns }));
  await step('compiled the packages', () =>
    run(compileArguments({ emitOnly, projects: [root] }), {
      owns,
      onLine: (line) => {
        const project = projectOf(root, line);
        if (project !== undefined) console.log(`compiling ${project}`);
        // The other lines of --verbose begin with the time, or list the projects.
        return /^[\d:.]+( [AP]M)? - |^\s+\* /.test(line);
      },
    }),
  );
  if (!isBundled()) await step('bundled the studio', () => run([path.join(studio, 'build.js')], { owns }));
}

async function main(args) {
  if (stateOfInstallation(root) === 'absent')
    throw new BuildError('the packages are not installed; run "npm start" first');
  const emitOnly = args.includes('--emit-only');
  if (args.includes('--under-lock')) await build({ emitOnly, owns: () => undefined });
  else await withLock(root, interrupt.signal, (owns) => build({ emitOnly, owns }));
}

main(process.argv.slice(2))
  .catch((error) => {
    if (error instanceof Interrupted) console.error(`Interrupted. Run "${typedCommand(process)}" to continue`);
    else console.error(error instanceof BuildError ? `error: ${error.message}` : error);
    process.exitCode = error instanceof Interrupted ? EXIT_INTERRUPTED : 1;
  })
  .finally(interrupt.release);
