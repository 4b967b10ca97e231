import { setTimeout as sleep } from 'node:timers/promises';
import { findDatabaseError, quoteIdentifier, quoteLiteral, redactedCause, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { scramVerifier } from './scram';

const DUPLICATE_OBJECT = '42710';
const UNIQUE_VIOLATION = '23505';
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Creates the login role when it is missing; true when this call created it.
 * @throws {SuiteError} `SERVER.CANNOT_CREATE_ROLE`
 */
export async function createRole(client: ClientBase, role: string, password: string): Promise<boolean> {
  const found = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
  if (found.rowCount !== 0) return false;
  const attributes = 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS';
  const verifier = quoteLiteral(scramVerifier(password));
  try {
    await client.query(`CREATE ROLE ${quoteIdentifier(role)} ${attributes} PASSWORD ${verifier}`);
    return true;
  } catch (error) {
    const state = findDatabaseError(error)?.sqlState;
    // Another setup created it between the query and the statement.
    if (state === DUPLICATE_OBJECT || state === UNIQUE_VIOLATION) return false;
    if (state !== INSUFFICIENT_PRIVILEGE) throw error;
    throw new SuiteError('SERVER.CANNOT_CREATE_ROLE', `The role ${role} could not be created`, {
      kind: 'configuration',
      why: 'The administrator of the URL has no CREATEROLE.',
      next: 'Use an administrator role with CREATEROLE and CREATEDB',
      meta: { role },
      cause: redactedCause(error),
    });
  }
}

export async function setPassword(client: ClientBase, role: string, password: string): Promise<void> {
  await client.query(`ALTER ROLE ${quoteIdentifier(role)} PASSWORD ${quoteLiteral(scramVerifier(password))}`);
}

/** The key of the lock under which rights change; the number is "role" in ASCII. */
const RIGHTS_LOCK = 0x726f6c65;

/** Any role that may connect can take the lock of its database, so a session waits for it only so long. */
const RIGHTS_TIMEOUT_MS = 30_000;
const RIGHTS_PAUSE_MS = 50;

/**
 * Lets one session at a time change rights. Two concurrent changes of one object fail: "tuple concurrently updated".
 * @throws {SuiteError} `SERVER.RIGHTS_LOCKED` naming the session that holds the lock, after `timeoutMs`
 */
export async function withRightsLock(
  client: ClientBase,
  work: () => Promise<void>,
  timeoutMs = RIGHTS_TIMEOUT_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await tryRightsLock(client))) {
    if (performance.now() > deadline) throw await rightsLocked(client);
    await sleep(RIGHTS_PAUSE_MS);
  }
  try {
    await work();
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [RIGHTS_LOCK]).catch(() => undefined);
  }
}

async function tryRightsLock(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [RIGHTS_LOCK]);
  return rows[0]?.taken === true;
}

async function rightsLocked(client: ClientBase): Promise<SuiteError> {
  const { rows } = await client.query<{ pid: number; role: string | null }>(
    `SELECT pid, usename::text AS role FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
     WHERE locktype = 'advisory' AND objid = $1 AND classid = 0 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [RIGHTS_LOCK],
  );
  const [{ pid = 0, role = null } = {}] = rows;
  return new SuiteError('SERVER.RIGHTS_LOCKED', 'Another session keeps the lock under which rights change', {
    why: `Process ${pid} of the role ${role ?? 'unknown'} holds it.`,
    next: `Wait and try again, or end that session: SELECT pg_terminate_backend(${pid})`,
    meta: { pid, role },
  });
}

/** Revokes every role's right to connect to the server's own databases. */
export async function closeMaintenanceDatabases(client: ClientBase): Promise<void> {
  const open = await client.query<{ name: string }>(
    `SELECT datname::text AS name FROM pg_database
     WHERE datname IN ('postgres', 'template1') AND has_database_privilege('public', oid, 'CONNECT')`,
  );
  for (const { name } of open.rows)
    await client.query(`REVOKE CONNECT ON DATABASE ${quoteIdentifier(name)} FROM PUBLIC`);
}
