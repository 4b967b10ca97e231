// `npm run test:long`: the tests that take minutes. They run the guides, kill runners and servers at every point, repeat an
// operation a hundred thousand times, or install the packed packages.
/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  testMatch: ['**/tests/**/*.long.test.ts'],
  testTimeout: 600_000,
};
