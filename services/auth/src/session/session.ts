import { newId } from '@azora/db-core';
import type { Auth, AuthTransaction } from '../client';
import type { Device } from '../input';
import { type NewToken, newToken } from './tokens';

/** An open session with its tokens, which are returned once: the database has their hashes. */
export interface SignedIn {
  readonly kind: 'session';
  readonly userId: string;
  readonly sessionId: string;
  /** Authenticates requests until the session is refreshed, for at most `sessionTokenMs`. */
  readonly sessionToken: string;
  /** Valid for one refresh. */
  readonly refreshToken: string;
  /** When the session ends unless it is refreshed. */
  readonly expiresAt: Date;
  /** When the session ends in any case. */
  readonly absoluteExpiresAt: Date;
}

/** The id and the tokens of a session that is not written yet. */
export interface NewSession {
  readonly sessionId: string;
  readonly session: NewToken;
  readonly refresh: NewToken;
}

/** When a session ends, as the database has written it. */
export interface SessionEnds {
  readonly expiresAt: Date;
  readonly absoluteExpiresAt: Date;
}

/** Generates the id and the tokens of a session, and writes nothing. */
export function newSession(): NewSession {
  return { sessionId: newId(), session: newToken(), refresh: newToken() };
}

/** What the user receives, once the session is written. */
export function signedIn({ sessionId, session, refresh }: NewSession, userId: string, ends: SessionEnds): SignedIn {
  const { expiresAt, absoluteExpiresAt } = ends;
  const tokens = { sessionToken: session.token, refreshToken: refresh.token };
  return { kind: 'session', userId, sessionId, ...tokens, expiresAt, absoluteExpiresAt };
}

export interface OpenSessionInput {
  readonly userId: string;
  /** The factor that completed the sign-in, for the audit log. */
  readonly method: string;
  readonly device?: Device | undefined;
}

/**
 * Opens a session in the transaction that used up the last factor of a sign-in. It forgets the failed attempts and writes
 * the audit entry.
 */
export async function openSession(
  auth: Auth,
  tx: AuthTransaction,
  { userId, method, device = {} }: OpenSessionInput,
): Promise<SignedIn> {
  const fresh = newSession();
  const { sessionIdleMs, sessionAbsoluteMs } = auth.settings;
  const [ends] = await tx.$queryRaw<SessionEnds[]>`
    SELECT expires_at AS "expiresAt", absolute_expires_at AS "absoluteExpiresAt"
    FROM open_session(${userId}, ${fresh.sessionId}, ${fresh.session.hash}, ${newId()}, ${fresh.refresh.hash},
      ${sessionIdleMs} * interval '1 ms', ${sessionAbsoluteMs} * interval '1 ms', ${method},
      ${device.ipAddress ?? null}, ${device.userAgent ?? null})`;
  if (ends === undefined) throw new Error('open_session returned no row');
  return signedIn(fresh, userId, ends);
}

export interface EndSessionsInput {
  readonly userId: string;
  /** Ends only this session. */
  readonly sessionId?: string | undefined;
  /** Ends all sessions but this one. */
  readonly exceptSessionId?: string | undefined;
  /** Whether a thief may have opened one of them: networks that no remaining session uses become unknown. */
  readonly forget: boolean;
  /** Its network stays known. */
  readonly device?: Device;
}

/** Revokes live sessions of a user with their refresh tokens; returns their number. The caller writes the audit entry. */
export async function endSessions(
  tx: AuthTransaction,
  { userId, sessionId, exceptSessionId, forget, device }: EndSessionsInput,
): Promise<number> {
  const [row] = await tx.$queryRaw<{ ended: number }[]>`
    SELECT end_sessions(${userId}, ${sessionId ?? null}, ${exceptSessionId ?? null}, ${forget},
      ${device?.ipAddress ?? null}) AS ended`;
  return row?.ended ?? 0;
}
