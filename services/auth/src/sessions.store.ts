import { newId } from '@azora/db-core';
import { rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit/entries';
import type { Auth } from './client';
import { readInput, sessionEnded, sessionNotFound, tokenExpired, tokenInvalid, tokenReused } from './errors';
import { type Device, deviceInput, tokenInput } from './input';
import { endSessions, type SignedIn } from './session/session';
import { hashToken, newToken, nextToken } from './session/tokens';

export interface RefreshInput {
  readonly refreshToken: string;
  readonly device?: Device;
}

export interface AuthenticateInput {
  readonly sessionToken: string;
}

/** The user and session of a request. */
export interface Authenticated {
  readonly userId: string;
  readonly sessionId: string;
  readonly role: string;
  /** The current organization, while it is open and the user is a member of it. */
  readonly orgId: string | null;
  readonly emailVerified: boolean;
  /** When the token expires unless it is refreshed. */
  readonly expiresAt: Date;
}

export interface LogoutInput {
  readonly sessionToken: string;
  readonly device?: Device;
}

export interface LogoutEverywhereInput {
  readonly userId: string;
  /** A session that stays open, such as the caller's. */
  readonly exceptSessionId?: string;
  readonly device?: Device;
}

export interface ListSessionsInput {
  readonly userId: string;
}

export interface ListedSession {
  readonly id: string;
  readonly ipAddress: string | null;
  readonly userAgent: string | null;
  readonly createdAt: Date;
  readonly lastActivityAt: Date | null;
  readonly expiresAt: Date;
}

export interface RevokeSessionInput {
  readonly userId: string;
  readonly sessionId: string;
  readonly device?: Device;
}

/** More than any user has. A list needs a bound. */
const MAX_LISTED_SESSIONS = 1_000;

const refreshInput = z.strictObject({ refreshToken: tokenInput, device: deviceInput });
const authenticateInput = z.strictObject({ sessionToken: tokenInput });
const logoutInput = z.strictObject({ sessionToken: tokenInput, device: deviceInput });
const logoutEverywhereInput = z.strictObject({
  userId: rowIdInput,
  exceptSessionId: rowIdInput.optional(),
  device: deviceInput,
});
const listSessionsInput = z.strictObject({ userId: rowIdInput });
const revokeSessionInput = z.strictObject({ userId: rowIdInput, sessionId: rowIdInput, device: deviceInput });

interface Refreshed {
  readonly outcome: 'refreshed' | 'repeated' | 'reused' | 'ended' | 'expired' | 'unknown';
  readonly salt: string;
  readonly userId: string;
  readonly sessionId: string;
  readonly expiresAt: Date;
  readonly absoluteExpiresAt: Date;
}

const REFUSALS = { reused: tokenReused, ended: sessionEnded, expired: tokenExpired, unknown: tokenInvalid } as const;

/**
 * Exchanges a refresh token for new tokens of its session, in one statement. The same client may repeat the call within ten
 * seconds, because the answer may have been lost: it gets the same tokens, and any number of concurrent calls with one token
 * get one answer. Any other use of a token that was used before ends the session, with all tokens that were issued after it.
 * @throws {SuiteError} `AUTH.TOKEN_REUSED`, `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.SESSION_ENDED`,
 * `AUTH.INVALID_INPUT`
 */
export async function refresh(auth: Auth, input: RefreshInput): Promise<SignedIn> {
  const { refreshToken, device } = readInput(refreshInput, input);
  const salt = newToken().token;
  // The SQL function `refresh_session` writes the audit entry; see prisma/structure.sql.
  const [refreshed] = await auth.query<Refreshed>({
    text: `SELECT outcome, user_id AS "userId", session_id AS "sessionId", expires_at AS "expiresAt",
        family_expires_at AS "absoluteExpiresAt", salt
      FROM refresh_session($1, $2, $3, $4, $5, $6::float8 * interval '1 ms', $7, $8)`,
    values: [
      hashToken(refreshToken),
      newId(),
      salt,
      nextToken(refreshToken, salt, 'refresh').hash,
      nextToken(refreshToken, salt, 'session').hash,
      auth.settings.sessionIdleMs,
      device.ipAddress ?? null,
      device.userAgent ?? null,
    ],
  });
  if (refreshed === undefined) throw tokenInvalid();
  const { outcome, salt: given, ...rest } = refreshed;
  if (outcome !== 'refreshed' && outcome !== 'repeated') throw REFUSALS[outcome]();
  return {
    kind: 'session',
    ...rest,
    sessionToken: nextToken(refreshToken, given, 'session').token,
    refreshToken: nextToken(refreshToken, given, 'refresh').token,
  };
}

/**
 * Finds the user and the session of a session token. Runs one query and writes nothing.
 * @throws {SuiteError} `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED` (refresh it), `AUTH.SESSION_ENDED` (sign in again),
 * `AUTH.INVALID_INPUT`
 */
export async function authenticate(auth: Auth, input: AuthenticateInput): Promise<Authenticated> {
  const { sessionToken } = readInput(authenticateInput, input);
  const [found] = await auth.query<Authenticated & { isLive: boolean; sessionExpiresAt: Date; at: Date }>({
    text: `SELECT sessions.user_id AS "userId", sessions.id AS "sessionId", role, (
          SELECT organizations.id FROM organizations JOIN organization_members AS member ON member.org_id = organizations.id
          WHERE organizations.id = users.org_id AND member.user_id = users.id
            AND organizations.deleted_at IS NULL
        ) AS "orgId",
        email_verified AS "emailVerified", revoked_at IS NULL AND is_active AS "isLive",
        sessions.expires_at AS "sessionExpiresAt",
        least(sessions.expires_at, coalesce(sessions.last_activity_at, sessions.created_at)
          + $2::float8 * interval '1 ms') AS "expiresAt", database_time() AS at
      FROM sessions JOIN users ON users.id = sessions.user_id WHERE token_hash = $1`,
    values: [hashToken(sessionToken), auth.settings.sessionTokenMs],
  });
  if (found === undefined) throw tokenInvalid();
  const { isLive, sessionExpiresAt, at, ...authenticated } = found;
  if (!isLive || sessionExpiresAt <= at) throw sessionEnded();
  if (authenticated.expiresAt <= at) throw tokenExpired();
  return authenticated;
}

/**
 * Ends the session of a token, even if the token has expired. Does nothing if the session has already ended.
 * @throws {SuiteError} `AUTH.TOKEN_INVALID`, `AUTH.INVALID_INPUT`
 */
export async function logout(auth: Auth, input: LogoutInput): Promise<void> {
  const { sessionToken, device } = readInput(logoutInput, input);
  return auth.transaction(async (tx) => {
    const session = await tx.session.findUnique({ where: { tokenHash: hashToken(sessionToken) } });
    if (session === null) throw tokenInvalid();
    const { id: sessionId, userId } = session;
    const ended = await endSessions(tx, { userId, sessionId, forget: false });
    if (ended === 0) return;
    await writeAudit(tx, { userId, action: 'USER_LOGOUT', resourceType: 'session', resourceId: sessionId, device });
  });
}

/**
 * Ends all live sessions of a user, optionally except one. Returns their number.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function logoutEverywhere(auth: Auth, input: LogoutEverywhereInput): Promise<{ readonly ended: number }> {
  const { userId, exceptSessionId, device } = readInput(logoutEverywhereInput, input);
  return auth.transaction(async (tx) => {
    const ended = await endSessions(tx, { userId, exceptSessionId, forget: true });
    const entry = { userId, resourceType: 'user', resourceId: userId, device };
    if (ended > 0) await writeAudit(tx, { ...entry, action: 'SESSIONS_REVOKED', details: { ended } });
    return { ended };
  });
}

/**
 * Lists the live sessions of a user, newest first, at most 1000.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function listSessions(auth: Auth, input: ListSessionsInput): Promise<readonly ListedSession[]> {
  const { userId } = readInput(listSessionsInput, input);
  return auth.query<ListedSession>({
    text: `SELECT id, ip_address AS "ipAddress", user_agent AS "userAgent", created_at AS "createdAt",
        last_activity_at AS "lastActivityAt", expires_at AS "expiresAt"
      FROM sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > (SELECT database_time())
      ORDER BY created_at DESC, id DESC LIMIT ${MAX_LISTED_SESSIONS}`,
    values: [userId],
  });
}

/**
 * Ends one live session of a user.
 * @throws {SuiteError} `AUTH.SESSION_NOT_FOUND` (also for a session of another user), `AUTH.INVALID_INPUT`
 */
export async function revokeSession(auth: Auth, input: RevokeSessionInput): Promise<void> {
  const { userId, sessionId, device } = readInput(revokeSessionInput, input);
  return auth.transaction(async (tx) => {
    if ((await endSessions(tx, { userId, sessionId, forget: true })) === 0) throw sessionNotFound(sessionId);
    const resource = { resourceType: 'session', resourceId: sessionId };
    await writeAudit(tx, { userId, action: 'SESSION_REVOKED', ...resource, device });
  });
}
