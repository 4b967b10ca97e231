import { withClient } from '@azora/db-migrate';
import { companionDirectory, dataIdentity, dataOf } from '../../postgres/companion/layout';
import type { Target } from '../targets';

/** What a restore has made of a live database. */
export interface LiveDatabase {
  readonly service: string;
  readonly database: string;
  /** `unknown`: its server does not answer any more. */
  readonly state: 'replaced' | 'unchanged' | 'absent' | 'unknown';
  /** The present name of the former live database, if it still exists under another name. */
  readonly kept: string | null;
}

/** The identity of the live database before a restore, which no rename changes; null when there was none. */
export type Identity = string | null;

/** Reads the identities of the live databases. @throws {SuiteError} `SERVER.…` */
export async function readIdentities(targets: readonly Target[], home: string): Promise<readonly Identity[]> {
  return Promise.all(targets.map(async (target) => (await readDatabases(target, home)).get(target.database) ?? null));
}

/**
 * Reads from each server what became of the live databases. It asks the server and not the course of the restore: a step that
 * failed may have been carried out.
 */
export async function readLiveDatabases(
  targets: readonly Target[],
  before: readonly Identity[],
  home: string,
): Promise<readonly LiveDatabase[]> {
  return Promise.all(
    targets.map(async (target, index): Promise<LiveDatabase> => {
      const { service, database } = { service: target.service.name, database: target.database };
      const former = before[index] ?? null;
      try {
        const databases = await readDatabases(target, home);
        const now = databases.get(database) ?? null;
        const [kept = null] = [...databases].flatMap(([name, id]) =>
          id === former && name !== database ? [name] : [],
        );
        if (now === former) return { service, database, state: now === null ? 'absent' : 'unchanged', kept };
        return { service, database, state: now === null ? 'absent' : 'replaced', kept };
      } catch {
        return { service, database, state: 'unknown', kept: null };
      }
    }),
  );
}

/** The databases of the server by name. A companion has one, whose data directory stands for it. */
export async function readDatabases(target: Target, home: string): Promise<ReadonlyMap<string, string>> {
  if (target.server === 'companion') {
    const found = await dataIdentity(dataOf(companionDirectory(home, target.service.name)).data);
    return new Map(found === undefined ? [] : [[target.database, found]]);
  }
  return withClient(target.maintenance, async (client) => {
    const { rows } = await client.query<{ name: string; id: string }>(
      'SELECT datname::text AS name, oid::text AS id FROM pg_database',
    );
    return new Map(rows.map(({ name, id }) => [name, id]));
  });
}
