import { type DatabaseUrl, findDatabaseError, SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { LOOKUPS_ONLY } from './postgres/batch-sql';
import { DROP_LINKS } from './postgres/links';
import { DROP_STAGING } from './postgres/staging';

/** The database of a service, as its administrator reaches it. */
export interface ImportDatabase {
  readonly service: string;
  readonly admin: DatabaseUrl;
  /** False on a companion, which has no `COPY … FROM STDIN`. */
  readonly canCopy: boolean;
}

/** What a run reports while it works, such as `corpus entries: 15,000 records`. */
export type OnProgress = (detail: string) => void;

export interface RunOptions {
  readonly onProgress?: OnProgress | undefined;
  /** Once aborted, the import stops behind the current batch and throws the reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How long an import waits for another one, which may be one whose process was killed. */
const LOCK_TIMEOUT = '15s';
const LOCK_NOT_AVAILABLE = '55P03';
const INSUFFICIENT_PRIVILEGE = '42501';

/** The settings under which values are compared and hashed as text, in every session the same. */
const SETTINGS = `
  SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex';
  SET extra_float_digits = 1; SET search_path = public; SET jit = off; SET statement_timeout = 0`;

/**
 * Connects to a database, alone among the imports of this database.
 * @throws {SuiteError} `IMPORT.ALREADY_RUNNING`, and those of `withClient`
 */
export async function withImportSession<Result>(
  database: ImportDatabase,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  return withClient(database.admin, async (client) => {
    await client.query(SETTINGS);
    try {
      await client.query(
        `SET lock_timeout = '${LOCK_TIMEOUT}'; SELECT pg_advisory_lock(hashtext('azora_import running'))`,
      );
    } catch (error) {
      if (findDatabaseError(error)?.sqlState !== LOCK_NOT_AVAILABLE) throw error;
      throw new SuiteError('IMPORT.ALREADY_RUNNING', `Another import works on the database of ${database.service}`, {
        next: 'Wait until it is done, and run the command again',
        meta: { service: database.service },
      });
    }
    await client.query('SET lock_timeout = 0');
    try {
      return await work(client);
    } finally {
      // All connections to a companion share one session.
      await client
        .query(`RESET ALL; SELECT pg_advisory_unlock_all(); ${DROP_STAGING}; ${DROP_LINKS}`)
        .catch(() => undefined);
    }
  });
}

/** Serialization failures and deadlocks with the service's own transactions. */
const RETRIED = new Set(['40001', '40P01']);
const ATTEMPTS = 5;

/**
 * Runs `work` in a transaction in which triggers are off: the rows are history, so they publish no events, and rules about the
 * order of changes do not apply. Foreign keys are checked by the statements themselves.
 * @throws {SuiteError} `IMPORT.NOT_PERMITTED`
 */
export async function inImportTransaction<Result>(
  client: Client,
  work: () => Promise<Result>,
  end: 'COMMIT' | 'ROLLBACK' = 'COMMIT',
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    await client.query('BEGIN');
    try {
      await client.query(`SET LOCAL session_replication_role = replica; ${LOOKUPS_ONLY}`);
      const result = await work();
      await client.query(end);
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      const sqlState = findDatabaseError(error)?.sqlState ?? '';
      if (sqlState === INSUFFICIENT_PRIVILEGE) throw notPermitted(error);
      if (!RETRIED.has(sqlState) || attempt === ATTEMPTS) throw error;
    }
  }
}

function notPermitted(cause: unknown): SuiteError {
  return new SuiteError('IMPORT.NOT_PERMITTED', 'The administrator of the database may not turn triggers off', {
    kind: 'configuration',
    why: 'Imported rows are history: they must not publish events.',
    next: 'As a superuser, run: GRANT SET ON PARAMETER session_replication_role TO the administrator of DATABASE_URL',
    cause,
  });
}
