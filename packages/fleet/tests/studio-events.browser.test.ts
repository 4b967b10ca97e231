import { violationsOf } from './accessibility';
import { type OpenedPage, openPage, type RunningStudio, startStudio } from './browser-fixture';
import { CONSUMER, givenDeadLetters, givenEventLog } from './event-log-fixture';
import { type GivenFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

describe('the page about events, in a browser', () => {
  let fleet: GivenFleet;
  let studio: RunningStudio;
  let browser: OpenedPage;

  beforeAll(async () => {
    fleet = await givenEventLog();
    await givenDeadLetters(fleet);
    studio = await startStudio(fleet, '--port', '0', '--write');
    browser = await openPage(studio);
  });
  afterAll(async () => {
    await browser?.close();
    await studio?.stop();
    await removeFleets();
  });

  const deliveries = () =>
    rowsOf(fleet.target('nexus').admin, `SELECT position || ' ' || state FROM deliveries ORDER BY position`);

  describe.each(['light', 'dark'] as const)('%s', (scheme) => {
    it.each([1280, 390])('passes the WCAG rules of axe, and fits a window of %d px', async (width) => {
      const { page, show, see, shoot } = browser;
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await page.setViewport({ width, height: 800 });
      await show('/events');
      await see('Dead letters');
      await see('key-1');
      await shoot(`events-${scheme}-${width}`);

      expect(await violationsOf(browser)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
    });
  });

  it('is reached from the sidebar, and retries a dead letter', async () => {
    const { page, show, see } = browser;
    await page.setViewport({ width: 1280, height: 800 });
    await show('/');
    await page.locator('nav a ::-p-text(Events)').click();
    await see('key-1');
    expect(await page.title()).toBe('Events · Azora databases');

    await page.locator(`button[aria-label="Retry position 1 of ${CONSUMER}"]`).click();
    await see(`Position 1 of ${CONSUMER} will be delivered again.`);

    expect(await deliveries()).toEqual(['1 retry', '2 dead', '3 dead']);
    // The next answer no longer has the row.
    await page.waitForFunction(`!document.body.innerText.includes('key-1')`);
  });

  it('asks before it discards a dead letter', async () => {
    const { page, show, see } = browser;
    await show('/events');
    await page.locator(`button[aria-label="Discard position 2 of ${CONSUMER}"]`).click();
    await page.locator(`button[aria-label="Keep position 2 of ${CONSUMER}"]`).click();
    expect(await deliveries()).toContain('2 dead');

    await page.locator(`button[aria-label="Discard position 2 of ${CONSUMER}"]`).click();
    await page.locator(`button[aria-label="Discard for good position 2 of ${CONSUMER}"]`).click();
    await see(`Position 2 of ${CONSUMER} was given up.`);

    expect(await deliveries()).toEqual(['1 retry', '3 dead']);
  });
});
