import { createHash, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { TestDatabase } from '@azora/db-testkit';
import { type Auth, type AuthOptions, login, openAuth, type Registered, register, type SignedIn } from '../src/index';

export const PASSWORD = 'four unrelated words';
export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;

/** Where the database's time stands at the beginning of a test. */
export const START = '2026-03-01T12:00:00Z';

/**
 * Opens handles with the lowest bcrypt cost unless a test sets another. A handle goes to a later test that asks for the same options,
 * because new sessions are most of what a short test costs. One whose options are not all data is closed at the end of the test or of
 * the `describe` that opened it: the idle connections of all tests of a file would exhaust the server. Each test begins without limits
 * from earlier ones.
 */
export function useAuth(db: () => TestDatabase): (options?: AuthOptions) => Auth {
  const opened: Auth[] = [];
  const kept = new Map<string, readonly Auth[]>();
  let lent: readonly Auth[] = [];
  let before = { opened: 0, lent };
  const closeFrom = (first: number) => Promise.all(opened.splice(first).map((auth) => auth.close()));
  afterAll(() => Promise.all([closeFrom(0), ...[...kept.values()].flat().map((auth) => auth.close())]));
  beforeEach(async () => {
    before = { opened: opened.length, lent };
    await db().admin('DELETE FROM message_limits; DELETE FROM sign_in_sources');
  });
  afterEach(() => {
    lent = before.lent;
    return closeFrom(before.opened);
  });
  return (options = {}) => {
    const asked = JSON.stringify(options);
    const isData = isDeepStrictEqual(JSON.parse(asked), options);
    const free = isData ? kept.get(asked)?.find((auth) => !lent.includes(auth)) : undefined;
    const auth = free ?? openAuth({ url: db().url, bcryptCost: 4, ...options });
    if (!isData) opened.push(auth);
    else lent = [...lent, auth];
    if (isData && free === undefined) kept.set(asked, [...(kept.get(asked) ?? []), auth]);
    return auth;
  };
}

/** A user with a unique address. */
export function givenUser(auth: Auth, email = `${randomUUID()}@azora.world`): Promise<Registered> {
  return register(auth, { email, password: PASSWORD });
}

/** A signed-in user. */
export async function givenSession(auth: Auth, email?: string): Promise<SignedIn & { readonly email: string }> {
  const user = await givenUser(auth, email);
  return { ...(await signIn(auth, user.email)), email: user.email };
}

export async function signIn(auth: Auth, email: string, password = PASSWORD): Promise<SignedIn> {
  const signedIn = await login(auth, { email, password });
  if (signedIn.kind !== 'session') throw new Error('expected a sign-in without a second factor');
  return signedIn;
}

export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const TABLES = 'users sessions tokens one_time_codes mfa_settings recovery_codes audit_log audit_chains'.split(' ');

/** Every row of the tables that a sign-in writes, as one text. */
export async function dump(db: TestDatabase): Promise<string> {
  const tables: unknown[] = [];
  for (const table of TABLES) {
    tables.push(await db.admin(`SELECT to_jsonb(it) AS row FROM ${table} it ORDER BY to_jsonb(it)::text`));
  }
  return JSON.stringify(tables);
}

/** The number of calls by outcome: `ok`, or the code of the error. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<Readonly<Record<string, number>>> {
  const settled = await Promise.allSettled(calls);
  const counts: Record<string, number> = {};
  for (const result of settled) {
    const end = result.status === 'fulfilled' ? 'ok' : (result.reason.code ?? String(result.reason));
    counts[end] = (counts[end] ?? 0) + 1;
  }
  return counts;
}

/** The actions in the audit log of a user, oldest first. */
export async function actionsOf(db: TestDatabase, userId: string | null): Promise<readonly unknown[]> {
  const rows = await db.admin("SELECT action FROM audit_log WHERE coalesce(user_id, '') = $1 ORDER BY seq", [
    userId ?? '',
  ]);
  return rows.map(({ action }) => action);
}

/**
 * Inserts audit entries 1 to `count` about a new user, whose id it returns; the ids of the entries end in their numbers. The
 * administrator inserts them, because the database dates the entries of the app role.
 */
export async function givenChain(db: TestDatabase, count: number, daysAgo = 0): Promise<string> {
  const userId = `user-${randomUUID()}`;
  await db.admin(
    `INSERT INTO audit_log (id, user_id, action, details, timestamp)
     SELECT $1 || '-' || n, $1, 'USER_LOGIN', jsonb_build_object('n', n), now() - $3 * interval '1 day'
     FROM generate_series(1, $2) AS n`,
    [userId, count, daysAgo],
  );
  return userId;
}
