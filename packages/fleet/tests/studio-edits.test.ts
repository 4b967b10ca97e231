/** @server any */
import { type GivenFleet, givenFleet } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';
import { type GivenAdapter, givenAdapter, type Table } from './studio-adapter-fixture';
import { AUDIT_LOG, AUDIT_LOG_SQL, type GivenStudio, givenStudio, removeStudios } from './studio-fixture';

const SCHEMA = `
model Person {
  id        String   @id @default(cuid())
  city      String?
  document  Json?
  updatedAt DateTime @updatedAt @map("updated_at")
  @@map("people")
}
${AUDIT_LOG}`;

let fleet: GivenFleet;
let studio: GivenStudio;
let given: GivenAdapter;
let table: Table;
const sql = (text: string) => rowsOf(fleet.target('people').admin, text);

beforeAll(async () => {
  fleet = await givenFleet({ people: { schema: SCHEMA, migrations: {} } });
  await sql(
    `CREATE TABLE people (id text PRIMARY KEY, city text, document json, updated_at timestamptz NOT NULL); ${AUDIT_LOG_SQL}`,
  );
  studio = await givenStudio(fleet, { write: true });
  const { text } = await studio.send({ path: '/api/fleet' });
  given = givenAdapter(studio, JSON.parse(text).services[0].filled);
  table = await given.table('people');
});
beforeEach(async () => {
  await sql(
    `TRUNCATE people; INSERT INTO people VALUES ('p1', 'Lisbon', '{"a": 1}', '2026-01-01'), ('p2', NULL, NULL, '2026-01-01')`,
  );
});
afterAll(() => removeStudios([fleet]));

const cities = () => sql('SELECT city FROM people ORDER BY id');
const shown = async () => {
  const rows = [...(await given.rows(table))].sort((left, right) =>
    String(left['id']).localeCompare(String(right['id'])),
  );
  const [first = {}, second = {}] = rows;
  return { first, second };
};

describe('an edit of a row that somebody has changed since the page read it', () => {
  it('is not saved, and shows both values', async () => {
    const { first } = await shown();
    await sql(`UPDATE people SET city = 'Porto' WHERE id = 'p1'`);

    const [error] = await given.adapter.update({ table, row: first, changes: { document: '{}' } }, {});

    expect(error?.message).toBe(
      'Nothing was saved: somebody has changed the row p1: city is now "Porto" and was "Lisbon"',
    );
    expect(await sql(`SELECT document::text FROM people WHERE id = 'p1'`)).toEqual(['{"a": 1}']);
  });

  it('is not saved when NULL has become an empty text', async () => {
    const { second } = await shown();
    await sql(`UPDATE people SET city = '' WHERE id = 'p2'`);

    const [error] = await given.adapter.update({ table, row: second, changes: { city: 'Faro' } }, {});

    expect(error?.message).toContain('city is now "" and was NULL');
    expect(await cities()).toEqual(['Lisbon', '']);
  });

  it('saves none of the edits beside it', async () => {
    const { first, second } = await shown();
    await sql(`DELETE FROM people WHERE id = 'p2'`);

    const updates = [
      { table, row: first, changes: { city: 'Faro' } },
      { table, row: second, changes: { city: 'Faro' } },
    ];
    const [error] = (await given.adapter.updateMany?.({ table, updates }, {})) ?? [];

    expect(error?.message).toBe('Nothing was saved: somebody has deleted the row p2');
    expect(await cities()).toEqual(['Lisbon']);
  });

  it('wins once when many pages save at the same time', async () => {
    const { first } = await shown();

    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        given.adapter.update({ table, row: first, changes: { city: `city ${n}` } }, {}),
      ),
    );

    const saved = answers.flatMap(([error], n) => (error === null ? [`city ${n}`] : []));
    expect(saved).toHaveLength(1);
    expect((await cities())[0]).toBe(saved[0]);
  });

  it('does not delete the row', async () => {
    const { first, second } = await shown();
    await sql(`UPDATE people SET city = 'Porto' WHERE id = 'p1'`);

    const [error] = await given.adapter.delete({ table, rows: [second, first] }, {});

    expect(error?.message).toContain('city is now "Porto"');
    expect(await cities()).toEqual(['Porto', null]);
  });
});

describe('an edit', () => {
  it('is recorded with the old and the new values', async () => {
    const { first } = await shown();
    await sql('TRUNCATE audit_logs');

    await given.adapter.update({ table, row: first, changes: { city: 'Faro' } }, {});

    const [entry] = await sql(`SELECT resource_id, details -> 'parameters' AS parameters FROM audit_logs`);
    expect(entry).toEqual({ resource_id: 'p1', parameters: expect.arrayContaining(['Faro', 'Lisbon', 'p1']) });
  });

  it('sets the time of the update as the generated client does', async () => {
    const { first } = await shown();

    const [error] = await given.adapter.update({ table, row: first, changes: { city: 'Faro' } }, {});

    expect(error).toBeNull();
    expect(await sql(`SELECT updated_at > '2026-01-01' FROM people WHERE id = 'p1'`)).toEqual([true]);
  });

  it('deletes rows that are as the page shows them', async () => {
    const { first, second } = await shown();

    const [error] = await given.adapter.delete({ table, rows: [first, second] }, {});

    expect(error).toBeNull();
    expect(await cities()).toEqual([]);
  });
});

describe('a new row', () => {
  it('gets the id and the time that the generated client would give it', async () => {
    const [error] = await given.adapter.insert({ table, rows: [{ city: 'Faro' }, { id: '', city: 'Beja' }] }, {});

    expect(error).toBeNull();
    expect(
      await sql(`SELECT count(*)::int FROM people WHERE id ~ '^c[a-z0-9]{24}$' AND updated_at > '2026-01-01'`),
    ).toEqual([2]);
  });
});
