/** @server any */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { parseDatabaseUrl, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-fleet';
import { repositoryRoot, testServerUrl } from '@azora/db-testkit';
import { azoraDb, type CliResult } from './cli';

/** Three services stand for the fleet: a plain one, one with functions and triggers, one with serial ids. */
const FEW = ['--service', 'notification,mint,workflow'];

/** The migrations of a service, newest first. */
const migrationsOf = (service: string) =>
  readdirSync(path.join(repositoryRoot(), 'services', service, 'prisma', 'migrations'))
    .filter((name) => /^\d/.test(name))
    .sort()
    .reverse();

describe('azora-db', () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'azora-cli-'));
  const prefix = `azt_${randomBytes(3).toString('hex')}_`;
  const env = { DATABASE_URL: testServerUrl().href, AZORA_DB_PREFIX: prefix, AZORA_HOME: home };
  const run = (...args: string[]) => azoraDb(args, { env });
  const names = ['mint', 'notification', 'workflow'];
  const acceptWorkflow = ['--service', 'workflow', '--accept-data-loss', '--confirm', `${prefix}workflow`];

  afterAll(async () => {
    await withClient(testServerUrl(), async (client) => {
      const { rows } = await client.query<{ datname: string }>(
        'SELECT datname FROM pg_database WHERE datname LIKE $1',
        [`${prefix}%`],
      );
      for (const { datname } of rows) await client.query(`DROP DATABASE "${datname}" WITH (FORCE)`);
      const roles = await client.query<{ rolname: string }>('SELECT rolname FROM pg_roles WHERE rolname LIKE $1', [
        `${prefix}%`,
      ]);
      for (const { rolname } of roles.rows) await client.query(`DROP ROLE "${rolname}"`);
    });
    rmSync(home, { recursive: true, force: true });
  });

  const json = ({ stdout }: CliResult) => JSON.parse(stdout);

  it('sets up services, and changes nothing in a second run', async () => {
    const first = await run('setup', '--no-build', '--json', ...FEW);
    const second = await run('setup', '--no-build', '--json', ...FEW);

    expect(first.exitCode).toBe(0);
    expect(json(first).services.map((it: { createdDatabase: boolean }) => it.createdDatabase)).toEqual([
      true,
      true,
      true,
    ]);
    expect(second.exitCode).toBe(0);
    expect(json(second).services).toEqual(
      names.map((service) => ({ service, state: 'done', createdDatabase: false, migrations: [] })),
    );
  });

  it('seeds, and a second seed changes no row', async () => {
    const seed = ['seed', '--scale', '1', '--json', ...FEW];
    const first = await azoraDb(seed, { env: { ...env, AZORA_SLOW_QUERY_MS: '0' } });
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.stderr).not.toContain('slow query');
    const before = await contents();

    expect(await run(...seed)).toMatchObject({ exitCode: 0 });
    expect(await contents()).toEqual(before);
  });

  it('prints the state of the fleet as one JSON document', async () => {
    const status = await run('status', '--json', '--check', ...FEW);

    expect(status).toMatchObject({ exitCode: 0, stderr: '' });
    expect(json(status)).toMatchObject({ ok: true });
    expect(json(status).services.map((it: { service: string }) => it.service)).toEqual(names);
    expect(json(status).services[1]).toMatchObject({
      database: `${prefix}notifications`,
      server: 'ordinary',
      reachable: true,
      migrations: { applied: migrationsOf('notification').length, pending: [], failed: [], edited: [] },
      drift: false,
      models: 12,
      tables: { audit_logs: 0, inbox: 0, notifications: expect.any(Number), outbox: 0, outbox_relay: 1 },
      sizeBytes: expect.any(Number),
    });
  });

  it('finds drift with --check', async () => {
    const url = withUrlParts(testServerUrl(), { database: `${prefix}notifications` });
    await withClient(url, (client) => client.query('ALTER TABLE notifications ADD COLUMN stray text'));

    expect((await run('status', '--check', ...FEW)).exitCode).toBe(4);

    await withClient(url, (client) => client.query('ALTER TABLE notifications DROP COLUMN stray'));
    expect((await run('status', '--check', ...FEW)).exitCode).toBe(0);
  });

  it('reverts a migration and applies it again', async () => {
    for (const name of names) {
      const url = withUrlParts(testServerUrl(), {
        database: `${prefix}${name === 'notification' ? 'notifications' : name}`,
      });
      await withClient(url, (client) => client.query(`INSERT INTO audit_logs (id, action) VALUES ('1', 'test')`));
    }
    // Down to the migration that makes the audit log, whose entry would be lost.
    const all = migrationsOf('workflow');
    const reverted = all.slice(0, all.findIndex((name) => name.endsWith('_audit_log')) + 1);
    const steps = ['--steps', String(reverted.length)];
    const refused = await run('migrate', 'down', ...steps, ...FEW);
    expect(refused).toMatchObject({ exitCode: 2, stdout: expect.stringContaining('MIGRATION.DATA_LOSS') });
    const down = await run('migrate', 'down', '--json', ...steps, ...acceptWorkflow);
    expect(down).toMatchObject({ exitCode: 0 });
    expect(json(down).services).toEqual([{ service: 'workflow', state: 'done', migrations: reverted }]);
    const behind = await run('migrate', 'status', '--check', ...FEW);
    const unchecked = await run('migrate', 'status', '--json', ...FEW);
    const up = await run('migrate', 'up', ...FEW);

    expect({ exitCode: unchecked.exitCode, ok: json(unchecked).ok }).toEqual({ exitCode: 0, ok: false });
    expect(behind.exitCode).toBe(4);
    expect(up).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('workflow: applied') });
  });

  it("prints the app role's URL, which reaches its own database only, and the administrator's URL on request", async () => {
    const app = (await run('url', 'mint')).stdout.trim();
    const admin = (await run('url', 'mint', '--admin')).stdout.trim();

    expect(parseDatabaseUrl(app, 'url')).toMatchObject({ user: `${prefix}mint_app`, database: `${prefix}mint` });
    expect(parseDatabaseUrl(admin, 'url').user).toBe(testServerUrl().user);
    const other = withUrlParts(parseDatabaseUrl(app, 'url'), { database: `${prefix}notifications` });
    await expect(withClient(other, async () => undefined)).rejects.toMatchObject({ code: 'SERVER.REFUSED' });
  });

  it('prints JSON when a parent command gets --json', async () => {
    const list = await run('backup', '--json', 'list');

    expect(list).toMatchObject({ exitCode: 0, stderr: '' });
    expect(json(list)).toMatchObject({ sets: [] });
  });

  it('prints one JSON document from every command, whose ok agrees with the exit code', async () => {
    const set = ['--service', 'notification'];
    expect(json(await run('backup', '--json', ...set))).toMatchObject({ ok: true });
    const lines = [
      ['status', '--check', ...set],
      ['migrate', 'plan', ...set],
      ['migrate', 'status', '--check', ...set],
      ['migrate', 'doctor', '--check', ...set],
      ['backup', 'list'],
      ['backup', 'prune'],
      ['restore', 'latest', ...set],
      ['seed', '--reset', ...set],
      ['server', 'status'],
      ['pitr', 'status'],
      ['pitr', 'base'],
      ['url', 'notification'],
      ['completion', 'bash'],
    ];
    const disagreeing: unknown[] = [];
    for (const line of lines) {
      const { exitCode, stdout } = await run(...line, '--json');
      const { ok } = JSON.parse(stdout);
      if (ok !== (exitCode === 0)) disagreeing.push({ line, exitCode, ok });
    }

    expect(disagreeing).toEqual([]);
  });

  it('drops nothing without --confirm, and sets up again with it', async () => {
    expect(await run('reset', ...FEW)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('USAGE.NEEDS_CONFIRM'),
    });
    expect(await run('seed', '--reset', ...FEW)).toMatchObject({ exitCode: 2 });
    expect((await run('reset', '--confirm', testServerUrl().host, ...FEW)).exitCode).toBe(0);
    expect(json(await run('status', '--json', '--service', 'mint')).services[0].tables.transactions).toBe(0);
  });

  it('rejects rag on a server without pgvector, names what to install, and sets up the other services', async () => {
    const { rows } = await withClient(testServerUrl(), (client) =>
      client.query("SELECT FROM pg_available_extensions WHERE name = 'vector'"),
    );
    const result = await run('setup', '--no-build', '--json', '--service', 'rag,notification');
    const [notification, rag] = json(result).services;

    expect(notification.state).toBe('done');
    if (rows.length > 0) expect({ ...result, state: rag.state }).toMatchObject({ exitCode: 0, state: 'done' });
    else {
      const next = expect.stringContaining('pgvector/pgvector:pg17');
      expect({ ...result, rag }).toMatchObject({
        exitCode: 2,
        rag: { error: { code: 'SERVER.MISSING_EXTENSION', next } },
      });
    }
  });

  describe('given something wrong', () => {
    const password = 'hunter2hunter2';

    it.each([
      ['an unknown service', ['status', '--service', 'mnit'], {}, 'Did you mean mint? Known services: agent'],
      ['an unknown command', ['statsu'], {}, 'Did you mean "npx azora-db status"?'],
      ['an unknown option', ['status', '--jsn'], {}, 'Did you mean --json?'],
      ['a bad number', ['migrate', 'down', '--steps', '0'], {}, 'at least 1'],
      ['a malformed URL', ['status'], { DATABASE_URL: `postgresql://u:${password}@:99999/x` }, 'DATABASE_URL'],
      [
        'a malformed URL of one service',
        ['status'],
        { MINT_DATABASE_URL: `mysql://u:${password}@h/x` },
        'MINT_DATABASE_URL',
      ],
      ['a bad prefix', ['status'], { AZORA_DB_PREFIX: 'no spaces' }, 'AZORA_DB_PREFIX'],
    ])('%s: one line, exit 2', async (_title, args, wrong, expected) => {
      const result = await azoraDb(args, { env: { ...env, ...wrong } });

      expect(result.exitCode).toBe(2);
      expect(result.stderr).toContain(expected);
      expect(result.stderr + result.stdout).not.toContain(password);
    });

    it('an unreachable server: the variable and the reason without the password, exit 1', async () => {
      const port = await freePort();
      const unreachable = { ...env, DATABASE_URL: `postgresql://u:${password}@127.0.0.1:${port}/postgres` };

      const result = await azoraDb(['setup', '--no-build'], { env: unreachable });

      expect(result.exitCode).toBe(1);
      expect(result.stderr + result.stdout).toContain('DATABASE_URL');
      expect(result.stderr + result.stdout).toContain('ECONNREFUSED');
      expect(result.stderr + result.stdout).not.toContain(password);
    });

    it.each([
      ['a missing argument', ['migrate', 'tag', '--json'], "Missing required argument 'name'"],
      ['an unknown option', ['status', '--jsn', '--json'], "Unknown option '--jsn'"],
      ['an unknown command', ['statsu', '--json'], "Unknown command 'statsu'"],
      ['--json before the command', ['--json', 'statsu'], "Unknown command 'statsu'"],
      ['a missing command', ['server', '--json'], 'A command is missing'],
    ])('%s with --json: one JSON document on stdout', async (_title, args, message) => {
      const result = await azoraDb(args, { env });

      expect(result.exitCode).toBe(2);
      expect(json(result)).toMatchObject({
        ok: false,
        error: { code: 'USAGE.INVALID_ARGUMENTS', message: expect.stringContaining(message) },
      });
    });

    it('--json as the value of another option: no JSON', async () => {
      const destination = await run('migrate', 'down', '--to', '--json', '--service', 'mint');
      const steps = await run('migrate', 'down', '--steps', '--json');

      expect(destination).toMatchObject({
        exitCode: 2,
        stdout: '',
        stderr: expect.stringContaining('USAGE.UNKNOWN_DESTINATION'),
      });
      expect(steps).toMatchObject({ exitCode: 2, stdout: '' });
    });

    it('a working directory that was removed: one line, exit 2', async () => {
      const gone = mkdtempSync(path.join(os.tmpdir(), 'azora-gone-'));
      const bin = path.join(repositoryRoot(), 'packages/fleet/bin/azora-db.js');
      const script = 'cd "$1" && rmdir "$1" && exec "$2" "$3" status';

      const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', gone, process.execPath, bin], {
        encoding: 'utf8',
      });

      expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringContaining('REGISTRY.NO_SERVICES') });
    });

    it('AZORA_DEBUG in .env: the stack', async () => {
      const checkout = fewServices();
      writeFileSync(path.join(checkout, '.env'), 'AZORA_DEBUG=1\n');

      const result = await azoraDb(['status', '--service', 'mnit'], { env, cwd: checkout });

      expect(result.stderr).toMatch(/Unknown service: mnit[\s\S]*\n {4}at /);
      rmSync(checkout, { recursive: true });
    });

    it('a schema that does not parse: file and line', async () => {
      const checkout = fewServices();
      writeFileSync(
        path.join(checkout, 'services/mint/prisma/schema.prisma'),
        'datasource db {\n  provider = "postgresql"\n}\n\nmodel Oops {\n  id Strin @id\n}\n',
      );

      const result = await azoraDb(['setup', '--no-build'], { env, cwd: checkout });

      expect(result).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining('services/mint/prisma/schema.prisma:6'),
      });
      rmSync(checkout, { recursive: true });
    });

    it('a migration with a syntax error: file, line and caret; other services continue and the database is unchanged', async () => {
      const checkout = fewServices();
      const migration = path.join(checkout, 'services/notification/prisma/migrations/20990101000000_broken');
      cpSync(path.join(checkout, 'services/notification/prisma/migrations/20260101000000_init'), migration, {
        recursive: true,
      });
      writeFileSync(
        path.join(migration, 'migration.sql'),
        'ALTER TABLE notifications ADD COLUMN extra text;\n\nALTER TABEL notifications ADD x int;\n',
      );
      const other = path.join(checkout, 'services/workflow/prisma/migrations/20990101000000_fine');
      cpSync(migration, other, { recursive: true });
      writeFileSync(path.join(other, 'migration.sql'), 'CREATE TABLE fine (id int);\n');
      writeFileSync(path.join(other, 'down.sql'), 'DROP TABLE fine;\n');

      const result = await azoraDb(['migrate', 'up', '--json'], { env, cwd: checkout });

      expect(result.exitCode).toBe(1);
      const { services } = JSON.parse(result.stdout);
      expect(services.find((it: { service: string }) => it.service === 'workflow')).toMatchObject({
        state: 'done',
        migrations: ['20990101000000_fine'],
      });
      expect(services.find((it: { service: string }) => it.service === 'notification')).toMatchObject({
        state: 'failed',
        error: { code: 'MIGRATION.SQL_FAILED', why: expect.stringMatching(/migration\.sql:3:7[\s\S]*\^/) },
      });
      const { rows } = await withClient(
        withUrlParts(testServerUrl(), { database: `${prefix}notifications` }),
        (client) =>
          client.query(
            "SELECT 1 FROM information_schema.columns WHERE table_name = 'notifications' AND column_name = 'extra'",
          ),
      );
      expect(rows).toEqual([]);
      expect((await azoraDb(['migrate', 'down', ...acceptWorkflow], { env, cwd: checkout })).exitCode).toBe(0);
      rmSync(checkout, { recursive: true });
    });

    it('an edited applied migration: named and rejected', async () => {
      const checkout = fewServices();
      writeFileSync(
        path.join(checkout, 'services/mint/prisma/migrations/20260101000000_init/migration.sql'),
        'SELECT 1;\n',
      );

      const result = await azoraDb(['migrate', 'up', '--json', '--service', 'mint'], { env, cwd: checkout });

      expect(result.exitCode).toBe(2);
      expect(JSON.parse(result.stdout).services[0].error).toMatchObject({
        code: 'MIGRATION.EDITED',
        message: expect.stringContaining('20260101000000_init'),
      });
      rmSync(checkout, { recursive: true });
    });
  });

  /** Every row of every table as text, with updated_at. */
  async function contents(): Promise<Record<string, unknown>> {
    const all: Record<string, unknown> = {};
    for (const database of ['notifications', 'mint', 'workflow']) {
      await withClient(withUrlParts(testServerUrl(), { database: prefix + database }), async (client) => {
        const tables = await client.query<{ name: string }>(
          // A sequence may have gaps: a row that exists already takes a number as well.
          "SELECT relname::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
        );
        for (const { name } of tables.rows) {
          const { rows } = await client.query(
            `SELECT count(*)::int AS rows, md5(string_agg(ROW(t.*)::text, chr(10) ORDER BY ROW(t.*)::text)) AS hash FROM "${name}" AS t`,
          );
          all[`${database}.${name}`] = rows[0];
        }
      });
    }
    return all;
  }
});

/** A checkout with three services, which a test may change. */
function fewServices(): string {
  const checkout = mkdtempSync(path.join(os.tmpdir(), 'azora-checkout-'));
  for (const file of ['lerna.json', 'package.json'])
    cpSync(path.join(repositoryRoot(), file), path.join(checkout, file));
  for (const name of ['mint', 'notification', 'workflow']) {
    for (const part of ['package.json', 'prisma']) {
      cpSync(path.join(repositoryRoot(), 'services', name, part), path.join(checkout, 'services', name, part), {
        recursive: true,
      });
    }
  }
  return checkout;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return address !== null && typeof address === 'object' ? address.port : 0;
}
