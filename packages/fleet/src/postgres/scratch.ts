import { randomBytes } from 'node:crypto';
import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import type { Environment } from '../system/child-environment';
import { processStart } from '../system/processes';
import { createDatabase, dropDatabase } from './databases';

/** The server for a scratch database. */
export interface ScratchPlace {
  readonly service: string;
  readonly server: 'ordinary' | 'embedded' | 'companion';
  /** The database whose name is the beginning of the scratch database's name. */
  readonly database: string;
  readonly maintenance: DatabaseUrl;
  /** The environment of the command. A scratch companion gets a part of it. */
  readonly environment?: Environment | undefined;
}

const MARK = '__scratch_';
/** PostgreSQL truncates longer names. */
const LONGEST_NAME = 63;

/**
 * Runs `work` on an empty database of its own, and drops that database afterwards. The next call drops databases that a
 * killed process left behind. On a companion, the scratch database also has its own home directory. When `work` fails, its
 * error is thrown, even if the clean-up fails too.
 */
export async function withScratchDatabase<Result>(
  place: ScratchPlace,
  work: (url: DatabaseUrl, home: string | undefined) => Promise<Result>,
): Promise<Result> {
  if (place.server === 'companion') return onScratchCompanion(place, work);
  return withClient(place.maintenance, async (client) => {
    await dropAbandoned(client, place.database);
    const mark = `${MARK}${randomBytes(4).toString('hex')}`;
    const database = `${place.database.slice(0, LONGEST_NAME - mark.length)}${mark}`;
    // This session holds the lock as long as the database is in use.
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [database]);
    await createDatabase(client, database);
    return withCleanUp(
      () => work(withUrlParts(place.maintenance, { database }), undefined),
      // If this session was terminated, another one drops the database.
      () => dropDatabase(client, database).catch(() => dropInNewSession(place.maintenance, database)),
    );
  });
}

async function dropInNewSession(maintenance: DatabaseUrl, database: string): Promise<void> {
  // If the server is gone, the next call drops the database.
  await withClient(maintenance, (client) => dropDatabase(client, database)).catch(() => undefined);
}

/** An empty database. */
export interface ScratchDatabase {
  readonly url: DatabaseUrl;
  /** The home directory of a companion. */
  readonly home: string | undefined;
}

/** Runs `work` on one scratch database per place, in the order of the places. The databases are created in parallel. */
export async function withScratchDatabases<Result>(
  places: readonly ScratchPlace[],
  work: (databases: readonly ScratchDatabase[]) => Promise<Result>,
): Promise<Result> {
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const held: Promise<void>[] = [];
  const made = places.map(
    (place) =>
      new Promise<ScratchDatabase>((resolve, reject) => {
        const holding = withScratchDatabase(place, async (url, home) => {
          resolve({ url, home });
          await finished;
        });
        holding.catch(reject);
        held.push(holding);
      }),
  );
  const [working] = await Promise.allSettled([Promise.all(made).then(work)]);
  finish();
  const ends = await Promise.allSettled(held);
  // The error of the work is more important than an error of the clean-up.
  if (working.status === 'rejected') throw working.reason;
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return working.value;
}

async function dropAbandoned(client: Client, database: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    // Materialized, or the lock function might be called for every database of the server.
    `WITH scratch AS MATERIALIZED (SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, $1))
     SELECT name FROM scratch WHERE pg_try_advisory_lock(hashtext(name))`,
    [`${database.slice(0, LONGEST_NAME - MARK.length - 8)}${MARK}`],
  );
  for (const { name } of rows) {
    await dropDatabase(client, name);
    await client.query('SELECT pg_advisory_unlock(hashtext($1))', [name]);
  }
}

/** A companion holds one database, so a scratch database is a second companion in its own directory. */
async function onScratchCompanion<Result>(
  { service, database, environment }: ScratchPlace,
  work: (url: DatabaseUrl, home: string) => Promise<Result>,
): Promise<Result> {
  const { removeCompanion, startCompanion } = await import('./companion/server.js');
  await sweepCompanions();
  const home = await mkdtemp(
    path.join(os.tmpdir(), `${HOME}${process.pid}-${(await processStart(process.pid)) ?? UNKNOWN}-`),
  );
  return withCleanUp(
    async () => {
      const { url } = await startCompanion({ home, service, database, environment });
      return work(url, home);
    },
    async () => {
      await removeCompanion({ home, service });
      await rm(home, { recursive: true, force: true });
    },
  );
}

/** An error of the clean-up is thrown only when the work succeeded. */
async function withCleanUp<Result>(work: () => Promise<Result>, cleanUp: () => Promise<void>): Promise<Result> {
  const [worked] = await Promise.allSettled([work()]);
  const [cleaned] = await Promise.allSettled([cleanUp()]);
  if (worked.status === 'rejected') throw worked.reason;
  if (cleaned.status === 'rejected') throw cleaned.reason;
  return worked.value;
}

const HOME = 'azora-scratch-';
/** Stands for the start time on systems that do not tell it; the owner of such a home is unknown. */
const UNKNOWN = 'unknown';
/** `azora-scratch-<pid>-<start time of the process>-<random>` */
const OWNED_HOME = /^azora-scratch-(\d+)-(.+)-[^-]+$/;

/** Removes the scratch companions that killed processes of this user left running. */
async function sweepCompanions(): Promise<void> {
  const { removeCompanion } = await import('./companion/server.js');
  for (const name of await readdir(os.tmpdir())) {
    const [, pid, start] = OWNED_HOME.exec(name) ?? [];
    if (pid === undefined || start === UNKNOWN || (await processStart(Number(pid))) === start) continue;
    const home = path.join(os.tmpdir(), name);
    // Other users write to this directory too: their home could name any process as a companion to stop.
    const { uid } = await lstat(home).catch(() => ({ uid: undefined }));
    if (process.getuid !== undefined && uid !== process.getuid()) continue;
    const services = await readdir(path.join(home, 'companion')).catch(() => []);
    await Promise.all(services.map((service) => removeCompanion({ home, service })))
      .then(() => rm(home, { recursive: true, force: true }))
      .catch(() => undefined);
  }
}
