import { findDatabaseError, redactUrl, SuiteError } from '@azora/db-core';
import { toSuiteError } from '../operations/fleet';
import type { StudioAccess } from '../operations/studio/access';
import type { StudioContext } from '../operations/studio/context';

/** The HTTP status of each error that a request itself causes; any other error is a 500. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  'STUDIO.BAD_REQUEST': 400,
  'STUDIO.UNAUTHORIZED': 401,
  'STUDIO.FORBIDDEN': 403,
  'STUDIO.NOT_FOUND': 404,
  'STUDIO.UNKNOWN_SERVICE': 404,
  'STUDIO.UNKNOWN_COLUMN': 404,
  'STUDIO.READ_ONLY': 403,
  'EVENTS.NO_LOG': 404,
  'EVENTS.UNKNOWN_CONSUMER': 404,
  'EVENTS.NO_DEAD_LETTER': 404,
  'STUDIO.BAD_METHOD': 405,
  'STUDIO.BODY_TOO_LARGE': 413,
  'STUDIO.TOO_MANY_ATTEMPTS': 429,
};

export function statusOf({ code }: SuiteError): number {
  return STATUS_BY_CODE[code] ?? 500;
}

export function badRequest(why: string): SuiteError {
  return new SuiteError('STUDIO.BAD_REQUEST', 'The request is malformed', { kind: 'usage', why });
}

/** The error of a change in a studio, or in a service, that can only be read. */
export function readOnly(): SuiteError {
  return new SuiteError('STUDIO.READ_ONLY', 'The studio is read-only', {
    kind: 'usage',
    why: 'Only a studio started with --write saves edits, and only to services with an audit log.',
    next: 'Start it again: npm run db:studio -- --write',
  });
}

/** The error of an edit of a row that is no longer as the page shows it. */
export function conflict(): SuiteError {
  return new SuiteError('STUDIO.CONFLICT', 'Somebody has changed or deleted the row since the page read it', {
    kind: 'usage',
    why: 'None of the edits was saved.',
    next: 'Refresh the rows, then edit them again',
  });
}

/** The error of a request that no page of this studio sent. */
export function forbidden(why: string): SuiteError {
  return new SuiteError('STUDIO.FORBIDDEN', 'The request does not come from the page of this studio', {
    kind: 'usage',
    why,
    next: 'Open the address that the studio printed',
  });
}

export function notFound(): SuiteError {
  return new SuiteError('STUDIO.NOT_FOUND', 'Nothing exists at this address', { kind: 'usage' });
}

/** An error as the page receives it. */
export interface PageError {
  readonly code: string;
  readonly message: string;
  readonly why?: string;
  readonly next?: string;
}

/** Describes an error for the page, without the addresses of servers. A bug is described in the log only. */
export function pageErrorOf(context: StudioContext, { kind, code, message, why, next }: SuiteError): PageError {
  if (kind === 'bug') return { code, message: 'The studio failed to handle the request' };
  return {
    code,
    message: redactServers(context, message),
    // Node's and PostgreSQL's reasons for a failed connection name its address.
    ...(why === undefined || code.startsWith('SERVER.') ? {} : { why: redactServers(context, why) }),
    ...(next === undefined ? {} : { next }),
  };
}

/** An error in an answer with status 200, in the format of @prisma/studio-core. */
export interface QueryError {
  readonly name: string;
  readonly message: string;
  /** A SQLSTATE or a code of the suite. */
  readonly code: string;
  readonly next?: string;
}

const INSUFFICIENT_PRIVILEGE = '42501';
const HIDDEN_HINT =
  'List the columns to read: SELECT * includes the hidden columns with personal data and secrets. Changes need a privilege that the app role of the service has as well';

/**
 * Describes for the page why a statement failed. PostgreSQL's message comes without the values that it quotes.
 * @throws what is a bug, which the server logs
 */
export function queryErrorOf(context: StudioContext, access: StudioAccess, error: unknown): QueryError {
  const found = error instanceof SuiteError ? undefined : findDatabaseError(error);
  if (found !== undefined) {
    const { message, sqlState: code } = found;
    const needsHint = code === INSUFFICIENT_PRIVILEGE && access.hidden().length > 0;
    return {
      name: 'DatabaseError',
      message: redactServers(context, message),
      code,
      ...(needsHint ? { next: HIDDEN_HINT } : {}),
    };
  }
  const known = toSuiteError(error);
  if (known.kind === 'bug') throw known;
  const { why, message, ...rest } = pageErrorOf(context, known);
  return { name: 'SuiteError', message: why === undefined ? message : `${message}. ${why}`, ...rest };
}

/** Replaces the users and addresses of servers, which the page must not learn, by the names of databases. */
export function redactServers({ targets }: StudioContext, message: string): string {
  const places = targets.flatMap(({ admin, maintenance, database }) => [
    [admin.href, database],
    [maintenance.href, 'the server'],
    [redactUrl(admin), database],
    [redactUrl(maintenance), 'the server'],
  ]);
  return places.reduce((text, [place = '', instead = '']) => text.replaceAll(place, instead), message);
}
