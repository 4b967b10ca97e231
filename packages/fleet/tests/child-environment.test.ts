/** @server any */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { runSeed } from '../src/operations/seed';
import { runInWorkspace } from '../src/operations/workspace';
import { startCompanion } from '../src/postgres/companion/server';
import { childEnvironment } from '../src/system/child-environment';

const { PATH = '' } = process.env;

const SECRETS = {
  AZORA_BACKUP_KEY: 'AGE-SECRET-KEY-1X',
  AZORA_BACKUP_PASSPHRASE: 'passphrase',
  AWS_SECRET_ACCESS_KEY: 'secret',
  DATABASE_URL: 'postgresql://postgres:password@localhost/postgres',
  NODE_OPTIONS: '--no-warnings',
  PGDATA: '/elsewhere',
  'npm_config_//registry.example.org/:_authToken': 'token',
};

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'azora-child-'));
  Object.assign(process.env, SECRETS);
});

afterEach(async () => {
  for (const name of Object.keys(SECRETS)) delete process.env[name];
  await rm(directory, { recursive: true, force: true });
});

async function writeProgram(file: string, text: string): Promise<string> {
  const program = path.join(directory, file);
  await mkdir(path.dirname(program), { recursive: true });
  await writeFile(program, text, { mode: 0o755 });
  return program;
}

/** Includes a variable of the whole test run, because a child that inherits everything sees the variables of the real process. */
function secretsIn(environment: object): readonly string[] {
  return Object.keys(environment).filter((name) => name in SECRETS || name === 'TEST_DATABASE_URL');
}

describe('childEnvironment', () => {
  it('gives a child what programs need, and no secret of this process', () => {
    const environment = { PATH, HOME: '/home/ada', LANG: 'C', LC_ALL: 'C', TZ: 'UTC', TMPDIR: '/tmp' };
    const printed = execFileSync(process.execPath, ['-p', 'JSON.stringify(process.env)'], {
      env: childEnvironment({ ...environment, ...SECRETS }),
      encoding: 'utf8',
    });

    expect(JSON.parse(printed)).toEqual(environment);
  });

  it('adds the variables that the caller names, which win over inherited ones', () => {
    expect(childEnvironment({ PATH, TZ: 'Europe/Lisbon', PGDATA: '/elsewhere' }, { TZ: 'UTC', PGPORT: '1' })).toEqual({
      PATH,
      TZ: 'UTC',
      PGPORT: '1',
    });
  });

  it('leaves out a variable that is not set', () => {
    expect(childEnvironment({ PATH: undefined, HOME: '/home/ada' })).toEqual({ HOME: '/home/ada' });
  });
});

describe('a companion', () => {
  const { execPath } = process;
  afterEach(() => {
    process.execPath = execPath;
  });

  const start = () =>
    startCompanion({ home: directory, service: 'rag', database: 'azora_rag', environment: process.env });

  it('does not see the secrets of the command that starts it', async () => {
    process.execPath = await writeProgram('node', '#!/bin/sh\nenv > environment\nexit 1\n');

    await expect(start()).rejects.toMatchObject({ code: 'COMPANION.START_FAILED' });

    const lines = (await readFile(path.join(directory, 'companion', 'rag', 'environment'), 'utf8')).split('\n');
    const environment = Object.fromEntries(lines.map((line) => [line.split('=')[0], '']));
    expect(secretsIn(environment)).toEqual([]);
    expect(environment).toHaveProperty('PATH');
  });

  (process.platform === 'linux' ? it : it.skip)('leaves no open log when it cannot be spawned (Linux)', async () => {
    // A NUL byte in the program's path makes spawn throw.
    process.execPath = '/no\0de';

    await expect(start()).rejects.toMatchObject({ code: 'COMPANION.HOME_UNUSABLE' });

    const descriptors = await readdir('/proc/self/fd');
    const open = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    expect(open.filter((file) => file.startsWith(directory))).toEqual([]);
  });
});

describe('a build', () => {
  it('sees the variables that steer a build, and no secret', async () => {
    const script = 'process.stderr.write(JSON.stringify(process.env)); process.exitCode = 1;';
    const environment = { ...process.env, NX_SKIP_NX_CACHE: 'true', npm_config_cache: '/cache' };

    const error: { why?: string } = await runInWorkspace('building', ['-e', script], {
      root: directory,
      environment,
    }).then(
      () => ({}),
      (thrown: { why?: string }) => thrown,
    );

    const seen = JSON.parse(error.why ?? '{}');
    expect(secretsIn(seen)).toEqual([]);
    expect(seen).toMatchObject({ PATH, NX_SKIP_NX_CACHE: 'true', NX_DAEMON: 'false', npm_config_cache: '/cache' });
  });
});

describe('the seed', () => {
  it('does not see the secrets of the command', async () => {
    await writeProgram(
      'prisma/dist/seed.js',
      `process.once('message', () => {
         const failed = { kind: 'failed', service: 'shop', code: 'TEST.SEED', errorKind: 'failure' };
         process.send({ ...failed, message: JSON.stringify(process.env) }, () => process.disconnect());
       });`,
    );
    const services = [{ name: 'shop', packageName: '@azora/shop', url: 'postgresql://localhost/shop' }];
    const request = { services, waves: [['shop']], repositoryRoot: directory, scale: 0 };

    const [row] = await runSeed(request, { root: directory, environment: process.env });

    const seen = JSON.parse(row?.state === 'failed' ? row.error.message : '{}');
    expect(secretsIn(seen)).toEqual([]);
    expect(seen).toMatchObject({ PATH });
  });
});
