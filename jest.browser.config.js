// `npm run test:browser`: the studio in headless Chromium. On Debian, run `apt-get install chromium`; on other systems, set
// CHROMIUM to the program. The tests save screenshots in build/screenshots.
/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  testMatch: ['**/tests/**/*.browser.test.ts'],
};
