// Whether the toolkit must be compiled, without a start of the compiler. Plain Node without dependencies.
const { existsSync, readdirSync, statSync } = require('node:fs');
const path = require('node:path');

/** The packages whose code a command runs. */
const TOOLKIT = ['core', 'events', 'migrate', 'fleet'];

/** When a file was modified; undefined if it is absent, or a link without a target, such as the lock file of Emacs. */
const modifiedAt = (...parts) => statSync(path.join(...parts), { throwIfNoEntry: false })?.mtimeMs;

/** Whether a source file or a setting of the toolkit is newer than its last compilation, which writes its record last. */
function hasNewSources(root) {
  return TOOLKIT.some((name) => {
    const folder = path.join(root, 'packages', name);
    const compiledAt = modifiedAt(folder, 'dist', 'tsconfig.tsbuildinfo');
    if (compiledAt === undefined || !existsSync(path.join(folder, 'src'))) return true;
    const sources = readdirSync(path.join(folder, 'src'), { recursive: true }).filter((file) => file.endsWith('.ts'));
    const files = [...sources.map((file) => path.join('src', file)), 'tsconfig.json', '../../tsconfig.base.json'];
    return files.some((file) => modifiedAt(folder, file) > compiledAt);
  });
}

module.exports = { hasNewSources };
