/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/packages/testkit/dist/environment.js',
  roots: ['<rootDir>/packages', '<rootDir>/services', '<rootDir>/tests'],
  // What takes minutes is `npm run test:long`'s, what needs a browser `npm run test:browser`'s.
  testMatch: ['**/tests/**/!(*.long|*.browser).test.ts'],
  modulePathIgnorePatterns: ['/dist/', '/.azora/'],
  transform: {
    '^.+\\.[cm]?[jt]sx?$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'commonjs' } },
    ],
  },
  // Node loads ES modules with require; jest's own loader does not, so the few that tests reach are compiled.
  transformIgnorePatterns: [
    '/node_modules/(?!(p-map|@prisma/schema-engine-wasm|age-encryption|@noble/[a-z-]+|@scure/base)/)',
  ],
  globalSetup: '<rootDir>/packages/testkit/dist/global-setup.js',
  globalTeardown: '<rootDir>/packages/testkit/dist/global-teardown.js',
  // Most of a test is waiting for its server, so jest's own guess, one worker less than there are cores, leaves one idle.
  maxWorkers: '100%',
  // Against what hangs; a busy machine may take several times as long as a quiet one.
  testTimeout: 180_000,
};
