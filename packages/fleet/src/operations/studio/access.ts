import { randomBytes } from 'node:crypto';
import { type DatabaseUrl, findDatabaseError, parseDatabaseUrl, SuiteError, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { type ClientBase, Pool } from 'pg';
import { withRightsLock } from '../../postgres/roles';
import {
  claimStudioRole,
  findDerived,
  grantStudioRights,
  releaseStudioRole,
  STUDIO_MARK,
  type StudioRole,
  type StudioTable,
} from '../../postgres/studio/role';
import type { SchemaModel } from '../../schema/schema-model';
import { ownerMark } from '../../system/owners';
import { toSuiteError } from '../fleet';
import { studioRole, type Target } from '../targets';
import { type AuditLog, annotatedColumns, auditLogOf, type HiddenColumn, studioTables } from './rights';

/** How the studio reaches one service's database. */
export interface StudioAccess {
  /**
   * `role`: sessions of the studio's own role, whose privileges the database enforces. `companion`: PGlite, whose single
   * session is the superuser's.
   */
  readonly kind: 'role' | 'companion';
  /** Where edits are recorded; undefined when the studio can only read. */
  readonly audit: AuditLog | undefined;
  /** The columns that the role cannot read: after {@link open} including generated ones, before it the annotated ones. */
  readonly hidden: () => readonly HiddenColumn[];
  /**
   * Returns the pool of the studio's role. The first call creates the role; after a failure the next call tries again.
   * @throws {SuiteError} `SERVER.…`, `STUDIO.…`
   */
  readonly open: () => Promise<Pool>;
  /** Ends one session of the pool on the server. Never throws: a failure is logged, and the server's timeouts apply. */
  readonly cutOff: (processId: number) => Promise<void>;
}

/** An access that ends with the studio: `close` ends its sessions and revokes its role's privileges. */
export interface OwnAccess extends StudioAccess {
  readonly close: () => Promise<void>;
}

export interface AccessRequest {
  readonly target: Target;
  readonly schemaModel: SchemaModel;
  /** Allow edits where the database has roles and the service has an audit log. */
  readonly write: boolean;
  readonly reveal: boolean;
  readonly log: (line: string) => void;
}

const PASSWORD_BYTES = 32;
/** Statements that run on one database at the same time. */
const SESSIONS = 4;
/** Above the size of the pool, because a session that was cut off may take a moment to end. */
const CONNECTION_LIMIT = SESSIONS * 2;
const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 30_000;

/** Defaults of the role's sessions; each request sets them again for its transaction. */
const SETTINGS = {
  statement_timeout: '15s',
  lock_timeout: '5s',
  idle_in_transaction_session_timeout: '20s',
};

/** For the administrator's session: a GRANT queues behind every lock on its table while the page waits. */
const PREPARING = `SET lock_timeout = '5s'; SET statement_timeout = '15s'`;

/** Describes how the studio reaches one service's database. Nothing happens there before the first `open`. */
export function openAccess(request: AccessRequest): OwnAccess {
  const { target, schemaModel, reveal } = request;
  const audit = auditOf(request);
  const annotated = reveal ? [] : annotatedColumns(schemaModel, target.service.name);
  let hidden: readonly HiddenColumn[] = annotated;
  let opened: Promise<Opened> | undefined;
  let closed = false;
  const open = async (): Promise<Pool> => {
    if (closed) throw closedError();
    opened ??= prepare(request, audit, annotated);
    const current = opened;
    try {
      const ready = await current;
      hidden = ready.hidden;
      return ready.pool;
    } catch (error) {
      // The next request tries again: the server may be back by then.
      if (opened === current) opened = undefined;
      throw error;
    }
  };
  const close = async (): Promise<void> => {
    closed = true;
    // An access that could not be opened has nothing to release; its error went to the request that opened it.
    const last = await opened?.catch(() => undefined);
    await last?.release();
  };
  const cutOff = (processId: number) => endSession(request, processId);
  const kind = target.server === 'companion' ? 'companion' : 'role';
  return { kind, audit, hidden: () => hidden, open, cutOff, close };
}

function auditOf({ target, schemaModel, write }: AccessRequest): AuditLog | undefined {
  return write && target.server !== 'companion' ? auditLogOf(schemaModel, target.service.name) : undefined;
}

/** Runs as the administrator, because every session of the role may be in use. The companion has no session to end. */
async function endSession({ target, log }: AccessRequest, processId: number): Promise<void> {
  if (target.server === 'companion') return;
  const sql = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND usename = $2';
  await withClient(target.admin, (client) => client.query(sql, [processId, studioRole(target)])).catch(
    (error: unknown) =>
      log(
        `${target.service.name}: could not end a canceled statement on the server: ${toSuiteError(error).message}. It ends at its time limit`,
      ),
  );
}

interface Opened {
  readonly pool: Pool;
  readonly hidden: readonly HiddenColumn[];
  readonly release: () => Promise<void>;
}

async function prepare(
  request: AccessRequest,
  audit: AuditLog | undefined,
  annotated: readonly HiddenColumn[],
): Promise<Opened> {
  const { target } = request;
  if (target.server === 'companion') {
    const pool = openPool(target.admin, 1);
    return { pool, hidden: annotated, release: () => pool.end() };
  }
  const role = await roleOf(request, audit !== undefined);
  const hidden = await withClient(target.admin, async (client) => {
    let found = annotated;
    await client.query(PREPARING);
    await withRightsLock(client, async () => {
      found = await makeRole(client, role, request, annotated);
    });
    return found;
  });
  const { href } = withUrlParts(target.admin, { user: role.name, password: role.password });
  const pool = openPool(parseDatabaseUrl(href, target.admin.source), SESSIONS);
  const release = async (): Promise<void> => {
    try {
      await withClient(target.admin, async (client) => {
        await client.query(PREPARING);
        await withRightsLock(client, () => releaseStudioRole(client, role));
      });
    } finally {
      await pool.end();
    }
  };
  return { pool, hidden, release };
}

/** The server may end the pool's sessions at any time. */
function openPool(url: DatabaseUrl, max: number): Pool {
  const pool = new Pool({
    connectionString: url.href,
    max,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'azora-db studio',
  });
  // The pool drops an idle session that ends; without a listener the event would end the process.
  pool.on('error', () => undefined);
  return pool;
}

/** @returns the hidden columns of this database, including those generated from hidden ones. */
async function makeRole(
  client: ClientBase,
  role: StudioRole,
  { target, schemaModel, log }: AccessRequest,
  annotated: readonly HiddenColumn[],
): Promise<readonly HiddenColumn[]> {
  const tablesWith = (hidden: readonly HiddenColumn[]): readonly StudioTable[] =>
    studioTables(schemaModel, target.service.name, hidden, role.canWrite);
  const derived = await findDerived(client, tablesWith(annotated));
  const hidden = withDerived(annotated, derived);
  await claimStudioRole(client, role);
  try {
    await client.query('BEGIN');
    await grantStudioRights(client, role, tablesWith(hidden));
    await client.query('COMMIT');
  } catch (error) {
    // A failed clean-up must not replace the error that made it necessary.
    await client
      .query('ROLLBACK')
      .then(() => releaseStudioRole(client, role))
      .catch((failure: unknown) => log(`${target.service.name}: ${notReleased(role.name, failure)}`));
    throw error;
  }
  return hidden;
}

/** For the log, when the studio could not disable its role. */
export function notReleased(role: string, error: unknown): string {
  return `could not disable the role ${role}; it keeps its privileges: ${toSuiteError(error).message}. Start and stop the studio again to disable it`;
}

function withDerived(
  annotated: readonly HiddenColumn[],
  derived: Awaited<ReturnType<typeof findDerived>>,
): readonly HiddenColumn[] {
  const hidden = [...annotated];
  for (const { table, column, source } of derived) {
    if (hidden.some((it) => it.table === table && it.column === column)) continue;
    const kind = annotated.find((it) => it.table === table && it.column === source)?.kind ?? 'pii';
    hidden.push({ table, column, kind });
  }
  return hidden;
}

async function roleOf({ target }: AccessRequest, canWrite: boolean): Promise<StudioRole> {
  return {
    name: studioRole(target),
    password: randomBytes(PASSWORD_BYTES).toString('base64url'),
    database: target.database,
    owner: `${STUDIO_MARK} ${randomBytes(8).toString('hex')} ${await ownerMark()}`,
    canWrite,
    connectionLimit: CONNECTION_LIMIT,
    settings: { ...SETTINGS, default_transaction_read_only: canWrite ? 'off' : 'on' },
  };
}

/** invalid_password, invalid_authorization_specification, undefined_object. */
const LOGIN_REJECTED = ['28P01', '28000', '42704'];

/** Translates an error of connecting as the studio's role: a rejected login means that another studio took the role over. */
export function accessError(error: unknown): unknown {
  if (!LOGIN_REJECTED.includes(findDatabaseError(error)?.sqlState ?? '')) return error;
  return new SuiteError('STUDIO.TAKEN_OVER', 'Another studio has taken over this database', {
    why: 'A studio that was started later uses the same role with a new password, or someone changed the role.',
    next: 'Use the other studio, or restart this one',
    cause: error,
  });
}

function closedError(): SuiteError {
  return new SuiteError('STUDIO.CLOSED', 'The studio is shutting down', { next: 'Start it again: npm run db:studio' });
}
