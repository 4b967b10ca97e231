import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withClient } from '@azora/db-fleet';
import { repositoryRoot, testServerUrl } from '@azora/db-testkit';
import { azoraDb, type CliResult } from './cli';

const SERVICES = ['auth', 'notification', 'workflow'];

describe('the services of an environment', () => {
  const checkout = mkdtempSync(path.join(os.tmpdir(), 'azora-chosen-'));
  const prefix = `azt_${randomBytes(3).toString('hex')}_`;
  const environment = { DATABASE_URL: testServerUrl().href, AZORA_DB_PREFIX: prefix };
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    azoraDb(args, { cwd: checkout, env: { ...environment, ...env } });
  const setUp = (env: Readonly<Record<string, string>> = {}) => run(['setup', '--no-build', '--json'], env);
  const json = ({ stdout }: CliResult) => JSON.parse(stdout);
  const namesIn = (result: CliResult) => json(result).services.map((it: { service: string }) => it.service);

  /** A server does not offer an extension that does not exist. */
  const needs = (service: string, extensions: readonly string[]) => {
    const file = path.join(checkout, 'services', service, 'package.json');
    const manifest = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...manifest, azora: { ...manifest.azora, extensions } }));
  };

  beforeAll(() => {
    for (const file of ['lerna.json', 'package.json', ...SERVICES.flatMap(partsOf)]) {
      cpSync(path.join(repositoryRoot(), file), path.join(checkout, file), { recursive: true });
    }
    needs('workflow', ['azora_unknown']);
  });

  afterAll(async () => {
    await run(['server', 'stop']);
    await withClient(testServerUrl(), async (client) => {
      for (const [sql, drop] of DROPS) {
        const { rows } = await client.query<{ name: string }>(sql, [prefix]);
        for (const { name } of rows) await client.query(drop(name));
      }
    });
    rmSync(checkout, { recursive: true, force: true });
  });

  describe('on a server that lacks an extension', () => {
    it('are set up without the service that needs it, and setup says so', async () => {
      const first = await setUp();
      const text = await run(['setup', '--no-build']);

      expect(first).toMatchObject({ exitCode: 0 });
      expect(namesIn(first)).toEqual(['auth', 'notification']);
      expect(json(first)).toMatchObject({
        ok: true,
        leftOut: [{ service: 'workflow', missing: ['azora_unknown'], server: expect.stringMatching(/:\d+$/) }],
      });
      expect(text).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('workflow is left out') });
      expect(text.stdout).toMatch(/Install .*AZORA_SERVICES/);
    });

    it('are healthy without that service', async () => {
      const status = await run(['status', '--check', '--json']);

      expect(status).toMatchObject({ exitCode: 0 });
      expect(json(status)).toMatchObject({ ok: true, leftOut: [{ service: 'workflow' }] });
      expect(namesIn(status)).toEqual(['auth', 'notification']);
      expect(await run(['migrate', 'up'])).toMatchObject({
        exitCode: 0,
        stderr: expect.stringContaining('workflow is left out'),
      });
    });

    it('are backed up and verified without that service', async () => {
      const backup = await run(['backup', '--json']);
      const verify = await run(['backup', 'verify', '--json']);

      expect([backup, verify]).toMatchObject([{ exitCode: 0 }, { exitCode: 0 }]);
      expect(namesIn(backup)).toEqual(['auth', 'notification']);
    });

    it.each([
      ['--service names', ['--service', 'workflow'], {}],
      ['AZORA_SERVICES names', [], { AZORA_SERVICES: 'auth,workflow' }],
    ])('reject the service that %s', async (_title, flags, env) => {
      expect(await run(['status', '--json', ...flags], env)).toMatchObject({
        exitCode: 2,
        stdout: expect.stringContaining('SERVER.MISSING_EXTENSION'),
      });
    });

    it('include the service after the extension is installed, and never leave out a database with a history', async () => {
      needs('workflow', []);
      const installed = await setUp();
      needs('workflow', ['azora_unknown']);
      const removed = await run(['backup', '--json']);
      await withClient(testServerUrl(), (client) => client.query(`DROP DATABASE "${prefix}workflow"`));

      expect(namesIn(installed)).toEqual(SERVICES);
      expect(namesIn(removed)).toEqual(SERVICES);
    });

    it('are restored only as a whole from a set that holds the service', async () => {
      expect(await run(['restore', 'latest', '--yes'])).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining('SERVER.MISSING_EXTENSION'),
      });
    });
  });

  describe('that AZORA_SERVICES names', () => {
    const chosen = { AZORA_SERVICES: 'auth, notification' };

    it('are the only ones that a command works on', async () => {
      const status = await run(['status', '--json'], chosen);

      expect(namesIn(status)).toEqual(['auth', 'notification']);
      expect(json(status).leftOut).toEqual([]);
      expect(namesIn(await run(['status', '--json', '--service', 'auth'], chosen))).toEqual(['auth']);
    });

    it.each([
      ['--service names another one', ['status', '--service', 'auth,workflow'], chosen, 'USAGE.SERVICE_NOT_SELECTED'],
      ['url names another one', ['url', 'workflow'], chosen, 'USAGE.SERVICE_NOT_SELECTED'],
      ['one is unknown', ['status'], { AZORA_SERVICES: 'outh' }, 'auth, notification, workflow [CONFIG.BAD_SERVICES]'],
      ['a name is empty', ['status'], { AZORA_SERVICES: 'auth,' }, 'There is no service named ""'],
      ['a companion is unknown', ['status'], { AZORA_COMPANION: 'rga' }, 'AZORA_COMPANION contains an unknown service'],
      [
        'a companion has a URL as well',
        ['status'],
        { AZORA_COMPANION: 'auth', AUTH_DATABASE_URL: 'postgresql://u@h/d' },
        'unset AUTH_DATABASE_URL',
      ],
    ])('are rejected when %s', async (_title, args, env, expected) => {
      expect(await run(args, env)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(expected) });
    });
  });

  it('live on a companion beside an ordinary server when AZORA_COMPANION names them', async () => {
    const env = { AZORA_COMPANION: 'notification', AZORA_SERVICES: 'auth,notification' };
    const setup = await setUp(env);
    const servers = await run(['server', 'status', '--json'], env);

    expect(setup).toMatchObject({ exitCode: 0 });
    expect(json(setup).status).toMatchObject([
      { service: 'auth', server: 'ordinary', reachable: true },
      { service: 'notification', server: 'companion', reachable: true },
    ]);
    expect(json(servers).servers).toMatchObject([
      { name: 'embedded', state: 'absent' },
      { name: 'companion of notification', state: 'running' },
    ]);
    expect(json(await run(['server', 'stop', '--json']))).toMatchObject({ stopped: ['companion of notification'] });
  });
});

function partsOf(service: string): readonly string[] {
  return ['package.json', 'prisma'].map((part) => `services/${service}/${part}`);
}

const DROPS: readonly [string, (name: string) => string][] = [
  [
    'SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, $1)',
    (name) => `DROP DATABASE "${name}" WITH (FORCE)`,
  ],
  ['SELECT rolname::text AS name FROM pg_roles WHERE starts_with(rolname, $1)', (name) => `DROP ROLE "${name}"`],
];
