import { createHash, createHmac, randomBytes } from 'node:crypto';
import { newId } from '@azora/db-core';
import type { Auth, AuthTransaction } from '../client';
import { tokenExpired, tokenInvalid, tokenUsed } from '../errors';

const TOKEN_BYTES = 32;

/** The kinds of tokens for a single step. Refresh tokens, which form families, belong to `sessions.store.ts`. */
export type TokenKind = 'email_verification' | 'password_reset' | 'invitation' | 'mfa_challenge';

/** A token for a person, and the hash that the database keeps. */
export interface NewToken {
  readonly token: string;
  readonly hash: string;
}

export interface IssueTokenInput {
  readonly userId: string;
  readonly kind: TokenKind;
  readonly lifeMs: number;
  /** The address that an `email_verification` verifies. A token for a new password is bound to the address of its account. */
  readonly email?: string;
}

/** A token that was issued. */
export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: Date;
}

export interface FoundToken {
  readonly userId: string;
  readonly email: string | null;
}

export interface TakenToken extends FoundToken {
  /** The database's time at which the token was used up. */
  readonly at: Date;
}

/** Generates 256 random bits in base64url, with their SHA-256 in hex. A secret of this length needs neither salt nor a slow hash. */
export function newToken(): NewToken {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  return { token, hash: hashToken(token) };
}

/**
 * The token that follows from another one and a random salt. Who knows only one of them learns nothing about it, so the
 * database may keep the salt to give the same answer again.
 */
export function nextToken(token: string, salt: string, use: 'session' | 'refresh'): NewToken {
  const next = createHmac('sha256', token).update(`${use} ${salt}`).digest('base64url');
  return { token: next, hash: hashToken(next) };
}

/** The SHA-256 of a token in hex, by which the store finds it. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Issues a token that replaces the user's live token of the same kind. The database keeps only its hash. */
export async function issueToken(tx: AuthTransaction, input: IssueTokenInput): Promise<IssuedToken> {
  const { token, hash } = newToken();
  const [issued] = await tx.$queryRaw<{ expiresAt: Date }[]>`
    SELECT issue_token(${input.userId}, ${input.kind}::token_kind, ${newId()}, ${hash}, ${input.email ?? null},
      ${input.lifeMs} * interval '1 ms') AS "expiresAt"`;
  if (issued === undefined) throw new Error('issue_token returned no row');
  return { token, expiresAt: issued.expiresAt };
}

/**
 * Uses up a token of an active account that still has the address to which the token is bound. Of any number of
 * concurrent callers with one token, one succeeds. Locks the row of the account.
 * @throws {SuiteError} `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`
 */
export async function takeToken(
  tx: AuthTransaction,
  { kind, token }: { readonly kind: TokenKind; readonly token: string },
): Promise<TakenToken> {
  const hash = hashToken(token);
  const [taken] = await tx.$queryRaw<TakenToken[]>`
    SELECT user_id AS "userId", email, at FROM take_token(${kind}::token_kind, ${hash}) WHERE user_id IS NOT NULL`;
  if (taken !== undefined) return taken;
  const [found] = await tx.$queryRaw<TokenState[]>`
    SELECT expires_at AS "expiresAt", used_at AS "usedAt", revoked_at AS "revokedAt", database_time() AS at
    FROM tokens WHERE token_hash = ${hash} AND kind = ${kind}::token_kind`;
  return refuseToken(found);
}

/**
 * Finds the owner of a live token without using it up, for checks that must come first.
 * @throws {SuiteError} `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`
 */
export async function readToken(
  auth: Auth,
  { kinds, token }: { readonly kinds: readonly TokenKind[]; readonly token: string },
): Promise<FoundToken & { readonly id: string; readonly kind: TokenKind }> {
  const [found] = await auth.query<ReadToken>({
    text: `SELECT id, user_id AS "userId", kind, email, expires_at AS "expiresAt", used_at AS "usedAt",
        revoked_at AS "revokedAt", may_use_token(user_id, email) AS "isUsable", database_time() AS at
      FROM tokens WHERE token_hash = $1 AND kind::text = ANY ($2::text[])`,
    values: [hashToken(token), kinds],
  });
  if (found === undefined || !isLive(found)) return refuseToken(found);
  return { id: found.id, userId: found.userId, email: found.email, kind: found.kind };
}

/**
 * Rejects a token that has ended since it was read.
 * @throws {SuiteError} `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`
 */
export async function refuseEndedToken(tx: AuthTransaction, id: string): Promise<void> {
  const [found] = await tx.$queryRaw<LiveState[]>`
    SELECT expires_at AS "expiresAt", used_at AS "usedAt", revoked_at AS "revokedAt",
      may_use_token(user_id, email) AS "isUsable", database_time() AS at
    FROM tokens WHERE id = ${id}`;
  if (found === undefined || !isLive(found)) refuseToken(found);
}

interface ReadToken extends LiveState, TakenToken {
  readonly id: string;
  readonly kind: TokenKind;
}

interface LiveState extends TokenState {
  readonly isUsable: boolean;
}

interface TokenState {
  readonly expiresAt: Date;
  readonly usedAt: Date | null;
  readonly revokedAt: Date | null;
  readonly at: Date;
}

function isLive({ expiresAt, usedAt, revokedAt, isUsable, at }: LiveState): boolean {
  return usedAt === null && revokedAt === null && expiresAt > at && isUsable;
}

/** A live token that is refused is bound to an account or an address that is not what it was. */
function refuseToken(found: TokenState | undefined): never {
  if (found === undefined) throw tokenInvalid();
  if (found.usedAt !== null || found.revokedAt !== null) throw tokenUsed();
  throw found.expiresAt > found.at ? tokenInvalid() : tokenExpired();
}
