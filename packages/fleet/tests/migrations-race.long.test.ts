import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, withUrlParts } from '@azora/db-core';
import { migrateUp, readMigrations } from '@azora/db-migrate';
import { azoraDb } from '../../../tests/cli';
import { findServices, type Service } from '../src/config/registry';
import { provision } from '../src/operations/provision';
import type { Target } from '../src/operations/targets';
import { embeddedOffers } from '../src/postgres/embedded/binaries';
import { startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import { type Ended, recordRounds, startRunner, startWatched } from './fixtures/interruption/run-migrations';
import { inDatabase, outcomeOf, SCRATCH } from './fixtures/interruption/scratch';
import { failureOf, givenFolder, removeMigrations, rowsOf, WAIT } from './migrations-fixture';
import { REPOSITORY_ROOT } from './suite-fixture';

const RUNNERS = 20;
const COMMANDS = 8;
/** All runners wait for each other, which may take longer than the default timeout. */
const RUNNER_TIMEOUT_SECONDS = 60;

let home = '';
let server: DatabaseUrl;
let services: readonly Service[] = [];

// A separate server, because twenty runners need more connections than the shared server has left.
beforeAll(async () => {
  const checkout = await mkdtemp(path.join(os.tmpdir(), 'azora-race-'));
  await chmod(checkout, 0o755);
  home = path.join(checkout, '.azora');
  server = (await startEmbedded({ home })).url;
  const all = await findServices(REPOSITORY_ROOT);
  services = all.filter(({ extensions }) => extensions.every(embeddedOffers));
});
afterAll(async () => {
  await stopEmbedded({ home });
  await rm(path.dirname(home), { recursive: true, force: true });
  await removeMigrations();
});

/** Databases and roles with the names that the command line uses, without tables. */
async function givenTargets(prefix: string): Promise<readonly Target[]> {
  const targets = services.map((service): Target => {
    const database = `${prefix}${service.databaseSuffix}`;
    const admin = withUrlParts(server, { database });
    const role = `${prefix}${service.name.replaceAll('-', '_')}_app`;
    return { service, server: 'ordinary', database, admin, maintenance: server, role };
  });
  for (const target of targets) await provision(target, () => 'of no meaning');
  return targets;
}

/** The history of each target, and the expected history when every file was applied once. */
async function historiesOf(targets: readonly Target[]) {
  const found = await Promise.all(targets.map(async ({ admin }) => (await outcomeOf(admin)).history));
  const files = await Promise.all(targets.map(({ service }) => readMigrations(service.migrationsPath)));
  return { found, wanted: files.map((migrations) => migrations.map(({ name }) => `${name}: finished`)) };
}

describe('runners that start together', () => {
  it('twenty in one process: all succeed, and each migration of each database is applied by one of them', async () => {
    const targets = await givenTargets('azt_race_');
    const work = { targets, waits: true, runnerTimeoutMs: RUNNER_TIMEOUT_SECONDS * 1_000 };
    const runners = Array.from({ length: RUNNERS }, () => startRunner(work));
    await Promise.all(runners.map(async ({ process: { stderr } }) => stderr && once(stderr, 'data')));
    for (const { process: child } of runners) child.stdin?.write('go\n');

    const ends = await Promise.all(runners.map(({ ended }) => ended));

    expect(ends.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
    const { found, wanted } = await historiesOf(targets);
    expect(found).toEqual(wanted);
    const applied = targets.map((_target, index) => ends.flatMap((end) => appliedBy(end)[index] ?? []).sort());
    expect(applied.map((names) => names.map((name) => `${name}: finished`))).toEqual(wanted);
  });

  it('eight command lines: all exit with 0, and each migration is applied by one of them', async () => {
    const targets = await givenTargets('azt_many_');
    const env = { DATABASE_URL: server.href, AZORA_DB_PREFIX: 'azt_many_', AZORA_HOME: home };
    const args = ['migrate', 'up', '--json', '--runner-timeout', String(RUNNER_TIMEOUT_SECONDS)];
    const names = targets.map(({ service }) => service.name).join(',');

    const results = await Promise.all(
      Array.from({ length: COMMANDS }, () => azoraDb([...args, '--service', names], { env })),
    );

    expect(results.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
    const { found, wanted } = await historiesOf(targets);
    expect(found).toEqual(wanted);
    const migrated = results
      .flatMap(({ stdout }) => JSON.parse(stdout).services)
      .filter((row) => row.migrations.length > 0);
    expect(migrated.map(({ service }) => service).sort()).toEqual(targets.map(({ service }) => service.name).sort());
  });

  it('a waiting runner reports the process that migrates, gives up after its timeout, and loses nothing', async () => {
    const folder = await givenFolder(SCRATCH);
    const migrations = await readMigrations(folder);
    const { rounds, undisturbed } = await inDatabase(server, async (url) => {
      return { rounds: await recordRounds(url, { folder }), undisturbed: await outcomeOf(url) };
    });
    const round = rounds.findIndex(([first = '']) => first.startsWith('CREATE TABLE users'));

    await inDatabase(server, async (url) => {
      const holder = await startWatched(url, { folder }, { round, statement: 1 });
      const [pid] = await rowsOf(url, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted");
      const waits: string[] = [];
      const options = { runnerTimeoutMs: 200, onWait: (who: string) => waits.push(who) };
      const error = await failureOf(migrateUp(url, migrations, options));
      holder.process.kill('SIGKILL');
      await holder.ended;
      await holder.proxy.close();

      const who = new RegExp(`process ${pid} \\(azora-db, connected since `);
      expect(waits).toEqual([expect.stringMatching(who)]);
      expect(error).toMatchObject({ code: 'MIGRATION.LOCKED', why: expect.stringMatching(who) });
      await migrateUp(url, migrations, WAIT);
      expect(await outcomeOf(url)).toEqual(undisturbed);
    });
  });
});

/** The migrations that a runner reports as applied, by target. */
function appliedBy({ result }: Ended): readonly (readonly string[])[] {
  if (!Array.isArray(result)) throw new Error('a runner of several targets reports a list');
  return result;
}
