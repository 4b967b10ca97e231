/** @server any */
import os from 'node:os';
import { withClient } from '@azora/db-migrate';
import { studioRole } from '../src/operations/targets';
import { readRoles } from '../src/postgres/dump/roles';
import type { GivenFleet } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';
import { closeStudios, errorCodeOf, givenPeople, givenStudio, post, removeStudios } from './studio-fixture';

let fleet: GivenFleet;

beforeAll(async () => {
  fleet = await givenPeople();
});
beforeEach(() => rowsOf(fleet.target('people').admin, 'TRUNCATE audit_logs'));
afterEach(closeStudios);
afterAll(() => removeStudios([fleet]));

const entries = () =>
  rowsOf(
    fleet.target('people').admin,
    `SELECT action, resource_type, resource_id, details->>'sql' AS sql, details->'parameters' AS parameters,
       details->'rows' AS rows FROM audit_logs ORDER BY created_at, details->>'sql'`,
  );

describe('an edit', () => {
  it('is recorded with its statement, table, row and author', async () => {
    const { query } = await givenStudio(fleet, { write: true });
    const sql = 'UPDATE users SET city = $1 WHERE id = $2 RETURNING id, city';

    const reply = await query(sql, ['Porto', 'u7']);

    expect(reply).toEqual([null, [{ id: 'u7', city: 'Porto' }]]);
    expect(await entries()).toEqual([
      {
        action: 'studio.update',
        resource_type: 'users',
        resource_id: 'u7',
        sql,
        parameters: ['Porto', 'u7'],
        rows: 1,
      },
    ]);
    const [who] = await rowsOf(
      fleet.target('people').admin,
      `SELECT details->>'user' AS user, details->>'tool' AS tool, ip_address AS address, user_agent AS agent FROM audit_logs`,
    );
    expect(who).toEqual({
      user: os.userInfo().username,
      tool: 'azora-db studio',
      address: '127.0.0.1',
      agent: 'the studio test',
    });
  });

  it.each([
    ["INSERT INTO notes (id, user_id, body) VALUES (900, 'u1', 'x') RETURNING *", 'studio.insert', 'notes', '900'],
    [
      "MERGE INTO notes USING (VALUES (900)) given (id) ON notes.id = given.id WHEN MATCHED THEN UPDATE SET body = 'y'",
      'studio.merge',
      'notes',
      null,
    ],
    ['DELETE FROM notes WHERE id = 900', 'studio.delete', 'notes', null],
    [
      "WITH changed AS (UPDATE users SET city = 'Faro' WHERE id = 'u8' RETURNING id) SELECT * FROM changed",
      'studio.select',
      null,
      null,
    ],
    ["DO $$ BEGIN UPDATE users SET city = 'Beja' WHERE id = 'u8'; END $$", 'studio.do', null, null],
    ["PREPARE move AS UPDATE users SET city = 'Elvas' WHERE id = 'u8'", undefined, null, null],
    ["EXPLAIN ANALYZE UPDATE users SET city = 'Tomar' WHERE id = 'u8'", 'studio.explain', null, null],
    [
      "INSERT INTO audit_logs (id, action, details) VALUES ('forged', 'nothing.happened', '{}')",
      'studio.insert',
      'audit_logs',
      null,
    ],
  ])('is recorded whatever statement makes it: %s', async (sql, action, table, key) => {
    const { query } = await givenStudio(fleet, { write: true });

    expect(errorCodeOf(await query(sql))).toBeNull();

    const recorded = (await entries()).filter((entry) => (entry as { action: string }).action !== 'nothing.happened');
    expect(recorded).toMatchObject(
      action === undefined ? [] : [{ action, resource_type: table, resource_id: key, sql, parameters: [] }],
    );
  });

  it('is recorded for each statement of a request, and not at all when one fails', async () => {
    const studio = await givenStudio(fleet, { write: true });
    const save = (...sqls: string[]) =>
      studio.send(
        post(
          studio.server.port,
          'people',
          JSON.stringify({ procedure: 'transaction', queries: sqls.map((sql) => ({ sql, parameters: [] })) }),
        ),
      );

    await save("UPDATE notes SET body = 'a' RETURNING id", "UPDATE users SET city = 'a' WHERE id = 'u9' RETURNING id");
    await save("UPDATE notes SET body = 'b'", 'UPDATE notes SET user_id = NULL');

    expect(await entries()).toMatchObject([
      { action: 'studio.update', resource_type: 'notes', resource_id: '1' },
      { action: 'studio.update', resource_type: 'users', resource_id: 'u9' },
    ]);
  });

  it('is rolled back when the audit log cannot be written', async () => {
    const { admin } = fleet.target('people');
    await rowsOf(admin, `ALTER TABLE audit_logs ADD CONSTRAINT full_log CHECK (action <> 'studio.update')`);
    const { query } = await givenStudio(fleet, { write: true });

    const reply = await query("UPDATE users SET city = 'Nowhere' WHERE id = 'u10'");
    await rowsOf(admin, 'ALTER TABLE audit_logs DROP CONSTRAINT full_log');

    expect(errorCodeOf(reply)).toBe('23514');
    expect(await rowsOf(admin, "SELECT city FROM users WHERE id = 'u10'")).toEqual(['Lisbon']);
  });

  it.each([
    "SELECT set_config('search_path', 'pg_temp', true) FROM users WHERE id = 'u1'",
    'SELECT * FROM notes',
    'SELECT count(*) FROM ledger',
    'SHOW search_path',
  ])('is not recorded for statements that only read: %s', async (sql) => {
    const { query } = await givenStudio(fleet, { write: true });

    expect(errorCodeOf(await query(sql))).toBeNull();
    expect(await entries()).toEqual([]);
  });
});

describe('the audit log', () => {
  it.each([
    "UPDATE audit_logs SET action = 'x'",
    'DELETE FROM audit_logs',
    'TRUNCATE audit_logs',
    'SELECT details FROM audit_logs',
  ])('is append-only and hides personal data: %s', async (sql) => {
    const { query } = await givenStudio(fleet, { write: true });
    await query("UPDATE users SET city = 'Evora' WHERE id = 'u1'");

    expect(errorCodeOf(await query(sql))).toBe('42501');
    expect(await query('SELECT action FROM audit_logs')).toEqual([null, [{ action: 'studio.update' }]]);
  });

  it('never contains a secret: secret columns cannot be written, even with --reveal', async () => {
    const { query } = await givenStudio(fleet, { write: true, reveal: true });

    const changed = await query("UPDATE users SET email = 'new@leaked.example' WHERE id = 'u3'");
    const refused = await query('UPDATE users SET password = $1', ['open sesame']);

    expect([errorCodeOf(changed), errorCodeOf(refused)]).toEqual([null, '42501']);
    expect(JSON.stringify(await entries())).not.toContain('sesame');
  });

  it('is required: a service without one is read-only', async () => {
    const studio = await givenStudio(fleet, { write: true });

    const reply = await studio.query("INSERT INTO orders VALUES ('o1', 'u1')", [], 'shop');

    expect(errorCodeOf(reply)).toBe('25006');
    const { services } = JSON.parse((await studio.send({ path: '/api/fleet' })).text);
    expect(services.map(({ service, write }: { service: string; write: boolean }) => [service, write])).toEqual([
      ['people', true],
      ['shop', false],
    ]);
  });
});

describe('the role of the studio', () => {
  it('is in no backup, even with --write', async () => {
    const { query } = await givenStudio(fleet, { write: true });
    await query('SELECT 1');
    const { admin, role } = fleet.target('people');

    const names = (await withClient(admin, readRoles)).map(({ name }) => name);

    expect(names).toEqual([role]);
    expect(
      await rowsOf(
        admin,
        `SELECT has_sequence_privilege('${studioRole(fleet.target('people'))}', 'notes_id_seq', 'USAGE')`,
      ),
    ).toEqual([true]);
  });
});
