/** @server none */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DatabaseUrl, withUrlParts } from '@azora/db-core';
import { migrateUp, readMigrations, withClient } from '@azora/db-migrate';
import { startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import {
  describeStop,
  type Job,
  type Rounds,
  recordRounds,
  someOf,
  startWatched,
  stopsIn,
} from './fixtures/interruption/run-migrations';
import {
  CONCURRENT,
  inDatabase,
  type Outcome,
  outcomeOf,
  roundsOfIndex,
  SCRATCH,
  stopsInIndex,
} from './fixtures/interruption/scratch';
import type { Stop } from './fixtures/interruption/stopping-proxy';
import { failureOf, givenFolder, nameOf, openClient, removeMigrations, rowsOf, WAIT } from './migrations-fixture';

/** The number of runners that lose their server at the same time, each stopped at another place in its own database. */
const RUNNERS_PER_CRASH = 16;
/** Longer than all runners need to reach their stops. */
const REST_SECONDS = 60;

let home = '';
beforeAll(async () => {
  const checkout = await mkdtemp(path.join(os.tmpdir(), 'azora-killed-'));
  await chmod(checkout, 0o755);
  home = path.join(checkout, '.azora');
});
afterAll(async () => {
  await stopEmbedded({ home });
  await rm(path.dirname(home), { recursive: true, force: true });
  await removeMigrations();
});

/** Kills the postmaster first, so that it cannot clean up, and then its children, by the pids that it reported. */
async function killServer(): Promise<void> {
  const { url, pid } = await startEmbedded({ home });
  const children = await rowsOf(url, 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
  for (const victim of [pid, ...children]) {
    try {
      process.kill(Number(victim), 'SIGKILL');
    } catch {
      // The process ended when it noticed that the postmaster was gone.
    }
  }
}

interface Interruption {
  readonly url: DatabaseUrl;
  readonly stop: Stop;
  readonly rounds: Rounds;
  readonly undisturbed: Outcome;
}

/** Kills the server at places of a run; returns the places whose outcome differs from what `goOn` expects. */
async function failingStops(
  job: Job,
  where: (rounds: Rounds) => readonly Stop[],
  goOn: (at: Interruption) => Promise<void>,
): Promise<readonly unknown[]> {
  const { url: server } = await startEmbedded({ home });
  const { rounds, undisturbed } = await inDatabase(server, async (url) => {
    return { rounds: await recordRounds(url, job), undisturbed: await outcomeOf(url) };
  });
  // The server may or may not have executed a message that was just sent; the places before and after are certain.
  const stops = someOf(where(rounds).filter(({ statement }) => statement > 0));
  const failing: unknown[] = [];
  for (let from = 0; from < stops.length; from += RUNNERS_PER_CRASH) {
    const databases = await crashAt(stops.slice(from, from + RUNNERS_PER_CRASH), job);
    const { url: restarted } = await startEmbedded({ home });
    const recover = async ([database, stop]: readonly [string, Stop]) => {
      const url = withUrlParts(restarted, { database });
      await goOn({ url, stop, rounds, undisturbed }).catch((error: unknown) =>
        failing.push({ stop: describeStop(rounds, stop), error }),
      );
      await rowsOf(restarted, `DROP DATABASE ${database}`);
    };
    await Promise.all(Array.from(databases, recover));
  }
  return failing;
}

/** Kills the server while the runners are at their stops; returns the database of each. */
async function crashAt(stops: readonly Stop[], job: Job): Promise<ReadonlyMap<string, Stop>> {
  const { url: server } = await startEmbedded({ home });
  const databases = new Map(stops.map((stop) => [`azt_killed_${stop.round}_${stop.statement}`, stop]));
  const runners = await Promise.all(
    Array.from(databases, async ([database, stop]) => {
      await withClient(server, (client) => client.query(`CREATE DATABASE ${database} TEMPLATE template0`));
      return startWatched(withUrlParts(server, { database }), job, stop, REST_SECONDS);
    }),
  );
  await killServer();
  // Exit code 0 is possible: a runner that only had to release its lock has finished its work.
  const ends = await Promise.all(runners.map(({ ended }) => ended));
  await Promise.all(runners.map(({ proxy }) => proxy.close()));
  expect(ends.filter(({ signal }) => signal !== null)).toEqual([]);
  return databases;
}

describe('a server that is killed at any statement', () => {
  it('restarts, the next run finishes, and every migration is applied once', async () => {
    const folder = await givenFolder(SCRATCH);
    const migrations = await readMigrations(folder);
    const goOn = async ({ url, undisturbed }: Interruption) => {
      await migrateUp(url, migrations, WAIT);

      expect(undisturbed.history).toEqual(migrations.map(({ name }) => `${name}: finished`));
      expect(await outcomeOf(url)).toEqual(undisturbed);
    };

    expect(await failingStops({ folder }, stopsIn, goOn)).toEqual([]);
  });

  it('outside of a transaction: restarts, and a person must resolve a migration that was half done', async () => {
    const folder = await givenFolder(CONCURRENT);
    const migrations = await readMigrations(folder);
    const goOn = async ({ url, stop, rounds, undisturbed }: Interruption) => {
      const up = () => migrateUp(url, migrations, WAIT);
      if (isHalfDone(stop, rounds)) {
        const asked = { code: 'MIGRATION.UNFINISHED', meta: { migrations: [nameOf('02_index')] } };
        expect([await failureOf(up()), await failureOf(up())]).toMatchObject([asked, asked]);
        await rowsOf(url, 'DROP INDEX IF EXISTS users_name');
        await rowsOf(url, 'DELETE FROM _prisma_migrations WHERE finished_at IS NULL');
      }
      await up();
      expect(await outcomeOf(url)).toEqual(undisturbed);
    };

    expect(await failingStops({ folder }, stopsInIndex, goOn)).toEqual([]);
  });

  it('while an index is built concurrently: restarts with an invalid index, and a person must resolve the migration', async () => {
    const folder = await givenFolder(CONCURRENT);
    const migrations = await readMigrations(folder);
    const { url: server } = await startEmbedded({ home });
    await rowsOf(server, 'CREATE DATABASE azt_killed_index TEMPLATE template0');
    const url = withUrlParts(server, { database: 'azt_killed_index' });
    await migrateUp(url, migrations.slice(0, 1), WAIT);
    const before = await outcomeOf(url);
    // The build waits for writers of the table: the index is in the catalog by then, and not valid.
    const writer = await openClient(url);
    await writer.query('BEGIN; UPDATE users SET visits = 0');
    const running = failureOf(migrateUp(url, migrations, { runnerTimeoutMs: REST_SECONDS * 1_000 }));
    while ((await rowsOf(url, HALF_AN_INDEX)).length === 0) await sleep(25);
    await killServer();

    expect((await running).code).toBe('DATABASE.CONNECTION_LOST');
    const restarted = withUrlParts((await startEmbedded({ home })).url, { database: 'azt_killed_index' });
    expect((await failureOf(migrateUp(restarted, migrations, WAIT))).code).toBe('MIGRATION.UNFINISHED');
    expect(await rowsOf(restarted, HALF_AN_INDEX)).toEqual(['users_name']);
    await rowsOf(restarted, 'DROP INDEX users_name; DELETE FROM _prisma_migrations WHERE finished_at IS NULL');
    expect(await outcomeOf(restarted)).toEqual(before);
    expect(await migrateUp(restarted, migrations, WAIT)).toEqual([nameOf('02_index'), nameOf('03_after')]);
    expect(await rowsOf(restarted, HALF_AN_INDEX)).toEqual([]);
  });
});

const HALF_AN_INDEX = 'SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid';

/** Whether the stop is between the commits that record the begin and the end of the index build. */
function isHalfDone({ round, statement }: Stop, rounds: Rounds): boolean {
  const { begin, end } = roundsOfIndex(rounds);
  const isDone = statement === rounds[round]?.length;
  return isDone ? round >= begin && round < end : round > begin && round <= end;
}
