// Types the everyday commands of the README and the bash blocks of the guides into a shell, one after the other, in a checkout
// that was started. Ends with 1 at the first command that fails.
const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { durationText } = require('../scripts/phases.js');

const root = path.resolve(__dirname, '..');
const GUIDES = ['DATABASE-GUIDE.md', 'SEED-DATA.md', 'MIGRATIONS.md'];
/**
 * A placeholder, a program that runs until Ctrl-C, a service whose database the next commands would miss, a variable, a file,
 * code, ten thousand users, whose backup takes minutes, and help.
 */
const NOT_TYPED = /<\w+>|db:studio|events -- relay|service:new|^[A-Z_]+$|^\.|^import |--scale 10\b|--help$/;
/** The everyday restore asks first; the guide's restore has the answer. */
const ANSWERS = { 'npm run db:restore -- latest': 'npm run db:restore -- latest --yes' };

const read = (document) => readFileSync(path.join(root, document), 'utf8');

/** The commands of the README's table, in its order. */
function everydayCommands() {
  const [, table = ''] = /## Everyday tasks\n\n([\s\S]*?)\n\n/.exec(read('README.md')) ?? [];
  const cells = table
    .split('\n')
    .slice(2)
    .map((row) => row.split(' | ').slice(1).join(' | '));
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, command]) => command));
}

const bashBlocks = (guide) => [...read(guide).matchAll(/^```bash\n([\s\S]*?)^```$/gm)].map(([, block]) => block);

const typed = [...everydayCommands().filter((command) => !NOT_TYPED.test(command)), ...GUIDES.flatMap(bashBlocks)];
for (const command of typed) {
  const started = performance.now();
  console.log(`\n-- ${command.trimEnd()}`);
  const { status } = spawnSync('bash', ['-euo', 'pipefail', '-c', ANSWERS[command] ?? command], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) {
    console.log(`\n-- the command above ended with ${status}`);
    process.exit(1);
  }
  console.log(`-- ${durationText(performance.now() - started)}`);
}
console.log(`\n-- typed ${typed.length} commands and blocks`);
