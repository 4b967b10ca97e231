/** @server any */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseUrl } from '@azora/db-core';
import { hasDrifted, type Migration, migrateDown, migrateUp, readMigrations, withClient } from '@azora/db-migrate';
import { testServerUrl } from '@azora/db-testkit';
import { findServices, selectServices } from '../src/config/registry';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import type { Target } from '../src/operations/targets';
import {
  describeStop,
  type Job,
  type Rounds,
  recordRounds,
  runAndKill,
  someOf,
  startRunner,
  stopsIn,
} from './fixtures/interruption/run-migrations';
import {
  CONCURRENT,
  emptyDatabase,
  inDatabase,
  type Outcome,
  outcomeOf,
  roundsOfIndex,
  SCRATCH,
  stopsInIndex,
  waitForTheDead,
} from './fixtures/interruption/scratch';
import type { Stop } from './fixtures/interruption/stopping-proxy';
import { failureOf, givenFolder, nameOf, removeMigrations, rowsOf, WAIT } from './migrations-fixture';
import { REPOSITORY_ROOT } from './suite-fixture';

afterAll(removeMigrations);

const server = testServerUrl();
/** Each round mostly waits for the session of the killed runner to end. */
const WIDTH = 12;

interface Interruption {
  readonly url: DatabaseUrl;
  readonly stop: Stop;
  readonly rounds: Rounds;
  readonly undisturbed: Outcome;
}

interface Kills {
  readonly job: Job;
  /** The content of the database before the run. */
  readonly given?: (url: DatabaseUrl) => Promise<unknown>;
  /** The places at which the runner may be killed; all places by default. */
  readonly where?: (rounds: Rounds) => readonly Stop[];
  readonly goOn: (at: Interruption) => Promise<void>;
}

/**
 * Kills a runner at places of its run, each time in an empty database, and has `goOn` expect what it must; returns
 * the places where it did not come out so.
 */
async function failingStops({ job, given, where = stopsIn, goOn }: Kills): Promise<readonly unknown[]> {
  const prepare = async (url: DatabaseUrl) => {
    await emptyDatabase(url);
    await given?.(url);
  };
  const { rounds, undisturbed } = await inDatabase(server, async (url) => {
    await prepare(url);
    return { rounds: await recordRounds(url, job), undisturbed: await outcomeOf(url) };
  });
  const failing: unknown[] = [];
  const stops = someOf(where(rounds)).values();
  const work = async (url: DatabaseUrl) => {
    for (const stop of stops) {
      await prepare(url);
      await runAndKill(url, job, stop)
        .then(() => goOn({ url, stop, rounds, undisturbed }))
        .catch((error: unknown) => failing.push({ stop: describeStop(rounds, stop), error }));
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, () => inDatabase(server, work)));
  return failing;
}

/**
 * Whether the stop is between what says that the index began and what commits that it is there. Once that was sent it is
 * committed, unless the server rests within it for long enough to notice that its client is dead.
 */
function isHalfDone({ round, statement }: Stop, rounds: Rounds): boolean {
  const { begin, end } = roundsOfIndex(rounds);
  if (round === end) return statement > 0 && statement < (rounds[end]?.length ?? 0);
  return round >= begin && round < end;
}

/** A service with its app role. */
async function withService(name: string, work: (target: Target) => Promise<void>): Promise<void> {
  const [service] = selectServices(await findServices(REPOSITORY_ROOT), [name]);
  if (service === undefined) throw new Error(`no service ${name}`);
  const role = `azt_${randomBytes(5).toString('hex')}_app`;
  await rowsOf(server, `CREATE ROLE ${role}`);
  try {
    await work({ service, server: 'ordinary', database: '', admin: server, maintenance: server, role });
  } finally {
    await rowsOf(server, `DROP ROLE ${role}`);
  }
}

describe('a runner that is killed at any statement', () => {
  it('while applying: the next run finishes, and every migration is applied once', async () => {
    const folder = await givenFolder(SCRATCH);
    const migrations = await readMigrations(folder);
    const goOn = async ({ url, undisturbed }: Interruption) => {
      await migrateUp(url, migrations, WAIT);

      expect(undisturbed.history).toEqual(migrations.map(({ name }) => `${name}: finished`));
      expect(await outcomeOf(url)).toEqual(undisturbed);
    };

    expect(await failingStops({ job: { folder }, goOn })).toEqual([]);
  });

  it('while reverting: each migration is either applied or not, and the next run continues', async () => {
    const folder = await givenFolder(SCRATCH);
    const migrations = await readMigrations(folder);
    const given = (url: DatabaseUrl) => migrateUp(url, migrations, WAIT);
    const levels = await outcomesOf(migrations);
    const goOn = async ({ url, undisturbed }: Interruption) => {
      await waitForTheDead(url);
      const left = (await rowsOf(url, 'SELECT 1 FROM _prisma_migrations')).length;
      expect(await outcomeOf(url)).toEqual(levels[left]);
      await migrateDown(url, migrations, { ...WAIT, steps: left - 2 });

      expect(undisturbed).toEqual(levels[2]);
      expect(await outcomeOf(url)).toEqual(undisturbed);
      await migrateUp(url, migrations, WAIT);
      expect(await outcomeOf(url)).toEqual(levels[4]);
    };

    expect(await failingStops({ job: { folder, steps: 2 }, given, goOn })).toEqual([]);
  });

  it('in the first migration of a service: the next run finishes, including rights and fingerprint', async () => {
    await withService('workflow', async (target) => {
      const goOn = async ({ url, undisturbed }: Interruption) => {
        await migrateTargetUp({ ...target, admin: url }, WAIT);

        expect(undisturbed.rights).toContainEqual(expect.stringContaining(`${target.role}=`));
        expect(await outcomeOf(url)).toEqual(undisturbed);
        expect(await withClient(url, hasDrifted)).toBe(false);
      };

      expect(await failingStops({ job: { target }, goOn })).toEqual([]);
    });
  });

  it('outside of a transaction: a person must resolve the migration, and then the run continues', async () => {
    const folder = await givenFolder(CONCURRENT);
    const migrations = await readMigrations(folder);
    const before = (await outcomesOf(migrations))[1];
    const goOn = async ({ url, stop, rounds, undisturbed }: Interruption) => {
      const up = () => migrateUp(url, migrations, WAIT);
      if (isHalfDone(stop, rounds)) {
        const asked = { code: 'MIGRATION.UNFINISHED', meta: { migrations: [nameOf('02_index')] } };
        expect([await failureOf(up()), await failureOf(up())]).toMatchObject([asked, asked]);
        const { history, rows } = await outcomeOf(url);
        expect(history).toEqual([`${nameOf('01_users')}: finished`, `${nameOf('02_index')}: unfinished`]);
        expect(rows).toEqual(before?.rows);
        await rowsOf(url, 'DROP INDEX IF EXISTS users_name');
        expect((await outcomeOf(url)).catalog).toBe(before?.catalog);
        await rowsOf(url, 'DELETE FROM _prisma_migrations WHERE finished_at IS NULL');
      }
      await up();
      expect(await outcomeOf(url)).toEqual(undisturbed);
    };

    expect(await failingStops({ job: { folder }, where: stopsInIndex, goOn })).toEqual([]);
  });

  it('outside of a transaction: its lock is released before its statement ends', async () => {
    const folder = await givenFolder({ '01_slow': '-- no-transaction\nSELECT pg_sleep(60);' });
    const migrations = await readMigrations(folder);
    await inDatabase(server, async (url) => {
      const slow = startRunner({ url, folder, runnerTimeoutMs: 10_000 });
      while ((await rowsOf(url, SLEEPING)).length === 0) await sleep(25);
      slow.process.kill('SIGKILL');
      await slow.ended;

      const error = await failureOf(migrateUp(url, migrations, { runnerTimeoutMs: 5_000 }));
      expect(error.code).toBe('MIGRATION.UNFINISHED');
    });
  });
});

const SLEEPING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%'";

/** The outcome of an undisturbed run of that many migrations. */
async function outcomesOf(migrations: readonly Migration[]): Promise<readonly (Outcome | undefined)[]> {
  return inDatabase(server, async (url) => {
    await emptyDatabase(url);
    const levels: (Outcome | undefined)[] = [undefined];
    for (const count of migrations.keys()) {
      await migrateUp(url, migrations.slice(0, count + 1), WAIT);
      levels.push(await outcomeOf(url));
    }
    return levels;
  });
}
