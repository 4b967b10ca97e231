// How the TypeScript compiler is called by bootstrap.js and build.js.
const path = require('node:path');

/**
 * The arguments that compile projects and what they depend on, if they changed. With `emitOnly` the types are not checked,
 * which takes half of the time: a start needs the programs, and `npm run build`, `npm test` and `npm run types` check.
 */
function compileArguments({ emitOnly, projects }) {
  return ['typescript/bin/tsc', '-b', '--verbose', ...(emitOnly ? ['--noCheck'] : []), ...projects];
}

/** The folder of the project that the compiler begins, such as `packages/fleet`, in a line of its output. */
function projectOf(root, line) {
  const [, folder] = /Building project '(.*)\/tsconfig\.json'/.exec(line) ?? [];
  return folder === undefined ? undefined : path.relative(root, folder);
}

module.exports = { compileArguments, projectOf };
