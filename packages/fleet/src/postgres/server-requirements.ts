import { SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';

/** The major versions of PostgreSQL that the suite is tested with. */
const OLDEST = 15;
const NEWEST = 18;
/** SQLSTATE of a write in a read-only transaction. */
export const READ_ONLY = '25006';

/** What a server says about itself. */
export interface ServerFacts {
  /** Such as `15.20 (Debian 15.20-0+deb12u1)`. */
  readonly version: string;
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
}

/**
 * Checks that databases can be created on the server.
 * @throws {SuiteError} `SERVER.UNSUPPORTED_VERSION`, `SERVER.READ_ONLY`
 */
export async function requireUsableServer(client: ClientBase): Promise<void> {
  const { rows } = await client.query<ServerFacts>(
    `SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS "isStandby",
            current_setting('default_transaction_read_only') = 'on' AS "isReadOnly"`,
  );
  for (const facts of rows) requireUsable(facts);
}

/** @throws {SuiteError} `SERVER.UNSUPPORTED_VERSION`, `SERVER.READ_ONLY` */
export function requireUsable({ version, isStandby, isReadOnly }: ServerFacts): void {
  const major = Number.parseInt(version, 10);
  if (major < OLDEST || major > NEWEST) {
    throw new SuiteError('SERVER.UNSUPPORTED_VERSION', `The server runs PostgreSQL ${version}`, {
      kind: 'configuration',
      why: `The suite supports PostgreSQL ${OLDEST} to ${NEWEST}.`,
      next: `Use a server of a supported version, or unset DATABASE_URL to use the embedded server`,
      meta: { version },
    });
  }
  if (isStandby) throw readOnlyServer('The server is a standby, which replays the changes of a primary server');
  if (isReadOnly) throw readOnlyServer('default_transaction_read_only is on for this role, database or server');
}

/** SERVER.READ_ONLY: the server accepts no changes. */
export function readOnlyServer(why: string): SuiteError {
  return new SuiteError('SERVER.READ_ONLY', 'The server accepts no changes', {
    kind: 'configuration',
    why: `${why}.`,
    next: 'Use the address of the primary server, or turn off default_transaction_read_only',
  });
}
