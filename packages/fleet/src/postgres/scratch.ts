import { randomBytes } from 'node:crypto';
import { type DatabaseUrl, quoteIdentifier, SuiteError, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import type { Environment } from '../system/child-environment';
import type { Leftover } from '../system/leftovers';
import { findTemporaries, makeTemporary } from '../system/temporary';
import { createDatabase, databaseBytes, dropDatabase } from './databases';
import type { Locale } from './dump/access';

/** The server for a scratch database. */
export interface ScratchPlace {
  readonly service: string;
  readonly server: 'ordinary' | 'embedded' | 'companion';
  /** The database whose name is the beginning of the scratch database's name. */
  readonly database: string;
  readonly maintenance: DatabaseUrl;
  /** The environment of the command. A scratch companion gets a part of it. */
  readonly environment?: Environment | undefined;
  /** The locale of the scratch database. By default, and if the server does not offer it, the server chooses its own. */
  readonly locale?: Locale | undefined;
}

const MARK = '__scratch_';
/** PostgreSQL truncates longer names. */
const LONGEST_NAME = 63;
const MARK_LENGTH = MARK.length + 8;

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
    const database = `${scratchBase(place.database)}${mark}`;
    // This session holds the lock as long as the database is in use.
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [database]);
    await createDatabase(client, database, place.locale);
    // A restored function with SECURITY DEFINER is open to everybody until its rights are restored too.
    await client.query(`REVOKE ALL ON DATABASE ${quoteIdentifier(database)} FROM PUBLIC`);
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
  // What another run uses or drops by now is its own affair.
  for (const { state, remove } of await findScratchDatabases(client, [database]))
    if (state === 'unused') await remove().catch(ignoreInUse);
}

function ignoreInUse(error: unknown): void {
  if (!(error instanceof SuiteError && error.code === 'CLEANUP.IN_USE')) throw error;
}

/** A scratch database that a run made for a database. */
export interface FoundScratch extends Leftover {
  /** The database whose name is the beginning of the scratch database's name. */
  readonly database: string;
}

/**
 * Finds the scratch databases of these databases. The one of a living run is in use: the run's session holds its lock, in
 * whatever database it was taken. {@link Leftover.remove} needs the open client.
 */
export async function findScratchDatabases(
  client: Client,
  databases: readonly string[],
): Promise<readonly FoundScratch[]> {
  const { rows } = await client.query<{ name: string; locked: boolean }>(
    // The statement's snapshot is older than the locks that it reads, and a run takes its lock before it creates the database.
    `SELECT datname::text AS name, EXISTS (
       SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
         AND ((classid::bigint << 32) | objid::bigint) = hashtext(datname::text)) AS locked
     FROM pg_database WHERE datname ~ '${MARK}[0-9a-f]{8}$'`,
  );
  const bases = new Map(databases.map((database) => [scratchBase(database), database]));
  return rows.flatMap(({ name, locked }): FoundScratch[] => {
    const database = bases.get(name.slice(0, -MARK_LENGTH));
    if (database === undefined) return [];
    return [
      {
        ...{ kind: 'remnant', what: 'scratch database', name, database, since: undefined },
        state: locked ? 'in-use' : 'unused',
        bytes: () => databaseBytes(client, name),
        remove: () => dropUnlocked(client, name),
      },
    ];
  });
}

/** Whether a run holds the lock of a scratch database, in whatever database it was taken, and whatever the name is by now. */
export async function isScratchLocked(client: Client, name: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND mode = 'ExclusiveLock'
       AND pid <> pg_backend_pid() AND ((classid::bigint << 32) | objid::bigint) = hashtext($1)`,
    [name],
  );
  return rowCount !== 0;
}

/** Drops the scratch database unless a run uses it. Others may drop it at the same moment. @throws {SuiteError} `CLEANUP.IN_USE` */
async function dropUnlocked(client: Client, name: string): Promise<void> {
  // Shared, so that two clean-ups do not take each other for the run.
  const { rows } = await client.query<{ locked: boolean }>(
    'SELECT pg_try_advisory_lock_shared(hashtext($1)) AS locked',
    [name],
  );
  if (rows[0]?.locked !== true) throw inUse(name);
  try {
    // The run may have taken its lock in another database, or may have lost the session that held it.
    const used = await client.query(
      `SELECT FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`,
      [name],
    );
    if (used.rowCount !== 0 || (await isScratchLocked(client, name))) throw inUse(name);
    await dropDatabase(client, name);
  } finally {
    await client.query('SELECT pg_advisory_unlock_shared(hashtext($1))', [name]).catch(() => undefined);
  }
}

function inUse(database: string): SuiteError {
  return new SuiteError('CLEANUP.IN_USE', `The scratch database ${database} is in use`, {
    why: 'A running command took its lock.',
    next: 'Wait until that command has ended, and run "npx azora-db cleanup --yes" again',
    meta: { database },
  });
}

function scratchBase(database: string): string {
  return database.slice(0, LONGEST_NAME - MARK_LENGTH);
}

/** A companion holds one database, so a scratch database is a second companion in its own directory. */
async function onScratchCompanion<Result>(
  { service, database, environment }: ScratchPlace,
  work: (url: DatabaseUrl, home: string) => Promise<Result>,
): Promise<Result> {
  const { removeScratchCompanions, startCompanion } = await import('./companion/server.js');
  // A companion that cannot be removed stays for "cleanup", which reports the reason.
  for (const { state, temporary, name } of await findTemporaries())
    if (temporary === 'scratch' && state === 'unused') await removeScratchCompanions(name).catch(() => undefined);
  const home = await makeTemporary('scratch');
  return withCleanUp(
    async () => {
      const { url } = await startCompanion({ home, service, database, environment });
      return work(url, home);
    },
    () => removeScratchCompanions(home),
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
