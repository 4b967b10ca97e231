/** @server any */
import { parseDatabaseUrl, withUrlParts } from '@azora/db-core';
import { findServices } from '../src/config/registry';
import { readSettings } from '../src/config/settings';
import { openStudioContext } from '../src/operations/studio/context';
import { studioRole } from '../src/operations/targets';
import type { GivenFleet } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';
import { closeStudios, errorCodeOf, givenPeople, givenStudio, LEAK, removeStudios } from './studio-fixture';

let fleet: GivenFleet;

beforeAll(async () => {
  fleet = await givenPeople();
});
afterEach(closeStudios);
afterAll(() => removeStudios([fleet]));

const INSUFFICIENT_PRIVILEGE = '42501';
const READ_ONLY = '25006';

describe('hidden columns', () => {
  it.each([
    'SELECT * FROM users',
    'SELECT email FROM users',
    'SELECT password FROM users',
    'SELECT search FROM users',
    'SELECT u FROM users u',
    'SELECT u::text FROM users u',
    'SELECT row_to_json(u) FROM users u',
    'SELECT to_jsonb(u) FROM users AS u',
    'SELECT (u).email FROM users u',
    'SELECT count(email) FROM users',
    'SELECT count(DISTINCT u) FROM users u',
    "SELECT id FROM users WHERE email LIKE 'p%'",
    'SELECT id FROM users ORDER BY password',
    'SELECT n.id FROM notes n JOIN users u ON u.id = n.user_id AND length(u.password) > 3',
    'SELECT n.id, x.* FROM notes n, LATERAL (SELECT * FROM users) x',
    'TABLE users',
    'SELECT * FROM everybody',
    "SELECT whole_user('u1')",
    "SELECT query_to_xml('SELECT email FROM users', true, false, '')",
    "SELECT table_to_xml('users', true, false, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(email) FROM users')",
    'EXPLAIN SELECT * FROM users',
    "EXPLAIN SELECT id FROM users WHERE email = 'person1@leaked.example'",
    'COPY users TO STDOUT',
    'DO $$ BEGIN PERFORM email FROM users; END $$',
    'DECLARE c CURSOR FOR SELECT email FROM users',
    'WITH u AS (SELECT * FROM users) SELECT 1 FROM u',
    'SELECT * FROM pg_statistic',
    'SELECT * FROM pg_authid',
    'SELECT * FROM pg_largeobject',
  ])('are rejected by the database: %s', async (sql) => {
    const { query } = await givenStudio(fleet);

    const reply = await query(sql);

    expect(errorCodeOf(reply)).toBe(INSUFFICIENT_PRIVILEGE);
    expect(JSON.stringify(reply)).not.toMatch(LEAK);
  });

  it('leave the other columns readable', async () => {
    const { query } = await givenStudio(fleet);

    expect(await query("SELECT id, city FROM users WHERE id = 'u1'")).toEqual([null, [{ id: 'u1', city: 'Lisbon' }]]);
  });

  it.each([
    'SELECT tablename, attname, most_common_vals::text, histogram_bounds::text FROM pg_stats',
    'SELECT * FROM pg_stats_ext',
    'SELECT query FROM pg_stat_activity',
    "SELECT query_to_xml('SELECT * FROM pg_stats', true, false, '')::text",
  ])('do not appear in statistics: %s', async (sql) => {
    const { query } = await givenStudio(fleet);
    const all = await rowsOf(fleet.target('people').admin, 'SELECT most_common_vals::text FROM pg_stats');
    expect(JSON.stringify(all)).toMatch(LEAK);

    const reply = await query(sql);

    expect(errorCodeOf(reply)).toBeNull();
    expect(JSON.stringify(reply)).not.toMatch(LEAK);
  });

  it('include the columns that the database generates from them', async () => {
    const { studio } = await givenStudio(fleet);
    const access = studio.context.access.get('people');

    await access?.open();

    expect(access?.hidden()).toEqual([
      { table: 'users', column: 'email', kind: 'pii' },
      { table: 'users', column: 'password', kind: 'secret' },
      ...['details', 'ip_address', 'user_agent'].map((column) => ({ table: 'audit_logs', column, kind: 'pii' })),
      { table: 'users', column: 'search', kind: 'pii' },
    ]);
  });

  it('are readable with --reveal', async () => {
    const { query } = await givenStudio(fleet, { reveal: true });

    expect(await query("SELECT email, password FROM users WHERE id = 'u1'")).toEqual([
      null,
      [{ email: 'person1@leaked.example', password: 'hunter2-leaked' }],
    ]);
  });

  it('are hidden again by the next start without --reveal', async () => {
    const revealed = await givenStudio(fleet, { reveal: true, write: true });
    await revealed.query('SELECT email FROM users');

    const { query } = await givenStudio(fleet);

    expect(errorCodeOf(await query('SELECT email FROM users'))).toBe(INSUFFICIENT_PRIVILEGE);
    expect(errorCodeOf(await revealed.query('SELECT email FROM users'))).toBe('STUDIO.TAKEN_OVER');
  });

  it('keep the studio from opening a database where PUBLIC may read them', async () => {
    const { admin } = fleet.target('people');
    await rowsOf(admin, 'GRANT SELECT (email) ON users TO PUBLIC');
    const { query } = await givenStudio(fleet);

    const reply = await query('SELECT 1');
    await rowsOf(admin, 'REVOKE SELECT (email) ON users FROM PUBLIC');

    expect(errorCodeOf(reply)).toBe('STUDIO.NOT_HIDDEN');
    expect(await query('SELECT 1 AS one')).toEqual([null, [{ one: 1 }]]);
  });
});

describe('without --write', () => {
  it.each([
    ["UPDATE users SET city = 'Porto'", READ_ONLY],
    ["INSERT INTO notes (user_id, body) VALUES ('u1', 'x')", READ_ONLY],
    ['DELETE FROM notes', READ_ONLY],
    ['WITH gone AS (DELETE FROM notes RETURNING id) SELECT * FROM gone', READ_ONLY],
    ['DROP TABLE notes', READ_ONLY],
    ['CREATE TABLE mine (id int)', READ_ONLY],
    ['CREATE TEMP TABLE mine (id int)', READ_ONLY],
    ["SELECT add_user('mallory')", INSUFFICIENT_PRIVILEGE],
    ["SELECT nextval('notes_id_seq')", INSUFFICIENT_PRIVILEGE],
    ["COPY (SELECT 1) TO PROGRAM 'touch /tmp/azora-studio-was-here'", INSUFFICIENT_PRIVILEGE],
    ["COPY notes FROM PROGRAM 'id'", INSUFFICIENT_PRIVILEGE],
    ["SELECT pg_read_file('/etc/passwd')", INSUFFICIENT_PRIVILEGE],
    ["SELECT pg_ls_dir('/')", INSUFFICIENT_PRIVILEGE],
    ["SELECT lo_import('/etc/passwd')", INSUFFICIENT_PRIVILEGE],
    ['SET ROLE pg_read_all_data', INSUFFICIENT_PRIVILEGE],
    ['SET SESSION AUTHORIZATION pg_read_all_data', INSUFFICIENT_PRIVILEGE],
    ["ALTER ROLE CURRENT_USER SET default_transaction_read_only = 'off'", READ_ONLY],
    ['SET TRANSACTION READ WRITE', '25001'],
    ["SELECT set_config('transaction_read_only', 'off', false)", '25001'],
    ['SET default_transaction_read_only = off; DELETE FROM notes', '42601'],
    ['COMMIT; DELETE FROM notes', 'STUDIO.TRANSACTION_CONTROL'],
    ['SELECT 1; DELETE FROM notes', '42601'],
    ['SELECT 1; COMMIT; DELETE FROM notes', 'STUDIO.TRANSACTION_CONTROL'],
    ['DO $$ BEGIN COMMIT; DELETE FROM notes; END $$', '2D000'],
    ['COMMIT', 'STUDIO.TRANSACTION_CONTROL'],
    ['/* a /* b */ */ -- c\n ; commit and chain', 'STUDIO.TRANSACTION_CONTROL'],
    ['--\rCOMMIT', 'STUDIO.TRANSACTION_CONTROL'],
    ['ROLLBACK AND CHAIN', 'STUDIO.TRANSACTION_CONTROL'],
    ['SAVEPOINT mine', 'STUDIO.TRANSACTION_CONTROL'],
    ['RELEASE mine', 'STUDIO.TRANSACTION_CONTROL'],
    ['ROLLBACK TO mine', 'STUDIO.TRANSACTION_CONTROL'],
    ['END', 'STUDIO.TRANSACTION_CONTROL'],
    ['BEGIN', 'STUDIO.TRANSACTION_CONTROL'],
    ["PREPARE TRANSACTION 'mine'", 'STUDIO.TRANSACTION_CONTROL'],
  ])('rejects %s', async (sql, code) => {
    const { query } = await givenStudio(fleet);

    expect(errorCodeOf(await query(sql))).toBe(code);
    expect(await query('SELECT count(*) FROM notes')).toEqual([null, [{ count: '1' }]]);
  });

  it('rolls back writes that a READ ONLY transaction allows', async () => {
    const { query } = await givenStudio(fleet);

    await query('SELECT lo_create(4242)');

    const kept = await rowsOf(fleet.target('people').admin, 'SELECT count(*)::int FROM pg_largeobject_metadata');
    expect(kept).toEqual([0]);
  });

  it('grants the role SELECT only, in one database', async () => {
    const { query } = await givenStudio(fleet);
    await query('SELECT 1');
    const role = studioRole(fleet.target('people'));

    const { admin } = fleet.target('people');
    const kinds = await rowsOf(
      admin,
      `SELECT DISTINCT privilege_type FROM information_schema.column_privileges WHERE grantee = '${role}'`,
    );
    const connect = await rowsOf(
      admin,
      `SELECT has_database_privilege('${role}', '${fleet.target('shop').database}', 'CONNECT')`,
    );

    expect([kinds, connect]).toEqual([['SELECT'], [false]]);
  });

  it('clears the state of the session between requests', async () => {
    const { query } = await givenStudio(fleet);
    const codes = [];
    for (const sql of [
      'SET statement_timeout = 0',
      'SET default_transaction_read_only = off',
      "SELECT set_config('search_path', 'pg_temp', false)",
      'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
      'SELECT pg_advisory_lock(4242)',
      'LISTEN gossip',
      'PREPARE mine AS SELECT 1',
      'DECLARE held CURSOR WITH HOLD FOR SELECT 1',
    ])
      codes.push(errorCodeOf(await query(sql)));

    const replies = await Promise.all(
      Array.from({ length: 4 }, () =>
        query(`SELECT current_setting('statement_timeout') AS timeout, current_setting('transaction_read_only') AS reads,
          current_setting('default_transaction_read_only') AS reads_by_default, current_schema() AS schema,
          (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4242) AS locks,
          (SELECT count(*) FROM pg_prepared_statements WHERE name <> '') AS prepared,
          (SELECT count(*) FROM pg_listening_channels()) AS channels, (SELECT count(*) FROM pg_cursors WHERE name <> '') AS cursors`),
      ),
    );

    const clean = { timeout: '15s', reads: 'on', reads_by_default: 'on', schema: 'public' };
    const none = { locks: '0', prepared: '0', channels: '0', cursors: '0' };
    expect(codes).toEqual(Array(8).fill(null));
    expect(replies).toEqual(Array(4).fill([null, [{ ...clean, ...none }]]));
  });
});

describe('with --write', () => {
  it('changes only what the app role may change, and no hidden column', async () => {
    const { query } = await givenStudio(fleet, { write: true });

    const codes = [];
    for (const sql of [
      "UPDATE users SET city = 'Porto' WHERE id = 'u2' RETURNING city",
      "UPDATE users SET email = 'x' WHERE id = 'u2'",
      "UPDATE users SET city = email WHERE id = 'u2'",
      "UPDATE users SET city = 'x' WHERE id = 'u2' RETURNING *",
      "INSERT INTO users (id, email, password) VALUES ('x', 'y', 'z')",
      "INSERT INTO notes (user_id, body) VALUES ('u1', 'more') RETURNING body",
      "DELETE FROM notes WHERE body = 'more'",
      'UPDATE ledger SET amount = 0',
      'DELETE FROM ledger',
      'DELETE FROM _prisma_migrations',
      "SELECT add_user('mallory')",
      "SELECT whole_user('u1')",
      'CREATE TABLE mine (id int)',
    ]) {
      codes.push(errorCodeOf(await query(sql)));
    }

    const no = INSUFFICIENT_PRIVILEGE;
    expect(codes).toEqual([null, no, no, no, no, null, null, no, no, no, no, no, no]);
    expect(await rowsOf(fleet.target('people').admin, "SELECT city FROM users WHERE id = 'u2'")).toEqual(['Porto']);
  });

  it('lets the app role still call SECURITY DEFINER functions', async () => {
    const { query } = await givenStudio(fleet);
    await query('SELECT 1');
    const { admin, role } = fleet.target('people');
    const app = withUrlParts(admin, { user: role, password: 'only-for-tests' });

    expect(await rowsOf(app, "SELECT email FROM whole_user('u1')")).toEqual(['person1@leaked.example']);
  });
});

describe('the role', () => {
  it('has no privileges and cannot log in after the studio has closed', async () => {
    const { query } = await givenStudio(fleet, { write: true, reveal: true });
    await query('SELECT 1');
    const role = studioRole(fleet.target('people'));

    await closeStudios();

    const { admin } = fleet.target('people');
    const left = await rowsOf(
      admin,
      `SELECT rolcanlogin AS login, rolpassword IS NULL AS forgotten,
         has_database_privilege(oid, current_database(), 'CONNECT') AS connects,
         has_table_privilege(oid, 'notes', 'SELECT') OR has_any_column_privilege(oid, 'users', 'SELECT') AS reads,
         (SELECT count(*)::int FROM pg_stat_activity WHERE usename = rolname AND pid <> pg_backend_pid()) AS sessions
       FROM pg_authid WHERE rolname = '${role}'`,
    );
    expect(left).toEqual([{ login: false, forgotten: true, connects: false, reads: false, sessions: 0 }]);
  });

  it('stays with a studio that was started later', async () => {
    const first = await givenStudio(fleet);
    await first.query('SELECT 1');
    const second = await givenStudio(fleet);
    await second.query('SELECT 1');

    await first.studio.close();

    expect(await second.query('SELECT 1 AS one')).toEqual([null, [{ one: 1 }]]);
  });

  it('is not used when it has attributes or memberships of its own', async () => {
    const role = studioRole(fleet.target('people'));
    const { admin } = fleet.target('people');
    await rowsOf(admin, `ALTER ROLE ${role} BYPASSRLS; GRANT pg_read_all_data TO ${role}`);
    const { query } = await givenStudio(fleet);

    const reply = await query('SELECT 1');
    await rowsOf(admin, `ALTER ROLE ${role} NOBYPASSRLS; REVOKE pg_read_all_data FROM ${role}`);

    expect(errorCodeOf(reply)).toBe('STUDIO.ROLE_TOO_POWERFUL');
    expect(JSON.stringify(reply)).toMatch(/BYPASSRLS, member of pg_read_all_data/);
  });

  it('is named in the log when it cannot be disabled, and a statement when it cannot be ended', async () => {
    const people = fleet.target('people');
    const target = { ...people };
    const allServices = await findServices(fleet.root);
    const settings = readSettings(fleet.root, allServices, fleet.environment);
    const logged: string[] = [];
    const log = (line: string) => logged.push(line);
    const studio = await openStudioContext({
      settings,
      allServices,
      targets: [target],
      write: false,
      reveal: false,
      log,
    });
    await studio.prepare();
    const nowhere = new URL(people.admin.href);
    nowhere.port = '1';
    target.admin = parseDatabaseUrl(nowhere.href, 'moved');

    await studio.context.access.get('people')?.cutOff(1);
    await studio.close();

    expect(logged).toEqual([
      expect.stringMatching(/^people: could not end a canceled statement on the server: .*:1\//),
      expect.stringMatching(/^people: could not disable the role .*_studio; .*:1\//),
    ]);
  });
});
