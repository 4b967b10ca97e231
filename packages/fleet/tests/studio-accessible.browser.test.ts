import { violationsOf } from './accessibility';
import { type OpenedPage, openPage, type RunningStudio, startStudio } from './browser-fixture';
import { givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const PEOPLE = 'model Person {\n  id String @id\n  @@map("people")\n}';
const SHOP = `
model Order {
  id       Int    @id
  /// @ref people.Person.id
  personId String @map("person_id")
  @@map("orders")
}`;

/** The pages, each with a text that it shows when it has loaded. */
const PAGES = [
  { name: 'overview', place: '/', shows: 'up to date' },
  { name: 'table', place: '/data#view=table&schema=shop&table=orders', shows: 'p-1' },
  { name: 'sql', place: '/data#view=sql&schema=shop', shows: 'Find references' },
  { name: 'models', place: '/models', shows: 'Person' },
];

describe('the accessibility of the studio', () => {
  let studio: RunningStudio;
  let browser: OpenedPage;

  beforeAll(async () => {
    const fleet = await givenMigratedFleet({
      people: { schema: PEOPLE, up: 'CREATE TABLE people (id text PRIMARY KEY)' },
      shop: {
        schema: SHOP,
        up: 'CREATE TABLE orders (id int PRIMARY KEY, person_id text NOT NULL)',
      },
    });
    await rowsOf(fleet.target('people').admin, `INSERT INTO people VALUES ('p-1')`);
    await rowsOf(fleet.target('shop').admin, `INSERT INTO orders VALUES (1, 'p-1')`);
    studio = await startStudio(fleet, '--port', '0');
    browser = await openPage(studio);
  });
  afterAll(async () => {
    await browser?.close();
    await studio?.stop();
    await removeFleets();
  });

  describe.each(['light', 'dark'] as const)('%s', (scheme) => {
    describe.each([1280, 390])('%d px wide', (width) => {
      beforeAll(async () => {
        const { page } = browser;
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        await page.setViewport({ width, height: 800 });
      });

      it.each(PAGES)('$name passes the WCAG rules of axe, and fits the window', async ({ name, place, shows }) => {
        const { page, show, see, shoot } = browser;
        await show(place);
        await page.reload();
        await see(shows);
        await shoot(`${name}-${scheme}-${width}`);

        expect(await violationsOf(browser)).toEqual([]);
        expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
      });
    });
  });

  it('can be used with the keyboard: skips the menu, and opens the data of a service', async () => {
    const { page, show, see } = browser;
    await page.setViewport({ width: 1280, height: 800 });
    await show('/');
    await see('1 row,');
    await page.keyboard.press('Tab');
    expect(await focused(browser)).toMatchObject({ text: 'Skip to main content', isOutlined: true });
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('main');

    await show('/');
    await page.reload();
    await see('1 row,');
    const passed: string[] = [];
    for (let presses = 0; presses < 20 && !passed.at(-1)?.startsWith('shop'); presses += 1) {
      await page.keyboard.press('Tab');
      const { text, isOutlined } = await focused(browser);
      expect({ text, isOutlined }).toEqual({ text, isOutlined: true });
      passed.push(text);
    }
    expect(passed.at(-1)).toMatch(/^shop\nup to date\n1 row, /);
    expect(passed).toEqual(expect.arrayContaining(['Overview', 'Data', 'Models']));
    await page.keyboard.press('Enter');

    await see('p-1');
    expect(page.url()).toMatch(/\/data#.*schema=shop/);
  });
});

/** Leaves out Prisma's Studio, whose markup is not ours. */

async function focused({ page }: OpenedPage): Promise<{ readonly text: string; readonly isOutlined: boolean }> {
  return (await page.evaluate(`(() => {
    const element = document.activeElement;
    return { text: element.innerText, isOutlined: getComputedStyle(element).outlineStyle !== 'none' };
  })()`)) as { text: string; isOutlined: boolean };
}
