import { setTimeout as sleep } from 'node:timers/promises';
import { type DatabaseUrl, quoteIdentifier } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { recordReplaced } from '../replaced';
import { settingOf } from './access-statements';

export interface Swap {
  readonly live: string;
  /** The database that becomes the live one. */
  readonly side: string;
  /** The new name of the former live database. A number follows when the name is taken. */
  readonly kept: string;
  /** Whether the settings of the live database pass to the other one, which has none of its own. */
  readonly keepSettings: boolean;
}

const POLL_INTERVAL_MS = 20;

/**
 * Replaces live databases of a server with others, in one transaction: a client that connects, and a process that is killed,
 * see either all old databases or all new ones. Sessions in the live databases are terminated.
 * @returns the new names of the former live databases, by their old names
 */
export async function swapDatabases(
  maintenance: DatabaseUrl,
  swaps: readonly Swap[],
): Promise<ReadonlyMap<string, string>> {
  return withClient(maintenance, (client) =>
    withClient(maintenance, async (helper) => {
      const { rows } = await client.query<{ name: string; comment: string | null }>(
        `SELECT datname::text AS name, shobj_description(oid, 'pg_database') AS comment FROM pg_database`,
      );
      const names = new Set(rows.map(({ name }) => name));
      const comments = new Map(rows.map(({ name, comment }) => [name, comment]));
      const now = new Date();
      // A fixed order, so that two concurrent restores do not deadlock.
      const ordered = swaps.toSorted((one, other) => (one.live < other.live ? -1 : 1));
      const replaced = ordered.filter(({ live }) => names.has(live));
      // Databases whose names begin alike may ask for the same name.
      const kept = new Map(replaced.map(({ live, kept: name }) => [live, freeName(name, names)]));
      for (const { live, side, keepSettings } of replaced) if (keepSettings) await copySettings(client, live, side);
      await client.query('BEGIN');
      try {
        await withoutSessions(helper, [...kept.keys()], async () => {
          for (const { live, side } of ordered) {
            const name = kept.get(live);
            if (name !== undefined) {
              await rename(client, live, name);
              await client.query(recordReplaced(name, live, now, comments.get(live) ?? null));
            }
            await rename(client, side, live);
          }
        });
        await client.query('COMMIT');
      } catch (error) {
        // A session that cannot roll back is lost, which `error` says already.
        await client.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
      return kept;
    }),
  );
}

async function rename(client: ClientBase, from: string, to: string): Promise<void> {
  await client.query(`ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`);
}

/** The name, or the name with the first free number, which counts as taken from then on. */
function freeName(base: string, names: Set<string>): string {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? base : `${base}_${number}`;
    if (names.has(name)) continue;
    names.add(name);
    return name;
  }
}

/** RENAME blocks new sessions and waits five seconds for existing ones, which this terminates in the meantime. */
async function withoutSessions(
  helper: ClientBase,
  databases: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  let worked = false;
  const working = work().finally(() => {
    worked = true;
  });
  const ending = (async () => {
    while (!worked) {
      await helper.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY ($1)', [
        databases,
      ]);
      await sleep(POLL_INTERVAL_MS);
    }
  })();
  // Waits for both: statements of `work` after the caller's ROLLBACK would run outside a transaction.
  for (const end of await Promise.allSettled([working, ending])) if (end.status === 'rejected') throw end.reason;
}

/** Copies the settings of `ALTER DATABASE … SET`. */
async function copySettings(client: ClientBase, from: string, to: string): Promise<void> {
  const { rows } = await client.query<{ setting: string }>(
    `SELECT unnest(setconfig) AS setting FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
     WHERE datname = $1 AND setrole = 0`,
    [from],
  );
  for (const { setting } of rows) {
    await client.query(`ALTER DATABASE ${quoteIdentifier(to)} SET ${settingOf(setting)}`);
  }
}
