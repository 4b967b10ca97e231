/** @server any */
import { spawnSync } from 'node:child_process';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { withUrlParts } from '@azora/db-core';
import { CTRL_C, openTerminal } from '@azora/db-testkit';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');
const CONSENT = path.resolve(__dirname, '..', 'dist', 'commands', 'consent.js');
const SCHEMA = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const UP = 'CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes SELECT generate_series(1, 1200)';

describe('the consent to an action that loses rows', () => {
  let fleet: GivenFleet;
  let database = '';
  let host = '';
  beforeAll(async () => {
    fleet = await givenMigratedFleet({ notes: { schema: SCHEMA, up: UP }, other: { schema: SCHEMA, up: UP } });
    ({ database, host } = fleet.target('notes').admin);
  });
  afterAll(removeFleets);

  const env = () => ({ PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...fleet.environment });
  const run = (...args: readonly string[]) => {
    const { status, stdout } = spawnSync(process.execPath, [BIN, ...args, '--json'], {
      ...{ cwd: fleet.root, env: env(), encoding: 'utf8', input: '' },
    });
    return { status, answer: JSON.parse(stdout) };
  };
  const terminal = (...args: readonly string[]) =>
    openTerminal([process.execPath, BIN, ...args], { cwd: fleet.root, env: env() });
  const notes = async (service = 'notes') =>
    (await rowsOf(fleet.target(service).admin, 'SELECT count(*)::int FROM notes'))[0];
  const givenNotes = () =>
    rowsOf(
      fleet.target('notes').admin,
      'INSERT INTO notes SELECT generate_series(1, 1200) ON CONFLICT DO NOTHING; SELECT',
    );
  beforeEach(givenNotes);

  it('needs the name of the database in a pipe, and --yes alone is not enough on a server that is not embedded', async () => {
    for (const consent of [[], ['--yes'], ['--confirm', 'azora_notes'], ['--confirm=azora_notes']]) {
      const { status, answer } = run('reset', '--service', 'notes', ...consent);

      expect({ consent, status, answer }).toMatchObject({
        status: 2,
        answer: {
          error: {
            code: 'USAGE.NEEDS_CONFIRM',
            why: expect.stringContaining('1 database with 1 table and 1,200 rows'),
            next: `Run "npx azora-db reset --service notes --json --confirm ${database}"`,
          },
        },
      });
    }
    expect(await notes()).toBe(1200);

    expect(run('reset', '--service', 'notes', '--confirm', database)).toMatchObject({ status: 0 });
    expect(
      await rowsOf(
        fleet.target('notes').admin,
        "SELECT obj_description(to_regclass('_prisma_migrations')) IS NOT NULL",
      ),
    ).toEqual([true]);
  });

  it('needs the host of the server for several databases', async () => {
    expect(run('seed', '--reset', '--confirm', database).answer.error).toMatchObject({
      code: 'USAGE.NEEDS_CONFIRM',
      why: expect.stringContaining('2 databases with 2 tables and 2,400 rows'),
      next: `Run "npx azora-db seed --reset --json --confirm ${host}"`,
    });
    expect(await notes()).toBe(1200);
  });

  it.each([
    ['another answer', 'yes\n', 2],
    ['the end of the input', '\x04', 2],
    ['Ctrl-C', CTRL_C, 130],
  ])('is asked for on a terminal, and %s changes nothing', async (_, typed, exitCode) => {
    const { ended, output, type, waitFor, close } = terminal('reset', '--service', 'notes');
    try {
      await waitFor(/to continue: /);
      type(typed);

      expect(await ended).toBe(exitCode);
      const { port } = fleet.target('notes').admin;
      expect(output()).toContain(
        `This would drop every table with its rows:\r\n  on the server ${host}:${port}:\r\n    ${database}: 1 table, 1,200 rows`,
      );
      expect(output()).toContain(`Type ${database} to continue: `);
      expect(output()).toContain('Nothing was changed');
      expect(await notes()).toBe(1200);
    } finally {
      await close();
    }
  });

  it('is given on a terminal by the name of the database', async () => {
    const { ended, type, waitFor, close } = terminal('reset', '--service', 'other', '--yes');
    try {
      await waitFor(/to continue: /);
      await rowsOf(fleet.target('other').admin, 'CREATE TABLE stray (); SELECT 1');
      type(`${fleet.target('other').database}\n`);

      expect(await ended).toBe(0);
      expect(await rowsOf(fleet.target('other').admin, "SELECT to_regclass('stray')")).toEqual([null]);
    } finally {
      await close();
    }
  });

  it.each([
    ['an unknown service', ['reset', '--service', 'mint'], 'USAGE.UNKNOWN_SERVICE'],
    ['an unknown service of a seed', ['seed', '--reset', '--service', 'mint'], 'USAGE.UNKNOWN_SERVICE'],
    ['an unknown set', ['restore', '20200101T000000Z-none'], 'BACKUP.UNKNOWN_SET'],
    ['an unknown tag', ['migrate', 'down', '--accept-data-loss', '--to', 'none'], 'USAGE.UNKNOWN_DESTINATION'],
    ['a server without an archive', ['pitr', 'restore', '--to', 'latest'], 'PITR.NOT_EMBEDDED'],
  ])('is asked for after all options are checked: %s', (_, args, code) => {
    expect(run(...args)).toMatchObject({ status: 2, answer: { error: { code } } });
  });

  it('is not asked for when the seed is not compiled: the emptied tables would stay empty', async () => {
    const dist = path.join(fleet.root, 'prisma', 'dist');
    await rename(dist, `${dist}.away`);
    try {
      const { status, answer } = run('seed', '--reset', '--confirm', host);

      expect({ status, code: answer.error.code }).toEqual({ status: 2, code: 'SEED.NOT_BUILT' });
    } finally {
      await rename(`${dist}.away`, dist);
    }
  });

  /** Calls the consent function in a process without a terminal; prints its error or null, and then what it logged. */
  const CALL = `
    const { requireConsent } = require(${JSON.stringify(CONSENT)});
    const lines = [];
    const context = { args: ['reset', '--service', 'a b'], signal: new AbortController().signal, log: (line) => lines.push(line) };
    requireConsent(context, JSON.parse(process.argv[1])).then(
      () => null,
      ({ code, next }) => ({ code, next }),
    ).then((error) => console.log(JSON.stringify({ error, text: lines.join('\\n') })));`;
  const consent = (target: object, flags: object) => {
    const request = JSON.stringify({ action: 'drop', targets: [target], ...flags });
    const { stdout } = spawnSync(process.execPath, ['-e', CALL, request], { encoding: 'utf8', input: '', env: env() });
    return JSON.parse(stdout);
  };

  it('is --yes on the embedded server, and the message shows the server and the contents', () => {
    const target = { ...fleet.target('notes'), server: 'embedded' };

    expect(consent(target, {})).toMatchObject({
      error: { code: 'USAGE.NEEDS_YES', next: `Run "npx azora-db reset --service 'a b' --yes"` },
    });
    const { port } = fleet.target('notes').admin;
    const text = `  on the embedded server ${host}:${port}:\n    ${database}: 1 table, 1,200 rows`;
    expect(consent(target, { yes: true })).toMatchObject({ error: null, text: expect.stringContaining(text) });
  });

  it('shows why the contents of a database are not known, and leaves out a database that does not exist', () => {
    const target = fleet.target('notes');
    const refused = { ...target, admin: withUrlParts(target.admin, { user: 'nobody' }) };
    const gone = { ...target, admin: withUrlParts(target.admin, { database: `${database}_gone` }) };

    expect(consent(refused, { confirm: database })).toMatchObject({
      error: null,
      text: expect.stringContaining('unknown contents (The server refused the connection'),
    });
    expect(consent(gone, { confirm: database })).toEqual({ error: null, text: 'This would drop' });
  });
});
