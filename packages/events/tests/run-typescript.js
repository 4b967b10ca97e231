// Runs a TypeScript file in a process of its own: node run-typescript.js <file> [arguments]. Tests start programs with it that they
// kill. The packages of the checkout are loaded as they were built.
const path = require('node:path');
const { transformFileSync } = require('@swc/core');

const OPTIONS = {
  jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
};

require.extensions['.ts'] = (module, file) => module._compile(transformFileSync(file, OPTIONS).code, file);
process.setSourceMapsEnabled(true);

require(path.resolve(process.argv[2]));
