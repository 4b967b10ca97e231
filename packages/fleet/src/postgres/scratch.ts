import { randomBytes } from 'node:crypto';
import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { processStart } from '../system/processes';
import { createDatabase, dropDatabase } from './databases';

/** Where a scratch database may be made. */
export interface ScratchPlace {
  readonly service: string;
  readonly server: 'ordinary' | 'embedded' | 'companion';
  /** Whose name its name begins with. */
  readonly database: string;
  readonly maintenance: DatabaseUrl;
}

const MARK = '__scratch_';
/** PostgreSQL cuts longer names off in silence. */
const LONGEST_NAME = 63;

/**
 * Runs `work` on an empty database of its own, which is gone afterwards. One that a killed process left behind is dropped
 * by the next call. A companion's has a home of its own, too.
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
    // Held by this session for as long as the database is in use.
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [database]);
    await createDatabase(client, database);
    try {
      return await work(withUrlParts(place.maintenance, { database }), undefined);
    } finally {
      // In a session of its own where this one was ended: what ended it is what the caller must hear of.
      await dropDatabase(client, database).catch(() => dropInNewSession(place.maintenance, database));
    }
  });
}

async function dropInNewSession(maintenance: DatabaseUrl, database: string): Promise<void> {
  // If the server is gone, the next call drops it.
  await withClient(maintenance, (client) => dropDatabase(client, database)).catch(() => undefined);
}

/** An empty database. */
export interface ScratchDatabase {
  readonly url: DatabaseUrl;
  /** Of a companion. */
  readonly home: string | undefined;
}

/** Runs `work` on one scratch database per place, in the order of the places; they are made at the same time. */
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
  // What a removal failed with is not to hide it.
  if (working.status === 'rejected') throw working.reason;
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return working.value;
}

async function dropAbandoned(client: Client, database: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    // Materialized, or every database of the server might be asked for its lock.
    `WITH scratch AS MATERIALIZED (SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, $1))
     SELECT name FROM scratch WHERE pg_try_advisory_lock(hashtext(name))`,
    [`${database.slice(0, LONGEST_NAME - MARK.length - 8)}${MARK}`],
  );
  for (const { name } of rows) {
    await dropDatabase(client, name);
    await client.query('SELECT pg_advisory_unlock(hashtext($1))', [name]);
  }
}

/** A companion holds one database: a second one, in a directory of its own. */
async function onScratchCompanion<Result>(
  { service, database }: ScratchPlace,
  work: (url: DatabaseUrl, home: string) => Promise<Result>,
): Promise<Result> {
  const { removeCompanion, startCompanion } = await import('./companion/server.js');
  await sweepCompanions();
  const home = await mkdtemp(
    path.join(os.tmpdir(), `${HOME}${process.pid}-${(await processStart(process.pid)) ?? UNKNOWN}-`),
  );
  try {
    const { url } = await startCompanion({ home, service, database });
    return await work(url, home);
  } finally {
    await removeCompanion({ home, service });
    await rm(home, { recursive: true, force: true });
  }
}

const HOME = 'azora-scratch-';
/** Where the system does not tell when a process started, nobody can say whose a home is. */
const UNKNOWN = 'unknown';
/** `azora-scratch-<pid>-<when that process started>-<random>`. */
const OWNED_HOME = /^azora-scratch-(\d+)-(.+)-[^-]+$/;

/** Ends what killed processes of this user left running. */
async function sweepCompanions(): Promise<void> {
  const { removeCompanion } = await import('./companion/server.js');
  for (const name of await readdir(os.tmpdir())) {
    const [, pid, start] = OWNED_HOME.exec(name) ?? [];
    if (pid === undefined || start === UNKNOWN || (await processStart(Number(pid))) === start) continue;
    const home = path.join(os.tmpdir(), name);
    // Others write here too: a home of theirs could name any process as its companion, to be stopped.
    const { uid } = await lstat(home).catch(() => ({ uid: undefined }));
    if (process.getuid !== undefined && uid !== process.getuid()) continue;
    const services = await readdir(path.join(home, 'companion')).catch(() => []);
    await Promise.all(services.map((service) => removeCompanion({ home, service })))
      .then(() => rm(home, { recursive: true, force: true }))
      .catch(() => undefined);
  }
}
