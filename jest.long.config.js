// `npm run test:long`: what runs the guides, kills runners and servers at every place that there is, or repeats a hundred
// thousand times.
/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  testMatch: ['**/tests/**/*.long.test.ts'],
  testTimeout: 600_000,
};
