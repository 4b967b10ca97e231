import { type OpenedPage, openPage, type RunningStudio, startStudio } from './browser-fixture';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const EVENTS = 2_000_000;
const PEOPLE = `
/// @erase delete
model Person {
  id       String @id
  name     String
  /// @pii email
  email    String
  /// @secret
  password String
  @@map("people")
}`;
const SHOP = `
model Order {
  id       Int    @id
  /// @ref people.Person.id
  personId String @map("person_id")
  note     String
  @@map("orders")
}

model Event {
  id   Int      @id
  kind String
  at   DateTime @db.Timestamptz(6)
  @@map("events")
}`;
const PEOPLE_SQL =
  'CREATE TABLE people (id text PRIMARY KEY, name text NOT NULL, email text NOT NULL, password text NOT NULL);';
const SHOP_SQL = `CREATE TABLE orders (id int PRIMARY KEY, person_id text NOT NULL, note text NOT NULL);
  CREATE TABLE events (id int PRIMARY KEY, kind text NOT NULL, at timestamptz NOT NULL);`;
/** Values that no answer may contain. */
const HIDDEN = ['ada@azora.example', 'hunter2-of-ada'];

describe('the studio in a browser', () => {
  let fleet: GivenFleet;
  let studio: RunningStudio;
  let browser: OpenedPage;

  beforeAll(async () => {
    fleet = await givenMigratedFleet({
      people: { schema: PEOPLE, up: PEOPLE_SQL },
      shop: { schema: SHOP, up: SHOP_SQL },
    });
    const [people, shop] = [fleet.target('people'), fleet.target('shop')];
    await rowsOf(
      people.admin,
      `INSERT INTO people VALUES ('p-1', 'Ada', '${HIDDEN[0]}', '${HIDDEN[1]}'), ('p-2', 'Ben', 'b', 'c')`,
    );
    await rowsOf(
      shop.admin,
      `INSERT INTO orders VALUES (1, 'p-1', 'of Ada'), (2, 'p-2', 'of Ben'), (3, 'p-1', 'of Ada too');
      INSERT INTO events SELECT id, 'kind ' || id % 10, timestamptz '2026-01-01' + id * interval '1 second'
      FROM generate_series(1, ${EVENTS}) AS id`,
    );
    await rowsOf(shop.admin, 'ANALYZE');
    studio = await startStudio(fleet, '--port', '0');
    browser = await openPage(studio);
  });
  afterAll(async () => {
    await browser?.close();
    await studio?.stop();
    await removeFleets();
  });

  it('accepts the token of the address, and removes it from the address', async () => {
    const { page, see } = browser;
    const { origin } = studio.url;

    await see('people');

    expect(page.url()).toBe(`${origin}/`);
    expect((await fetch(`${origin}/?token=wrong`)).status).toBe(401);
    expect((await fetch(`${origin}/api/fleet`)).status).toBe(401);
  });

  it('shows the fleet', async () => {
    const { see, text, show, shoot } = browser;
    await show('/');
    await see('read-only');
    await see('2,000,003 rows');

    await shoot('overview');

    expect(await text()).toMatch(/people\s+up to date/);
  });

  it('shows a table of two million rows, sorted and filtered by the server', async () => {
    const { page, see, show, shoot } = browser;
    await show('/data#view=table&schema=shop&table=events');
    await see('kind 1');
    await shoot('table');

    await show('/data#view=table&schema=shop&table=events&sort=id:desc');
    await see(String(EVENTS));
    const filter = { kind: 'ColumnFilter', id: 'a', column: 'id', operator: '=', value: '1234567', after: 'and' };
    const group = JSON.stringify({ kind: 'FilterGroup', id: 'b', after: 'and', filters: [filter] });
    await show(`/data#view=table&schema=shop&table=events&filter=${encodeURIComponent(group)}`);
    await see('1234567');
    expect(await page.$$eval('tbody tr', (rows) => rows.length)).toBe(1);
  });

  it('follows a reference into another database, and back', async () => {
    const { page, see, show, shoot } = browser;
    await show('/data#view=table&schema=shop&table=orders');
    await see('of Ada');
    await page.locator('a[aria-label^="Open people"]').click();
    await see('Ada');
    await shoot('reference-followed');

    expect(new URLSearchParams(new URL(page.url()).hash.slice(1)).get('schema')).toBe('people');
    await page.goBack();
    await see('of Ben');
  });

  it('finds the references to an id in all databases, and opens one', async () => {
    const { page, see, show, shoot, text } = browser;
    await show('/data#view=table&schema=people&table=people');
    await see('Ada');
    await page.locator('button ::-p-text(Find references)').click();
    await page.keyboard.type('p-1');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.reference-list a');
    await shoot('references');

    expect(await page.$$eval('.reference-list a', (links) => links.map(({ textContent }) => textContent))).toEqual([
      'shop orders.person_id2 rows',
    ]);
    await page.locator('.reference-list a').click();
    await see('of Ada too');
    expect(await text()).not.toContain('of Ben');
  });

  it('runs a query, and the database rejects an edit', async () => {
    const { see, show, shoot, run, ask } = browser;
    await show('/data#view=sql&schema=people');
    await run('select name from people order by name');
    await see('Ben');
    await shoot('query');

    await run("update people set name = 'Eve'");
    await see(/cannot execute UPDATE in a read-only transaction|permission denied for table people/);
    await shoot('edit-rejected');
    expect(await ask('people', 'SELECT email FROM people')).toMatchObject([{ code: '42501' }]);
    expect(await rowsOf(fleet.target('people').admin, 'SELECT name FROM people ORDER BY 1')).toEqual(['Ada', 'Ben']);
  });

  it('reports that a statement ran too long and was canceled', async () => {
    const { page, see, show, shoot, run } = browser;
    await show('/data#view=sql&schema=shop');
    await run('select pg_sleep(3600)');

    await see(/canceling statement due to statement timeout|ran too long/);
    await shoot('too-long');

    await run('select count(*) as how_many from events');
    await see(String(EVENTS));
    expect(await page.evaluate('document.body.innerText')).not.toMatch(/statement timeout|too long/);
  });

  it('fits a narrow window, and draws the models', async () => {
    const { page, see, show, shoot } = browser;
    await page.setViewport({ width: 390, height: 844 });
    await show('/models');
    await see('Person');
    await shoot('models-narrow');

    expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
    await page.setViewport({ width: 1280, height: 800 });
    await show('/');
  });

  it('reports that the server is gone, and reconnects when it is back', async () => {
    const { see, shoot } = browser;
    const { port } = studio.url;
    await studio.stop('SIGKILL');
    await see('The server does not answer');
    await shoot('server-gone');

    studio = await startStudio(fleet, '--port', port);

    await see('Reconnected to the server');
    await see('people');
  });

  it('received no hidden value, contacted no other host, and did not violate its content security policy', async () => {
    const { bodies, elsewhere, violations } = browser;
    const all = await Promise.all(bodies);

    expect(all.length).toBeGreaterThan(20);
    expect(all.some((body) => body.includes('of Ada'))).toBe(true);
    for (const value of HIDDEN) expect(all.filter((body) => body.includes(value))).toEqual([]);
    expect(elsewhere).toEqual([]);
    expect(violations).toEqual([]);
  });
});
