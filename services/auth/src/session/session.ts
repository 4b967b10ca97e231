import { newId } from '@azora/db-core';
import type { Auth, AuthTransaction } from '../client';
import type { Device } from '../input';
import { newToken } from './tokens';

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

/** Generates the id and the tokens of a session, and writes nothing. */
export function newSession({ settings: { sessionIdleMs, sessionAbsoluteMs } }: Auth, userId: string, at: Date) {
  const [session, refresh, sessionId] = [newToken(), newToken(), newId()];
  const signedIn: SignedIn = {
    kind: 'session',
    userId,
    sessionId,
    sessionToken: session.token,
    refreshToken: refresh.token,
    expiresAt: new Date(at.getTime() + Math.min(sessionIdleMs, sessionAbsoluteMs)),
    absoluteExpiresAt: new Date(at.getTime() + sessionAbsoluteMs),
  };
  return { session, refresh, sessionId, signedIn };
}

export interface OpenSessionInput {
  readonly userId: string;
  readonly at: Date;
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
  { userId, at, method, device = {} }: OpenSessionInput,
): Promise<SignedIn> {
  const fresh = newSession(auth, userId, at);
  const { sessionIdleMs, sessionAbsoluteMs } = auth.settings;
  await tx.$executeRaw`SELECT open_session(${userId}, ${at}, ${fresh.sessionId}, ${fresh.session.hash}, ${newId()},
    ${fresh.refresh.hash}, ${sessionIdleMs} * interval '1 ms', ${sessionAbsoluteMs} * interval '1 ms', ${method},
    ${device.ipAddress ?? null}, ${device.userAgent ?? null})`;
  return fresh.signedIn;
}

export interface EndSessionsInput {
  readonly userId: string;
  readonly at: Date;
  /** Ends only this session. */
  readonly sessionId?: string | undefined;
  /** Ends all sessions but this one. */
  readonly exceptSessionId?: string | undefined;
}

/** Revokes live sessions of a user with their refresh tokens; returns their number. The caller writes the audit entry. */
export async function endSessions(
  tx: AuthTransaction,
  { userId, at, sessionId, exceptSessionId }: EndSessionsInput,
): Promise<number> {
  const [row] = await tx.$queryRaw<{ ended: number }[]>`
    SELECT end_sessions(${userId}, ${at}, ${sessionId ?? null}, ${exceptSessionId ?? null}) AS ended`;
  return row?.ended ?? 0;
}
