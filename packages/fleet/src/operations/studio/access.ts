import { randomBytes } from 'node:crypto';
import { findDatabaseError, parseDatabaseUrl, SuiteError, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { ClientBase, Pool } from 'pg';
import { withRightsLock } from '../../postgres/roles';
import { findDerived, grantStudioRights } from '../../postgres/studio-rights';
import {
  claimStudioRole,
  releaseStudioRole,
  STUDIO_MARK,
  type StudioRole,
  type StudioTable,
} from '../../postgres/studio-role';
import type { SchemaModel } from '../../schema/schema-model';
import type { Target } from '../targets';
import type { AuditLog, HiddenColumn, StudioAccess } from './context';
import { openStudioPool, SESSIONS } from './pool';
import { annotatedColumns, auditLogOf, studioTables } from './tables';

export interface AccessRequest {
  readonly target: Target;
  readonly schemaModel: SchemaModel;
  /** Whether rows may be changed, where a role holds that to its rights and there is a log of who did it. */
  readonly write: boolean;
  readonly reveal: boolean;
}

/** An access that ends with the studio: its sessions are closed, and its role can do nothing any more. */
export interface OwnAccess extends StudioAccess {
  readonly close: () => Promise<void>;
}

const PASSWORD_BYTES = 32;
/** One more than the pool has at once: a session that was cut off may take a moment to end. */
const CONNECTION_LIMIT = SESSIONS * 2;

/** The sessions of the studio begin with these; the transactions of each request say it again. */
const SETTINGS = {
  statement_timeout: '15s',
  lock_timeout: '5s',
  idle_in_transaction_session_timeout: '20s',
};

const PREPARING = `SET lock_timeout = '5s'; SET statement_timeout = '15s'`;

/** The name of the role with which the studio reads one service's database. */
export function studioRole({ role }: Target): string {
  return role.replace(/_app$/, '_studio');
}

/** How the studio reaches one service's database; nothing is done there before the first `open`. */
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
      // The next question tries anew: the server may have come back.
      if (opened === current) opened = undefined;
      throw error;
    }
  };
  const close = async (): Promise<void> => {
    closed = true;
    const last = await opened?.catch(() => undefined);
    await last?.release();
  };
  const cutOff = (processId: number) => endSession(target, processId);
  const kind = target.server === 'companion' ? 'companion' : 'role';
  return { kind, audit, hidden: () => hidden, open, cutOff, close };
}

function auditOf({ target, schemaModel, write }: AccessRequest): AuditLog | undefined {
  return write && target.server !== 'companion' ? auditLogOf(schemaModel, target.service.name) : undefined;
}

/** As the administrator: the role's own sessions may all be taken. The companion has no session to end. */
async function endSession(target: Target, processId: number): Promise<void> {
  if (target.server === 'companion') return;
  const sql = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND usename = $2';
  await withClient(target.admin, (client) => client.query(sql, [processId, studioRole(target)])).catch(() => undefined);
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
    const pool = openStudioPool(target.admin, 'one');
    return { pool, hidden: annotated, release: () => pool.end() };
  }
  const role = roleOf(request, audit !== undefined);
  const hidden = await withClient(target.admin, async (client) => {
    let found = annotated;
    // Rights wait for whoever has locked a table; who asks waits in front of a page.
    await client.query(PREPARING);
    await withRightsLock(client, async () => {
      found = await makeRole(client, role, request, annotated);
    });
    return found;
  });
  const { href } = withUrlParts(target.admin, { user: role.name, password: role.password });
  const pool = openStudioPool(parseDatabaseUrl(href, target.admin.source), 'many');
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

/** @returns what is hidden in this database, with what it computes from hidden columns. */
async function makeRole(
  client: ClientBase,
  role: StudioRole,
  { target, schemaModel }: AccessRequest,
  annotated: readonly HiddenColumn[],
): Promise<readonly HiddenColumn[]> {
  const tablesWith = (hidden: readonly HiddenColumn[]): readonly StudioTable[] =>
    studioTables(schemaModel, target.service.name, hidden, role.canWrite);
  const derived = await findDerived(client, tablesWith(annotated));
  const hidden = withDerived(annotated, derived);
  await claimStudioRole(client, role);
  await client.query('BEGIN');
  try {
    await grantStudioRights(client, role, tablesWith(hidden));
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    await releaseStudioRole(client, role).catch(() => undefined);
    throw error;
  }
  return hidden;
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

function roleOf({ target }: AccessRequest, canWrite: boolean): StudioRole {
  return {
    name: studioRole(target),
    password: randomBytes(PASSWORD_BYTES).toString('base64url'),
    database: target.database,
    owner: `${STUDIO_MARK} ${randomBytes(8).toString('hex')}`,
    canWrite,
    connectionLimit: CONNECTION_LIMIT,
    settings: { ...SETTINGS, default_transaction_read_only: canWrite ? 'off' : 'on' },
  };
}

const NOT_LET_IN = ['28P01', '28000', '42704'];

/** What a connection of the studio's role failed with, for people. */
export function accessError(error: unknown): unknown {
  if (!NOT_LET_IN.includes(findDatabaseError(error)?.sqlState ?? '')) return error;
  return new SuiteError('STUDIO.TAKEN_OVER', 'The role of this studio was taken over', {
    why: 'Another studio was started on the database later, or the role was changed.',
    next: 'Use that one, or start this one again',
    cause: error,
  });
}

function closedError(): SuiteError {
  return new SuiteError('STUDIO.CLOSED', 'The studio is being closed', { next: 'Start it again' });
}
