import { setTimeout as sleep } from 'node:timers/promises';
import { type DatabaseUrl, quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { withClient } from '../connect';

export interface Swap {
  readonly live: string;
  /** Becomes the live one. */
  readonly side: string;
  /** What the one that was live is called from then on; with a number where that name is taken. */
  readonly kept: string;
}

const PAUSE_MS = 20;
/** Settings that hold several names, each quoted already. */
const QUOTED_LISTS = ['search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries'];

/**
 * Puts another database in the place of the live one, in one transaction of the server: whoever connects gets the one or
 * the other, and a process that is killed leaves the one or the other. Sessions in the live one are ended.
 * @returns the name under which the one that was live is kept; undefined when there was none
 */
export async function swapDatabases(maintenance: DatabaseUrl, { live, side, kept }: Swap): Promise<string | undefined> {
  return withClient(maintenance, (client) =>
    withClient(maintenance, async (helper) => {
      const { rows } = await client.query<{ name: string }>('SELECT datname::text AS name FROM pg_database');
      const names = new Set(rows.map(({ name }) => name));
      const keptName = names.has(live) ? freeName(kept, names) : undefined;
      if (keptName !== undefined) await copySettings(client, live, side);
      await client.query('BEGIN');
      try {
        if (keptName !== undefined) await renameLive(client, helper, live, keptName);
        await client.query(`ALTER DATABASE ${quoteIdentifier(side)} RENAME TO ${quoteIdentifier(live)}`);
        await client.query('COMMIT');
      } catch (error) {
        await client.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
      return keptName;
    }),
  );
}

function freeName(base: string, names: ReadonlySet<string>): string {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? base : `${base}_${number}`;
    if (!names.has(name)) return name;
  }
}

/** RENAME keeps new sessions out and waits five seconds for the old ones, which are ended meanwhile. */
async function renameLive(client: ClientBase, helper: ClientBase, live: string, kept: string): Promise<void> {
  let renamed = false;
  const renaming = client
    .query(`ALTER DATABASE ${quoteIdentifier(live)} RENAME TO ${quoteIdentifier(kept)}`)
    .finally(() => {
      renamed = true;
    });
  const ending = (async () => {
    while (!renamed) {
      await helper.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [live]);
      await sleep(PAUSE_MS);
    }
  })();
  await Promise.all([renaming, ending]);
}

/** What was set for the database as a whole: `ALTER DATABASE … SET`. */
async function copySettings(client: ClientBase, from: string, to: string): Promise<void> {
  const { rows } = await client.query<{ setting: string }>(
    `SELECT unnest(setconfig) AS setting FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
     WHERE datname = $1 AND setrole = 0`,
    [from],
  );
  for (const { setting } of rows) {
    const at = setting.indexOf('=');
    const [name, value] = [setting.slice(0, at), setting.slice(at + 1)];
    const text = QUOTED_LISTS.includes(name.toLowerCase()) ? value : quoteLiteral(value);
    await client.query(`ALTER DATABASE ${quoteIdentifier(to)} SET ${quoteIdentifier(name)} TO ${text}`);
  }
}
