import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import { type OpenedPage, openPage, type RunningStudio, startStudio } from './browser-fixture';
import { killServer } from './embedded-fixture';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';
import { AUDIT_LOG, AUDIT_LOG_SQL } from './studio-fixture';

const PEOPLE = `
model Person {
  id     String  @id
  city   String
  amount Decimal @db.Decimal(18, 8)
  document Json
  @@map("people")
}
${AUDIT_LOG}`;
const PEOPLE_SQL = `CREATE TABLE people (id text PRIMARY KEY, city text NOT NULL, amount numeric(18,8) NOT NULL DEFAULT 7,
  document jsonb NOT NULL DEFAULT '{"limit": 9007199254740993}'); ${AUDIT_LOG_SQL}`;
const SHOP = 'model Order {\n  id Int @id\n  @@map("orders")\n}';

describe('the studio with --write, in a browser', () => {
  let home = '';
  let fleet: GivenFleet;
  let studio: RunningStudio;
  let browser: OpenedPage;

  beforeAll(async () => {
    // A server of its own, because a test kills it.
    home = await mkdtemp(path.join(os.tmpdir(), 'azora-studio-'));
    const { url } = await startEmbedded({ home });
    fleet = await givenMigratedFleet(
      {
        people: { schema: PEOPLE, up: PEOPLE_SQL },
        shop: { schema: SHOP, up: 'CREATE TABLE orders (id int PRIMARY KEY)' },
      },
      url,
    );
    await rowsOf(fleet.target('people').admin, `INSERT INTO people (id, city) VALUES ('p-1', 'Lisbon')`);
    studio = await startStudio(fleet, '--port', '0', '--write');
    browser = await openPage(studio);
  });
  afterAll(async () => {
    await browser?.close();
    await studio?.stop();
    await removeFleets();
    await stopEmbedded({ home });
    await rm(home, { recursive: true, force: true });
  });

  /** Replaces the text in the editor of the cell that shows a text, and keeps it. */
  async function typeInto(cell: string, text: string): Promise<void> {
    const { page } = browser;
    await page.locator(`td ::-p-text(${cell})`).click({ count: 2 });
    await page.locator('.value-input textarea').wait();
    await page.keyboard.down('Control');
    await page.keyboard.press('a');
    await page.keyboard.up('Control');
    await page.keyboard.type(text);
    await page.keyboard.press('Enter');
  }

  it('shows that it is read-write, and which services are read-only', async () => {
    const { see, text } = browser;

    await see('read-only; ');

    expect(await text()).toMatch(/\bread-write\b/i);
  });

  it('saves an edit, and shows its entry in the audit log', async () => {
    const { page, see, show, shoot } = browser;
    await show('/data#view=table&schema=people&table=people');
    await see('Lisbon');
    await typeInto('Lisbon', 'Porto');
    await page.locator('button ::-p-text(Save 1)').click();
    await shoot('edit');
    // A page that opens before the edit has finished would not show its entry.
    const saved = page.waitForResponse((response) => response.request().postData()?.includes('"update ') === true);
    await page.locator('button ::-p-text(yes, write)').click();
    expect(await (await saved).json()).toMatchObject([null, expect.anything()]);

    await show('/data#view=table&schema=people&table=audit_logs');
    await see('studio.update');
    await shoot('audit-log');

    const { admin } = fleet.target('people');
    expect(await rowsOf(admin, 'SELECT city FROM people')).toEqual(['Porto']);
    expect(await rowsOf(admin, 'SELECT action, resource_type AS type, resource_id AS id FROM audit_logs')).toEqual([
      { action: 'studio.update', type: 'people', id: 'p-1' },
    ]);
  });

  it('stores the text that was typed, digit for digit, and refuses a text at the cell if it is not a number', async () => {
    const { page, see, show, shoot } = browser;
    await show('/data#view=table&schema=people&table=people');
    await see('Porto');

    await typeInto('7.00000000', '1,5');
    await see('invalid input syntax for type numeric');
    await shoot('refused');
    await page.keyboard.press('Escape');
    await typeInto('7.00000000', '1234567890.12345678');
    await typeInto('9007199254740993', '{"limit": 9007199254740993, "rate": 1.10}');
    await page.locator('button ::-p-text(Save 1)').click();
    const saved = page.waitForResponse((response) => response.request().postData()?.includes('"update ') === true);
    await page.locator('button ::-p-text(yes, write)').click();
    await saved;

    const { admin } = fleet.target('people');
    expect(await rowsOf(admin, 'SELECT amount::text, document::text FROM people')).toEqual([
      { amount: '1234567890.12345678', document: '{"rate": 1.10, "limit": 9007199254740993}' },
    ]);
  });

  it('cannot edit a service without an audit log: the database rejects it', async () => {
    const { ask } = browser;

    expect(await ask('shop', 'INSERT INTO orders VALUES (1)')).toMatchObject([{ code: '25006' }]);
  });

  it('reports that a database is gone, and recovers when it is back', async () => {
    const { see, show, shoot } = browser;
    await show('/data#view=table&schema=people&table=people');
    await see('Porto');
    await killServer(home);
    await see('unreachable');
    await shoot('database-gone');

    await startEmbedded({ home });

    // The page may show one database as it is, and another still as it was.
    await see(/^(?![\s\S]*unreachable)[\s\S]*up to date/i);
    await show('/data#view=table&schema=people&table=people');
    await see('Porto');
  });
});
