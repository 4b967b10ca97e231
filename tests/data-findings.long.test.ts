import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-fleet';
import { testServerUrl } from '@azora/db-testkit';
import { azoraDb, type CliResult } from './cli';

/** A user id that auth does not have, as in the example of services/mint/README.md. */
const STRANGER = 'user-ada';

describe('a wallet of a user that auth does not know', () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'azora-findings-'));
  const prefix = `azt_${randomBytes(3).toString('hex')}_`;
  const env = {
    ...{ DATABASE_URL: testServerUrl().href, AZORA_DB_PREFIX: prefix, AZORA_HOME: home },
    AZORA_BACKUP_MAX_AGE: '1h',
  };
  const run = (...args: string[]) => azoraDb([...args, '--service', 'auth,mint'], { env });
  const json = ({ stdout }: CliResult) => JSON.parse(stdout);
  const inMint = (sql: string, values: unknown[] = []) =>
    withClient(withUrlParts(testServerUrl(), { database: `${prefix}mint` }), (client) => client.query(sql, values));

  beforeAll(async () => {
    expect(await run('setup', '--no-build', '--seed')).toMatchObject({ exitCode: 0 });
    await inMint(`INSERT INTO wallets (id, user_id, currency) VALUES ('w-stranger', $1, 'AZR')`, [STRANGER]);
  });
  afterAll(async () => {
    await withClient(testServerUrl(), async (client) => {
      for (const name of ['auth', 'mint']) {
        await client.query(`DROP DATABASE IF EXISTS ${prefix}${name} WITH (FORCE)`);
        await client.query(`DROP ROLE IF EXISTS ${prefix}${name}_app`);
      }
    });
    rmSync(home, { recursive: true, force: true });
  });

  it('is a warning of setup and seed, which names the command that shows it', async () => {
    const warning = 'warning: 1 id of other services does not exist; run "npx azora-db check" to see it';

    expect(await run('setup', '--no-build', '--seed')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining(warning),
    });
    const seeded = await run('seed', '--json');
    expect(seeded).toMatchObject({ exitCode: 0 });
    expect(json(seeded)).toMatchObject({ ok: true, orphans: [{ from: 'mint.Wallet.userId', count: 1 }] });
  });

  it('is shown by check with exit code 4, until the row exists', async () => {
    const found = await run('check');
    expect(found).toMatchObject({
      exitCode: 4,
      stdout: expect.stringContaining(`mint.Wallet.userId: 1 id does not exist in auth.User.id: ${STRANGER}`),
    });
    const orphans = [{ from: 'mint.Wallet.userId', to: 'auth.User.id', count: 1, examples: [STRANGER] }];
    const answer = await azoraDb(['check', '--service', 'mint', '--json'], { env });
    expect(answer).toMatchObject({ exitCode: 4, stderr: '' });
    expect(json(answer)).toMatchObject({
      ok: false,
      services: [{ service: 'mint', state: 'done', orphans, problems: [] }],
    });
    expect(await azoraDb(['check', '--service', 'auth'], { env })).toMatchObject({ exitCode: 0 });
  });

  it('does not make a backup of it bad: the set is verified with a warning, and the backups are recent', async () => {
    expect(await run('status', '--check')).toMatchObject({
      exitCode: 4,
      stdout: expect.stringMatching(/^backups: no verified set in .* holds all services; run "npx azora-db backup"/m),
    });
    expect(await run('backup')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('warning: the data had 1 id of other services that did not exist'),
    });
    expect(await run('backup', 'verify')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^warning: 1 id of mint\.Wallet\.userId missing in auth\.User\.id, already when/m),
    });
    expect(await run('status', '--check')).toMatchObject({ exitCode: 0 });
    const list = await azoraDb(['backup', 'list'], { env });
    expect(list.stdout).toMatch(/ 2 of 14 .* yes, with 1 warning, restored in /);
  });
});
