import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { SuiteError } from '@azora/db-core';
import { countWrongPasswords, type WrongPasswords } from './lockout';
import { clientAddress, type Listening, requireOwnOrigin } from './origin';

/** What authenticates a browser: the token of the printed address, or a password when the network can connect. */
export type Key = { readonly token: string } | { readonly password: string };

/** The two secrets of an authenticated browser, derived for each port. */
export type Secret = 'cookie' | 'page';

export interface GuardOptions {
  readonly key: Key;
  readonly listening: () => Listening;
  readonly secretOf: (port: number, secret: Secret) => string;
}

/** What a request that was admitted gets. */
export type Admission =
  /** The answer. `pageKey` goes into the document. */
  | { readonly kind: 'in'; readonly pageKey: string | undefined }
  /** The browser has just shown its key: it gets these cookies and asks again. */
  | { readonly kind: 'enter'; readonly cookies: readonly string[] };

export interface Guard {
  /**
   * Checks a request before anything else reads it.
   * @throws {SuiteError} `STUDIO.FORBIDDEN`, `STUDIO.UNAUTHORIZED`, `STUDIO.TOO_MANY_ATTEMPTS`
   */
  readonly admit: (request: IncomingMessage, url: URL) => Admission;
}

/**
 * The header with the page's key. A browser sends a cookie to every port of a host, so that the cookie alone would let
 * another program on this machine in. The page keeps the key in its origin's own storage.
 */
const KEY_HEADER = 'x-studio-key';
const TOKEN_BYTES = 32;
const TICKET_SECONDS = 10;

/** Returns 256 random bits in base64url. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** Opens the guard that checks the origin and the authentication of every request. */
export function openGuard({ key, listening, secretOf }: GuardOptions): Guard {
  const wrong = countWrongPasswords();
  const tickets = openTickets();
  const holdsTicket = (request: IncomingMessage, { ticket }: CookieNames) => tickets.redeem(cookieOf(request, ticket));
  const entry = (place: Listening, names: CookieNames): Admission => {
    const session = cookie(place, names.session, secretOf(place.port, 'cookie'));
    return { kind: 'enter', cookies: [session, cookie(place, names.ticket, tickets.issue(), TICKET_SECONDS)] };
  };
  const requirePage = (request: IncomingMessage, { port }: Listening, isKnown: boolean): void => {
    if (!isKnown || !isSame(keyOf(request), secretOf(port, 'page'))) throw unauthorized();
  };
  return {
    admit: (request, url) => {
      const place = listening();
      requireOwnOrigin(request, place);
      const names = cookieNames(place);
      const isKnown = isSame(cookieOf(request, names.session), secretOf(place.port, 'cookie'));
      if (isApi(url)) {
        requirePage(request, place, isKnown);
        return { kind: 'in', pageKey: undefined };
      }
      const isShown = showsKey(request, url, key, isKnown ? undefined : wrong, place);
      // A browser repeats a password with each request, but not a token.
      if (isShown && (!isKnown || 'token' in key)) return entry(place, names);
      if (!isKnown) throw unauthorized();
      return { kind: 'in', pageKey: isShown || holdsTicket(request, names) ? secretOf(place.port, 'page') : undefined };
    },
  };
}

/** Whether the answer is data, which the page requests with its key. */
export function isApi({ pathname }: URL): boolean {
  return pathname === '/api' || pathname.startsWith('/api/');
}

interface CookieNames {
  readonly session: string;
  readonly ticket: string;
}

/** Behind TLS, browsers accept a `__Host-` cookie from this host only, over TLS, for every path. */
function cookieNames({ port, proxy }: Listening): CookieNames {
  const session = proxy === undefined ? `azora_studio_${port}` : '__Host-azora_studio';
  return { session, ticket: `${session}_ticket` };
}

function cookie({ proxy }: Listening, name: string, value: string, seconds?: number): string {
  const attributes = [
    ...['Path=/', 'HttpOnly', 'SameSite=Strict'],
    ...(proxy === undefined ? [] : ['Secure']),
    ...(seconds === undefined ? [] : [`Max-Age=${seconds}`]),
  ];
  return [`${name}=${value}`, ...attributes].join('; ');
}

/** Tickets carry the right to the page's key over one redirect. Each is valid once. */
function openTickets(): { readonly issue: () => string; readonly redeem: (ticket: string | undefined) => boolean } {
  const open = new Set<string>();
  return {
    issue: () => {
      const ticket = newToken();
      open.add(ticket);
      setTimeout(() => open.delete(ticket), TICKET_SECONDS * 1_000).unref();
      return ticket;
    },
    redeem: (ticket) => ticket !== undefined && open.delete(ticket),
  };
}

/** Counts a wrong password, unless the browser is known by its cookie. */
function showsKey(
  request: IncomingMessage,
  url: URL,
  key: Key,
  wrong: WrongPasswords | undefined,
  place: Listening,
): boolean {
  if (request.method !== 'GET') return false;
  if ('token' in key) {
    // Wrong tokens are not counted: 256 bits cannot be guessed.
    return isSame(url.searchParams.get('token') ?? undefined, key.token);
  }
  const given = basicPassword(request);
  if (given === undefined) return false;
  const source = clientAddress(request, place);
  if (wrong?.isTooMany(source) === true) throw tooManyAttempts();
  if (isSame(given, key.password)) return true;
  wrong?.add(source);
  return false;
}

function keyOf({ headers }: IncomingMessage): string | undefined {
  return [headers[KEY_HEADER] ?? []].flat()[0];
}

function basicPassword({ headers }: IncomingMessage): string | undefined {
  const [, encoded] = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(headers.authorization ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
}

function cookieOf({ headers }: IncomingMessage, name: string): string | undefined {
  const cookies = (headers.cookie ?? '').split(';').map((part) => part.trim());
  return cookies.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** Compares in constant time. */
function isSame(given: string | undefined, expected: string): boolean {
  if (given === undefined) return false;
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(expected));
}

function unauthorized(): SuiteError {
  return new SuiteError('STUDIO.UNAUTHORIZED', 'This browser is not authenticated', {
    kind: 'usage',
    next: 'Open the address that the studio printed, or enter the password',
  });
}

function tooManyAttempts(): SuiteError {
  return new SuiteError('STUDIO.TOO_MANY_ATTEMPTS', 'Too many wrong passwords', {
    kind: 'usage',
    why: 'Ten wrong passwords came from your address within a minute.',
    next: 'Wait a minute, then try again',
  });
}
