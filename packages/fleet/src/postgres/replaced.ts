import { findDatabaseError, quoteIdentifier, quoteLiteral, SuiteError } from '@azora/db-core';
import type { Client, ClientBase } from 'pg';
import type { Leftover } from '../system/leftovers';
import { databaseBytes } from './databases';

/** PostgreSQL truncates longer names. */
const LONGEST_NAME = 63;
const MARK = '__before_';
/** The id of a backup set: 20260131T120000123Z-0a1b2c. */
const SET_ID_LENGTH = 26;
/** Leaves room for a number that may follow. */
const LONGEST_BASE = LONGEST_NAME - MARK.length - SET_ID_LENGTH - 3;
const NAME = /^(.+)__before_\d{8}T\d{9}Z-[0-9a-f]{6}(?:_\d+)?$/;
/** The first line of the comment on a replaced database. */
const COMMENT = /^azora-db: replaced (\S+) at (\d{4}-\d\d-\d\dT[\d:.]+Z)(?:\n|$)/;
const OBJECT_IN_USE = '55006';

/** The name of a database after a restore of the set has replaced it. A number follows when the name is taken. */
export function replacedName(database: string, set: string): string {
  return `${database.slice(0, LONGEST_BASE)}${MARK}${set}`;
}

/** The statement that records what a replaced database was, and when it was replaced. A comment of its owner stays below. */
export function recordReplaced(name: string, database: string, now: Date, comment: string | null): string {
  const first = `azora-db: replaced ${encodeURIComponent(database)} at ${now.toISOString()}`;
  const text = comment === null ? first : `${first}\n${comment}`;
  return `COMMENT ON DATABASE ${quoteIdentifier(name)} IS ${quoteLiteral(text)}`;
}

/** The copy of a database that a restore replaced. */
export interface ReplacedDatabase extends Leftover {
  /** The name that the database had. */
  readonly database: string;
}

interface ReplacedRow {
  readonly name: string;
  readonly oid: number;
  readonly comment: string | null;
  /** Another session is connected. */
  readonly used: boolean;
}

/**
 * Finds the copies of these databases, by their names and comments. A copy without a comment was made by a version before
 * 0.2: it counts when its name is not truncated, and the time of its replacement is unknown. {@link Leftover.remove} needs
 * the open client.
 */
export async function findReplacedDatabases(
  client: Client,
  databases: readonly string[],
): Promise<readonly ReplacedDatabase[]> {
  const { rows } = await client.query<ReplacedRow>(
    `SELECT datname::text AS name, oid::int8::float8 AS oid, shobj_description(oid, 'pg_database') AS comment,
            EXISTS (SELECT FROM pg_stat_activity WHERE datid = pg_database.oid
                    AND backend_type IS DISTINCT FROM 'autovacuum worker') AS used
     FROM pg_database WHERE strpos(datname, '${MARK}') > 0 ORDER BY datname`,
  );
  return rows.flatMap((row): ReplacedDatabase[] => {
    const [, base = ''] = NAME.exec(row.name) ?? [];
    const [, was, at] = COMMENT.exec(row.comment ?? '') ?? [];
    const database = was === undefined ? base : decodeURIComponent(was);
    const isOwn = databases.includes(database) && database.slice(0, LONGEST_BASE) === base;
    if (!isOwn || (was === undefined && base.length === LONGEST_BASE)) return [];
    return [
      {
        ...{ kind: 'copy', what: 'replaced database', name: row.name, database },
        since: at === undefined ? undefined : new Date(at),
        state: row.used ? 'in-use' : 'unused',
        bytes: () => databaseBytes(client, row.name),
        remove: () => dropReplaced(client, row),
      },
    ];
  });
}

/** Drops the copy unless a session is connected to it, or another database has its name by now. */
async function dropReplaced(client: ClientBase, { name, oid }: ReplacedRow): Promise<void> {
  const { rows } = await client.query('SELECT FROM pg_database WHERE datname = $1 AND oid = $2::int8::oid', [
    name,
    oid,
  ]);
  if (rows.length === 0) return;
  try {
    await client.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)}`);
  } catch (error) {
    if (findDatabaseError(error)?.sqlState !== OBJECT_IN_USE) throw error;
    throw new SuiteError('CLEANUP.IN_USE', `The database ${name} is in use`, {
      why: 'Another session is connected to it.',
      next: 'End that session, and run "npx azora-db cleanup --yes" again',
      meta: { database: name },
    });
  }
}
