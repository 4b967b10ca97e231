/** @server any */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { DatabaseUrl } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { azoraDb } from '../../../tests/cli';
import { examineFleet } from '../src/operations/migrations/doctor';
import type { Target } from '../src/operations/targets';
import { DEFAULT_LIMITS, type Limits } from '../src/postgres/doctor/check';
import { checkServerSettings } from '../src/postgres/doctor/settings';
import { versionFindings } from '../src/postgres/doctor/versions';
import { beginBackup } from '../src/postgres/dump/snapshot';
import { findWriters } from '../src/postgres/dump/write-fence';
import { startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import { ROLE_LIMITS, ROLE_LIMITS_FROM_17 } from '../src/postgres/role-limits';
import { doctorText } from '../src/render/doctor';
import { targetOf, until } from './doctor-fixture';
import { openClient, rowsOf } from './migrations-fixture';

describe('the check of a server', () => {
  let home: string;
  let url: DatabaseUrl;
  const report = (limits: Partial<Limits> = {}) => examineFleet([targetOf(url, 'embedded')], { limits });
  const objects = async (limits: Partial<Limits> = {}) =>
    (await report(limits)).findings
      .filter(({ level }) => level !== 'note')
      .map(({ service, level, object }) => `${service ?? 'server'} ${level} ${object}`);
  /** Changes a setting and waits until new sessions have it. */
  const set = async (name: string, value: string) => {
    await rowsOf(url, `ALTER SYSTEM SET ${name} = ${value}`);
    await rowsOf(url, 'SELECT pg_reload_conf()');
    await until(async () => ((await rowsOf(url, `SHOW ${name}`))[0] === value ? true : undefined));
  };

  beforeAll(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'azora-doctor-'));
    ({ url } = await startEmbedded({ home }));
    await rowsOf(url, 'ALTER SYSTEM SET max_prepared_transactions = 2');
    await stopEmbedded({ home });
    ({ url } = await startEmbedded({ home }));
  });
  afterAll(async () => {
    await stopEmbedded({ home });
    await rm(home, { recursive: true, force: true });
  });

  it('has no findings on a server that the suite set up', async () => {
    const found = await report();

    expect(found.findings.filter(({ level }) => level !== 'note')).toEqual([]);
    expect(found.servers).toEqual([
      { server: `127.0.0.1:${url.port}`, version: expect.stringMatching(/^18\.\d+$/), services: ['patient'] },
    ]);
    expect(doctorText(found)).toMatch(
      /^127\.0\.0\.1:\d+: PostgreSQL 18\.\d+, 1 database\n[\s\S]*\n1 database, no problems/,
    );
  });

  it.each([
    ['fsync', 'error'],
    ['full_page_writes', 'error'],
    ['synchronous_commit', 'warning'],
    ['autovacuum', 'warning'],
  ])('reports %s = off', async (name, level) => {
    await set(name, 'off');

    expect(await objects()).toEqual([`server ${level} ${name}`]);
    await set(name, 'on');
    expect(await objects()).toEqual([]);
  });

  it('has notes about missing checksums and a missing limit for idle transactions, but not on a companion', () => {
    const rows = [
      { name: 'data_checksums', value: 'off' },
      { name: 'idle_in_transaction_session_timeout', value: '0' },
    ];
    const judge = (server: Target['server']) =>
      checkServerSettings
        .judge(rows, { server, extensions: [], role: 'patient', grants: new Map(), limits: DEFAULT_LIMITS })
        .map(({ level, object }) => [level, object]);

    expect(judge('ordinary')).toEqual(rows.map(({ name }) => ['note', name]));
    expect(judge('companion')).toEqual([]);
  });

  it('reports a setting that a database overrides', async () => {
    await rowsOf(url, `ALTER DATABASE ${url.database} SET synchronous_commit = off`);

    expect(await objects()).toEqual(['patient warning synchronous_commit of the database']);
    await rowsOf(url, `ALTER DATABASE ${url.database} RESET synchronous_commit`);
  });

  it('reports an app role that has no limits of its own, or a limit of zero', async () => {
    const examine = async () =>
      (await examineFleet([{ ...targetOf(url, 'embedded'), role: 'limited_app' }], {})).findings
        .filter(({ check }) => check === 'role-limits')
        .map(({ service, level, object, message }) => `${service} ${level} ${object} ${message}`);
    const finding = (names: string) =>
      `patient warning limited_app has no limit for ${names}, so abandoned statements keep running on the server`;
    const all = { ...ROLE_LIMITS, ...ROLE_LIMITS_FROM_17 };
    expect(await examine()).toEqual([]);
    await rowsOf(url, 'CREATE ROLE limited_app LOGIN');
    expect(await examine()).toEqual([finding(Object.keys(all).sort().join(', '))]);
    for (const [name, value] of Object.entries(all))
      await rowsOf(url, `ALTER ROLE limited_app SET ${name} = '${value}'`);
    expect(await examine()).toEqual([]);
    await rowsOf(url, `ALTER ROLE limited_app IN DATABASE ${url.database} SET lock_timeout = '0s'`);

    expect(await examine()).toEqual([finding('lock_timeout')]);
    await rowsOf(url, `ALTER ROLE limited_app IN DATABASE ${url.database} RESET ALL`);
  });

  it('reports search paths that do not begin with public, each with the statement that resets it', async () => {
    const examine = async () =>
      (await examineFleet([{ ...targetOf(url, 'embedded'), role: 'wandering_app' }], {})).findings
        .filter(({ check }) => check === 'search-path')
        .map(({ service, level, object, message, next }) => `${service} ${level} ${object} ${message}: ${next}`);
    await rowsOf(url, 'CREATE ROLE wandering_app LOGIN; CREATE ROLE other_app LOGIN; CREATE SCHEMA app');
    await rowsOf(url, 'ALTER ROLE other_app SET search_path = app');
    await rowsOf(url, 'ALTER ROLE wandering_app SET search_path = nowhere, "$user", public, app');
    expect(await examine()).toEqual([]);
    await rowsOf(url, `ALTER DATABASE ${url.database} SET search_path = app, public`);
    await rowsOf(url, "ALTER ROLE wandering_app SET search_path = ''");
    await rowsOf(url, `ALTER ROLE wandering_app IN DATABASE ${url.database} SET search_path = "App, public", app`);
    await rowsOf(url, 'ALTER ROLE ALL SET search_path = nowhere');

    const found = await examine();
    expect(found).toEqual([
      'patient error every role has the search path nowhere, so unqualified names have no schema: Run ALTER ROLE ALL RESET search_path',
      `patient error ${url.database} has the search path app, public, so unqualified names mean the schema app: Run ALTER DATABASE "${url.database}" RESET search_path`,
      'patient error wandering_app has the search path "", so unqualified names have no schema: Run ALTER ROLE "wandering_app" RESET search_path',
      `patient error wandering_app has the search path "App, public", app, so unqualified names mean the schema app: Run ALTER ROLE "wandering_app" IN DATABASE "${url.database}" RESET search_path`,
    ]);
    for (const line of found) await rowsOf(url, line.slice(line.indexOf('Run ') + 4));
    expect(await examine()).toEqual([]);
    await rowsOf(url, 'DROP SCHEMA app; DROP ROLE wandering_app; DROP ROLE other_app');
  });

  it('reports few free connections', async () => {
    const few = { connectionsShare: 0.05 };
    expect(await objects(few)).toEqual([]);
    const clients = await Promise.all(Array.from({ length: 10 }, () => openClient(url)));

    expect(await objects(few)).toEqual(['server warning max_connections']);
    await Promise.all(clients.map((client) => client.end()));
  });

  it('reports a forgotten prepared transaction', async () => {
    await rowsOf(url, "BEGIN; CREATE TABLE half (id int PRIMARY KEY); PREPARE TRANSACTION 'forgotten'");

    expect(await objects({ preparedMs: 3_600_000 })).toEqual([]);
    expect(await objects({ preparedMs: 0 })).toEqual(['patient warning forgotten']);
    await rowsOf(url, "ROLLBACK PREPARED 'forgotten'");
  });

  it('shows which prepared transaction the fence of a backup waits for', async () => {
    await rowsOf(url, 'CREATE TABLE fenced (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)');
    await rowsOf(url, "BEGIN; INSERT INTO fenced VALUES (1); PREPARE TRANSACTION 'it''s half done'");
    const holdersOf = (name: string) =>
      withClient(url, async (client) => {
        const tables = (await beginBackup(client)).filter((table) => table.name === name);
        return findWriters(client, tables);
      });

    expect(await holdersOf('fenced')).toEqual([`the prepared transaction 'it''s half done'`]);
    expect(await holdersOf('other')).toEqual([]);
    await rowsOf(url, "ROLLBACK PREPARED 'it''s half done'");
    await rowsOf(url, 'DROP TABLE fenced, other');
  });

  it('reports a finding once for all databases of the server', async () => {
    await set('fsync', 'off');
    const other = targetOf(url, 'embedded');
    const fleet = [targetOf(url, 'embedded'), { ...other, service: { ...other.service, name: 'neighbour' } }];
    const found = await examineFleet(fleet, {});

    expect(found.servers).toHaveLength(1);
    expect(found.findings.filter(({ object }) => object === 'fsync')).toEqual([
      expect.objectContaining({ service: null, server: `127.0.0.1:${url.port}` }),
    ]);
    expect(doctorText(found)).toContain(', 2 databases\n  error    fsync is off');
    await set('fsync', 'on');
  });

  it('runs on the command line', async () => {
    const run = (...flags: string[]) =>
      azoraDb(['migrate', 'doctor', '--service', 'auth', ...flags], { env: { AUTH_DATABASE_URL: url.href } });
    await set('synchronous_commit', 'off');

    const [shown, checked] = await Promise.all([run(), run('--check', '--json')]);

    expect(shown).toMatchObject({ exitCode: 0, stderr: '' });
    expect(shown.stdout).toContain('  warning  synchronous_commit is off: ');
    expect(shown.stdout).toContain('\n           → ALTER SYSTEM SET synchronous_commit = on');
    expect(checked.exitCode).toBe(4);
    expect(JSON.parse(checked.stdout)).toMatchObject({
      ok: false,
      servers: [{ services: ['auth'] }],
      findings: expect.arrayContaining([
        expect.objectContaining({ service: null, check: 'settings', level: 'warning', object: 'synchronous_commit' }),
      ]),
    });
    await set('synchronous_commit', 'on');
  });
});

describe('a version of PostgreSQL', () => {
  const levels = (number: number, isBrought = false) => versionFindings(number, isBrought).map(({ level }) => level);

  it('that the suite does not support is an error', () => {
    expect([140_023, 190_000].map((number) => levels(number))).toEqual([['error'], ['error']]);
  });

  it('with a known bug is a warning, and a note on the embedded server', () => {
    expect([150_005, 160_001, 170_004, 180_006].map((number) => levels(number))).toEqual(Array(4).fill(['warning']));
    expect(levels(180_006, true)).toEqual(['note']);
  });

  it('without a known bug has no finding', () => {
    expect([150_006, 160_002, 170_005, 180_007].flatMap((number) => levels(number))).toEqual([]);
  });
});
