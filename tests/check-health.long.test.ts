/** @server any */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-fleet';
import { testServerUrl } from '@azora/db-testkit';
import { azoraDb, type CliResult } from './cli';

const SERVICES = ['auth', 'health', 'mint'];

describe('check --health', () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'azora-check-health-'));
  const prefix = `azt_${randomBytes(3).toString('hex')}_`;
  const env = {
    ...{ DATABASE_URL: testServerUrl().href, AZORA_DB_PREFIX: prefix, AZORA_HOME: home },
    AZORA_SERVICES: SERVICES.join(','),
  };
  const run = (...args: string[]) => azoraDb(args, { env });
  const json = ({ stdout }: CliResult) => JSON.parse(stdout);
  const query = async (database: string, sql: string) => {
    const url = withUrlParts(testServerUrl(), { database });
    return withClient(url, async (client) => (await client.query(sql)).rows);
  };
  const endpoints = () =>
    query(
      `${prefix}health`,
      `SELECT service_name AS service, status, error_message AS error, response_time_ms >= 0 AS timed FROM service_health
       WHERE port = ${testServerUrl().port} ORDER BY 1`,
    );

  beforeAll(async () => {
    expect(await run('setup', '--no-build')).toMatchObject({ exitCode: 0 });
  });
  afterAll(async () => {
    await withClient(testServerUrl(), async (client) => {
      for (const name of [...SERVICES, 'kept'])
        await client.query(`DROP DATABASE IF EXISTS ${prefix}${name} WITH (FORCE)`);
      for (const name of SERVICES) await client.query(`DROP ROLE IF EXISTS ${prefix}${name}_app`);
    });
    rmSync(home, { recursive: true, force: true });
  });

  it('records in health what it finds: a good database, one with a problem, and one that is gone', async () => {
    expect(await run('check', '--health')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/\nrecorded the state of 3 databases in health\n$/),
    });
    expect(await endpoints()).toEqual(
      SERVICES.map((service) => ({ service, status: 'running', error: null, timed: true })),
    );

    await query(`${prefix}mint`, `INSERT INTO wallets (id, user_id, currency) VALUES ('w', 'nobody', 'AZR')`);
    await query(`${prefix}health`, `SELECT set_alert_rule('r', 'down', 'down', NULL, 1, 1, NULL, true)`);
    const found = await run('check', '--health', '--service', 'mint', '--json');
    expect(found).toMatchObject({ exitCode: 4 });
    expect(json(found)).toMatchObject({ ok: false, recorded: 1 });
    await query('postgres', `ALTER DATABASE ${prefix}auth RENAME TO ${prefix}kept`);
    expect(await run('check', '--health', '--service', 'auth')).toMatchObject({ exitCode: 2 });
    await query('postgres', `ALTER DATABASE ${prefix}kept RENAME TO ${prefix}auth`);

    expect(await endpoints()).toEqual([
      { service: 'auth', status: 'error', error: expect.stringContaining(`${prefix}auth does not exist`), timed: null },
      { service: 'health', status: 'running', error: null, timed: true },
      { service: 'mint', status: 'degraded', error: '1 missing id', timed: true },
    ]);
    expect(await query(`${prefix}health`, 'SELECT service_name, status FROM alerts')).toEqual([
      { service_name: 'auth', status: 'open' },
    ]);
    expect(
      await query(`${prefix}health`, 'SELECT level, service, message FROM logs ORDER BY created_at DESC LIMIT 2'),
    ).toEqual([
      {
        level: 'ERROR',
        service: 'auth',
        message: expect.stringMatching(/^The check found a problem: The database .* does not exist$/),
      },
      { level: 'WARN', service: 'mint', message: 'The check found a problem: 1 missing id' },
    ]);
  });

  it('names what is missing when health cannot record anything', async () => {
    const alone = { ...env, AZORA_SERVICES: 'auth,mint' };
    expect(await azoraDb(['check', '--health'], { env: alone })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('[CHECK.NO_HEALTH]'),
    });

    await query(`${prefix}health`, 'ALTER FUNCTION report_health(json) RENAME TO no_report');
    expect(await run('check', '--health', '--service', 'health')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('[CHECK.NOT_MIGRATED]'),
    });
  });
});
