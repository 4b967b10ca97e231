// `npm run build`: generates the clients, compiles all packages and bundles the studio's page, each only if it changed. Prints a
// line for each step. `--emit-only` compiles without a check of the types.
const { spawn } = require('node:child_process');
const { existsSync, readdirSync, statSync } = require('node:fs');
const path = require('node:path');
const { stateOfInstallation } = require('./installation.js');
const { durationText } = require('./phases.js');
const { compileArguments, projectOf } = require('./tsc.js');

const root = path.resolve(__dirname, '..');
const studio = path.join(root, 'packages', 'studio');

class BuildError extends Error {}

/** Runs a script of the checkout or of a package. `onLine` returns true for a line that must not be printed. */
async function run([script, ...args], onLine = () => false) {
  const file = require.resolve(script, { paths: [root] });
  const child = spawn(process.execPath, [file, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
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
  });
  if (status !== 0) throw new BuildError(`${path.relative(root, file)} failed`);
}

/** Runs a step and prints its duration. */
async function step(done, work) {
  const started = performance.now();
  await work();
  console.log(`${done} in ${durationText(performance.now() - started)}`);
}

/** The newest modification of a file or of the files in a folder. */
function modifiedAt(entry) {
  const state = statSync(entry);
  if (!state.isDirectory()) return state.mtimeMs;
  const files = readdirSync(entry, { recursive: true, withFileTypes: true }).filter((it) => it.isFile());
  return Math.max(0, ...files.map((file) => statSync(path.join(file.parentPath ?? file.path, file.name)).mtimeMs));
}

function isBundled() {
  const bundle = path.join(studio, 'dist', 'LICENSE');
  if (!existsSync(bundle)) return false;
  const inputs = ['src', 'build.js', 'build-patches.js', 'package.json', '../../package-lock.json'];
  return inputs.every((input) => modifiedAt(path.join(studio, input)) <= modifiedAt(bundle));
}

async function main(args) {
  if (stateOfInstallation(root) === 'absent')
    throw new BuildError('the packages are not installed; run "npm start" first');
  const emitOnly = args.includes('--emit-only');
  await step('generated the clients', () => run([path.join(root, 'prisma', 'generate.js')]));
  await step('compiled the packages', () =>
    run(compileArguments({ emitOnly, projects: [root] }), (line) => {
      const project = projectOf(root, line);
      if (project !== undefined) console.log(`compiling ${project}`);
      // The other lines of --verbose begin with the time, or list the projects.
      return /^[\d:.]+( [AP]M)? - |^\s+\* /.test(line);
    }),
  );
  if (!isBundled()) await step('bundled the studio', () => run([path.join(studio, 'build.js')]));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error instanceof BuildError ? `error: ${error.message}` : error);
  process.exitCode = 1;
});
