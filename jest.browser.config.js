// `npm run test:browser`: the studio in headless Chromium (Debian: `apt-get install chromium`; elsewhere name it in CHROMIUM).
// Screenshots go to build/screenshots.
/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  testMatch: ['**/tests/**/*.browser.test.ts'],
};
