/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/packages/testkit/dist/environment.js',
  roots: ['<rootDir>/packages', '<rootDir>/services', '<rootDir>/tests'],
  // `npm run test:long` runs the tests that take minutes, `npm run test:browser` those that need a browser.
  testMatch: ['**/tests/**/!(*.long|*.browser).test.ts'],
  modulePathIgnorePatterns: ['/dist/', '/.azora/'],
  transform: {
    '^.+\\.[cm]?[jt]sx?$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'commonjs' } },
    ],
  },
  // Node can load ES modules with require, but jest's loader cannot: the ES modules that tests load are compiled.
  transformIgnorePatterns: [
    '/node_modules/(?!(p-map|@prisma/schema-engine-wasm|age-encryption|@noble/[a-z-]+|@scure/base)/)',
  ],
  globalSetup: '<rootDir>/packages/testkit/dist/global-setup.js',
  globalTeardown: '<rootDir>/packages/testkit/dist/global-teardown.js',
  // Tests mostly wait for their server, so jest's default of one worker less than the number of cores leaves a core idle.
  maxWorkers: '100%',
  // Ends a test that hangs. A busy machine may take several times as long as an idle one.
  testTimeout: 180_000,
};
