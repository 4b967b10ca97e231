/** @server any */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { studioRole } from '../src/operations/targets';
import { openBrowser } from '../src/studio/run';
import type { GivenFleet } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';
import { enter as enterPage, givenPeople, post, removeStudios, send } from './studio-fixture';
import { REPOSITORY_ROOT } from './suite-fixture';

let fleet: GivenFleet;
const running: ChildProcess[] = [];

beforeAll(async () => {
  fleet = await givenPeople();
});
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});
afterAll(() => removeStudios([fleet]));

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Waits until the output matches. */
  readonly says: (text: RegExp) => Promise<RegExpExecArray>;
  readonly exit: Promise<number | null>;
}

/** The compiled command line. */
function run(...args: string[]): Running {
  const program = path.join(REPOSITORY_ROOT, 'packages', 'fleet', 'bin', 'azora-db.js');
  const child = spawn(process.execPath, [program, 'studio', '--no-open', ...args], {
    cwd: fleet.root,
    env: { ...process.env, ...fleet.environment },
  });
  running.push(child);
  let output = '';
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      for (const look of waiting) look();
    });
  }
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve));
  const says = (text: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = text.exec(output);
        if (found !== null) resolve(found);
      };
      waiting.add(look);
      look();
      void exit.then(() => reject(new Error(`it exited after printing:\n${output}`)));
    });
  return { child, output: () => output, says, exit };
}

const ADDRESS = /The studio is running at (http:\/\/127\.0\.0\.1:(\d+)\/\?token=([\w-]{43}))\s/;

async function enter({ says }: Running) {
  const [, , port, token] = await says(ADDRESS);
  return { port: Number(port), token, entered: await enterPage(Number(port), `?token=${token}`) };
}

it('serves the page and the databases, and prints no secret except its token', async () => {
  const studio = run('--port', '0');
  const { port, entered } = await enter(studio);
  const sent = post(
    port,
    'people',
    JSON.stringify({ procedure: 'query', query: { sql: 'SELECT current_user AS name' } }),
  );

  const page = await send(port, { path: '/', headers: entered });
  const answer = await send(port, { ...sent, headers: { ...sent.headers, ...entered } });

  expect([page.status, answer.text]).toEqual([
    200,
    JSON.stringify([null, [{ name: studioRole(fleet.target('people')) }]]),
  ]);
  expect(studio.output()).not.toMatch(/postgres(ql)?:/);
});

it.each(['SIGINT', 'SIGTERM'] as const)('ends its sessions and disables its role on %s', async (signal) => {
  const studio = run('--port', '0');
  const { port, entered } = await enter(studio);
  const role = studioRole(fleet.target('people'));
  const sent = post(port, 'people', JSON.stringify({ procedure: 'query', query: { sql: 'SELECT pg_sleep(300)' } }));
  const asked = send(port, { ...sent, headers: { ...sent.headers, ...entered } }).catch(() => undefined);
  const { admin } = fleet.target('people');
  const sessions = () => rowsOf(admin, `SELECT pid FROM pg_stat_activity WHERE usename = '${role}'`);
  while ((await sessions()).length === 0) await new Promise((resolve) => setTimeout(resolve, 50));

  studio.child.kill(signal);

  expect([await studio.exit, await asked]).toEqual([130, undefined]);
  expect(await sessions()).toEqual([]);
  expect(
    await rowsOf(
      admin,
      `SELECT rolcanlogin AS login, rolpassword AS password, has_database_privilege(oid, current_database(), 'CONNECT') AS connects
       FROM pg_authid WHERE rolname = '${role}'`,
    ),
  ).toEqual([{ login: false, password: null, connects: false }]);
});

it('takes over the role of a studio that was killed', async () => {
  const killed = run('--port', '0', '--reveal');
  const first = await enter(killed);
  await send(first.port, { path: '/', headers: first.entered });
  killed.child.kill('SIGKILL');
  await killed.exit;

  const studio = run('--port', '0');
  const { port, entered } = await enter(studio);
  const sent = post(port, 'people', JSON.stringify({ procedure: 'query', query: { sql: 'SELECT email FROM users' } }));
  const answer = await send(port, { ...sent, headers: { ...sent.headers, ...entered } });

  expect(JSON.parse(answer.text)[0].code).toBe('42501');
});

it('keeps open pages authenticated after a restart with the same flags only', async () => {
  const killed = run('--port', '0');
  const { port, entered } = await enter(killed);
  killed.child.kill('SIGKILL');
  await killed.exit;

  const statuses = [];
  for (const args of [[], ['--write'], ['--reveal'], ['--password']]) {
    const studio = run('--port', String(port), ...args);
    await studio.says(/The studio is running at /);
    statuses.push((await send(port, { path: '/', headers: entered })).status);
    studio.child.kill('SIGINT');
    await studio.exit;
  }

  expect(statuses).toEqual([200, 401, 401, 401]);
});

it.each([
  {
    what: 'all IPv4 interfaces without a password',
    args: ['--host', '0.0.0.0'],
    code: 'STUDIO.PASSWORD_NEEDED',
  },
  { what: 'all IPv6 interfaces without a password', args: ['--host', '::'], code: 'STUDIO.PASSWORD_NEEDED' },
  {
    what: 'an address of another machine',
    args: ['--host', '203.0.113.1', '--password'],
    code: 'STUDIO.CANNOT_LISTEN',
  },
])('rejects $what', async ({ args, code }) => {
  const studio = run('--port', '0', ...args);

  expect(await studio.exit).toBe(2);
  expect(studio.output()).toContain(`[${code}]`);
});

it('rejects a port of --port that is in use, and names it', async () => {
  const other = createServer();
  const port = await listenOn(other, 0);

  const studio = run('--port', String(port));
  const code = await studio.exit;
  other.close();

  expect(code).toBe(2);
  expect(studio.output()).toContain(`Another program, such as another studio, listens on port ${port}.`);
  expect(studio.output()).toContain('[STUDIO.CANNOT_LISTEN]');
});

it('uses the next free port without --port', async () => {
  const other = createServer();
  // Fails when a studio of another run uses the port; then the port is in use all the same.
  await listenOn(other, 5180).catch(() => undefined);

  const studio = run();
  const [, , port] = await studio.says(ADDRESS);
  other.close();

  expect(Number(port)).toBeGreaterThan(5180);
  expect(studio.output()).toContain('Port 5180 is in use; trying 5181');
});

it.each(['65536', '-1', ''])('rejects --port %j as invalid usage', async (port) => {
  const studio = run(`--port=${port}`);

  expect(await studio.exit).toBe(2);
  expect(studio.output()).toContain('It must be a whole number from 0 to 65535.');
});

async function listenOn(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

it('takes the password from .env', async () => {
  const file = path.join(fleet.root, '.env');
  await writeFile(file, 'AZORA_STUDIO_PASSWORD="correct horse"\n');
  const studio = run('--port', '0', '--password');
  const [, port] = await studio.says(/The studio is running at http:\/\/127\.0\.0\.1:(\d+)\/\s/);
  await rm(file);
  const authorization = `Basic ${Buffer.from('any:correct horse').toString('base64')}`;

  const { status } = await send(Number(port), { path: '/', headers: { authorization } });

  expect([status, studio.output()]).toEqual([302, expect.not.stringContaining('The password is')]);
});

it('opens the page in the browser of the desktop, which inherits no secret', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'azora-browser-'));
  const opened = createServer();
  await new Promise<void>((resolve) => opened.listen(path.join(folder, 'opened.sock'), resolve));
  const report = `require('net').connect(process.env.XDG_RUNTIME_DIR + '/opened.sock').end(JSON.stringify({
    args: process.argv.slice(2), env: process.env }))`;
  await writeFile(path.join(folder, 'xdg-open'), `#!${process.execPath}\n${report}`, { mode: 0o755 });
  const desktop = { PATH: folder, LC_ALL: 'C', DISPLAY: ':7', XDG_RUNTIME_DIR: folder };
  const logged: string[] = [];

  openBrowser(
    'http://127.0.0.1:1/?token=t',
    { ...desktop, AZORA_BACKUP_KEY: 'secret', NODE_OPTIONS: '--bad' },
    (line) => logged.push(line),
  );
  const [socket] = (await once(opened, 'connection')) as [Socket];
  const { args, env } = (await json(socket)) as { args: string[]; env: Record<string, string> };
  opened.close();
  await rm(folder, { recursive: true });

  expect(args).toEqual(['http://127.0.0.1:1/?token=t']);
  expect(env).toEqual(desktop);
  expect(logged).toEqual([]);
});

it('says so when the browser cannot be started', async () => {
  const line = await new Promise((resolve) =>
    openBrowser('http://127.0.0.1:1/', { PATH: '/nowhere', DISPLAY: ':7' }, resolve),
  );

  expect(line).toBe('Could not open a browser: spawn xdg-open ENOENT. Open http://127.0.0.1:1/ yourself');
});
