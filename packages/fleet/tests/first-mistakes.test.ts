/** @server any */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { exitCodeOf } from '../src/commands/exit-codes';
import { readEnvironment } from '../src/config/settings';
import { toSuiteError } from '../src/operations/fleet';
import { provision } from '../src/operations/provision';
import { requireUsable } from '../src/postgres/server-requirements';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';

const SERVER = parseDatabaseUrl(process.env['TEST_DATABASE_URL'] ?? '', 'TEST_DATABASE_URL');

/** What the command line would report. */
async function reportOf(work: () => unknown): Promise<{ code: string; text: string; exitCode: number }> {
  try {
    await work();
  } catch (error) {
    const { code, message, why = '', next = '' } = toSuiteError(error);
    return { code, text: `${message}. ${why} ${next}`, exitCode: exitCodeOf(toSuiteError(error)) };
  }
  return { code: 'no error', text: '', exitCode: 0 };
}

describe('a URL', () => {
  it.each([
    'postgresql://u:p@h:99999/d',
    'postgresql://u:p@h:0/d',
    'postgresql://u:p@h/d?port=x',
    'postgresql://h/d?port=65536',
  ])('with a bad port: %s', async (url) => {
    expect(await reportOf(() => parseDatabaseUrl(url, 'DATABASE_URL'))).toMatchObject({
      code: 'CONFIG.BAD_URL',
      text: expect.stringContaining('Its port is not a number from 1 to 65535.'),
      exitCode: 2,
    });
  });

  it.each([
    [
      'names a certificate that does not exist',
      'sslmode=verify-full&sslrootcert=/nowhere.pem',
      'CONFIG.BAD_URL',
      '/nowhere.pem',
    ],
    [
      'asks for TLS on a server without it',
      'sslmode=require',
      'SERVER.TLS_FAILED',
      'remove sslmode from TEST_DATABASE_URL',
    ],
  ])('that %s', async (_title, parameters, code, text) => {
    const url = parseDatabaseUrl(`${SERVER.href}?${parameters}`, SERVER.source);
    const { rows } = await withClient(SERVER, (client) => client.query(`SELECT current_setting('ssl') = 'on' AS tls`));
    if (rows[0].tls && code === 'SERVER.TLS_FAILED') return;

    expect(await reportOf(() => withClient(url, async () => undefined))).toMatchObject({
      code,
      text: expect.stringContaining(text),
      exitCode: 2,
    });
  });

  it('without the password that the server asks for', async () => {
    const url = withUrlParts(SERVER, { password: '' });

    expect(await reportOf(() => withClient(url, async () => undefined))).toMatchObject({
      code: 'SERVER.REFUSED',
      text: expect.stringContaining('TEST_DATABASE_URL contains none'),
      exitCode: 2,
    });
  });
});

describe('a server that refuses every connection', () => {
  it.each([
    [
      'it requires TLS',
      '28000',
      'no pg_hba.conf entry for host "::1", no encryption',
      'SERVER.REFUSED',
      'Add ?sslmode=require',
      2,
    ],
    [
      'it starts',
      '57P03',
      'the database system is starting up',
      'SERVER.UNREACHABLE',
      'Run the command again later',
      1,
    ],
    ['all connections are in use', '53300', 'sorry, too many clients already', 'SERVER.UNREACHABLE', 'later', 1],
  ])('because %s', async (_title, sqlState, message, code, text, exitCode) => {
    const fields = ['SFATAL', `C${sqlState}`, `M${message}`, ''].map((field) => `${field}\0`).join('');
    const head = Buffer.alloc(5, 'E');
    head.writeInt32BE(fields.length + 4, 1);
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(Buffer.concat([head, Buffer.from(fields)])));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const url = parseDatabaseUrl(`postgresql://u:p@127.0.0.1:${port}/d`, 'DATABASE_URL');

    const report = await reportOf(() => withClient(url, async () => undefined));
    server.close();

    expect(report).toMatchObject({ code, text: expect.stringContaining(text), exitCode });
  });
});

describe('setup', () => {
  let fleet: GivenFleet;
  const roles = ['plain', 'reader'].map((name) => `azt_mistake_${process.pid}_${name}`);
  const as = (url: DatabaseUrl, user: string | undefined) =>
    withUrlParts(url, { user: user ?? '', password: 'secret' });
  const [plain, reader] = roles;

  beforeAll(async () => {
    fleet = await givenFleet({ people: { schema: 'model Person {\n  id Int @id\n}', migrations: {} } });
    await withClient(SERVER, async (client) => {
      for (const role of roles) await client.query(`CREATE ROLE "${role}" LOGIN PASSWORD 'secret'`);
      await client.query(`ALTER ROLE "${reader}" SET default_transaction_read_only = on`);
      await client.query(
        `GRANT CONNECT ON DATABASE "${SERVER.database}" TO ${roles.map((role) => `"${role}"`).join()}`,
      );
    });
  });
  afterAll(async () => {
    await withClient(SERVER, async (client) => {
      for (const role of roles) await client.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    });
    await removeFleets();
  });

  it.each([
    ['a role without CREATEROLE', () => as(SERVER, plain), 'SERVER.CANNOT_CREATE_ROLE', 'with CREATEROLE and CREATEDB'],
    ['a role that may only read', () => as(SERVER, reader), 'SERVER.READ_ONLY', 'default_transaction_read_only'],
    [
      'a URL with a database that does not exist',
      () => withUrlParts(SERVER, { database: 'azt_nowhere' }),
      'SERVER.NO_DATABASE',
      'Name the database postgres in TEST_DATABASE_URL',
    ],
  ])('with %s', async (_title, maintenance, code, text) => {
    const target = { ...fleet.target('people'), role: 'azt_mistake_app', maintenance: maintenance() };

    expect(await reportOf(() => provision(target, () => 'secret'))).toMatchObject({
      code,
      text: expect.stringContaining(text),
      exitCode: 2,
    });
  });

  it.each([
    ['14.20', false, 'SERVER.UNSUPPORTED_VERSION'],
    ['15.0', false, 'no error'],
    ['18.4 (Debian 18.4-1)', false, 'no error'],
    ['19beta1', false, 'SERVER.UNSUPPORTED_VERSION'],
    ['17.2', true, 'SERVER.READ_ONLY'],
  ])('on PostgreSQL %s, standby: %s', async (version, isStandby, code) => {
    expect((await reportOf(() => requireUsable({ version, isStandby, isReadOnly: false }))).code).toBe(code);
  });

  it('reports a write to a read-only server in any command', async () => {
    const write = () =>
      withClient(SERVER, (client) => client.query('BEGIN READ ONLY; CREATE TABLE never (id int); COMMIT'));

    expect(await reportOf(write)).toMatchObject({ code: 'SERVER.READ_ONLY', exitCode: 2 });
  });
});

describe('.env', () => {
  let root: string;
  const file = () => path.join(root, '.env');
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'azora-env-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  it.each([
    ['a byte order mark', '\ufeffDATABASE_URL=value\n'],
    ['double quotes and CRLF', 'OTHER=x\r\nDATABASE_URL="value"\r\n'],
    ['export and single quotes', "export DATABASE_URL='value'\n"],
    ['spaces and a comment', ' DATABASE_URL = value # the server\n'],
    ['no line break at the end', 'DATABASE_URL=value'],
  ])('is read with %s', async (_title, text) => {
    await writeFile(file(), text);

    expect(readEnvironment(root, {})['DATABASE_URL']).toBe('value');
  });

  it.each([
    ['a directory', () => mkdir(file())],
    ['text in UTF-16', () => writeFile(file(), Buffer.from('\ufeffDATABASE_URL=value\n', 'utf16le'))],
    ['UTF-16 without a mark', () => writeFile(file(), Buffer.from('DATABASE_URL=value\n', 'utf16le'))],
  ])('is rejected as %s', async (_title, write) => {
    await write();

    expect(await reportOf(() => readEnvironment(root, {}))).toMatchObject({ code: 'CONFIG.BAD_ENV_FILE', exitCode: 2 });
  });
});
