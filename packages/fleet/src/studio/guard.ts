import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import net from 'node:net';
import { SuiteError } from '@azora/db-core';

/** What authenticates a browser: the token of the printed address, or a password when the network can connect. */
export type Key = { readonly token: string } | { readonly password: string };

export interface GuardOptions {
  readonly key: Key;
  readonly listening: () => Listening;
  /** The value of the cookie that an authenticated browser holds. */
  readonly sessionOf: (port: number) => string;
}

export interface Listening {
  readonly host: string;
  readonly port: number;
}

export interface Guard {
  /**
   * Checks a request before anything else reads it. Returns `enter` when the browser has just shown its key and should
   * get the cookie.
   * @throws {SuiteError} `STUDIO.FORBIDDEN`, `STUDIO.UNAUTHORIZED`, `STUDIO.TOO_MANY_ATTEMPTS`
   */
  readonly admit: (request: IncomingMessage, url: URL) => 'in' | 'enter';
  readonly cookie: () => string;
}

const TOKEN_BYTES = 32;
const MAX_WRONG_PASSWORDS = 10;
const WRONG_PASSWORD_WINDOW_MS = 60_000;

/** Returns 256 random bits in base64url. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** Opens the guard that checks the origin and the authentication of every request. */
export function openGuard({ key, listening, sessionOf }: GuardOptions): Guard {
  const session = () => sessionOf(listening().port);
  const cookieName = () => `azora_studio_${listening().port}`;
  const wrong = countWrongPasswords();
  return {
    admit: (request, url) => {
      const { host, origin } = request.headers;
      if (!isOwnHost(host, listening())) throw forbidden('The Host header does not name this studio.');
      requireSameOrigin(request, host ?? '', origin);
      if (isSame(cookieOf(request, cookieName()), session())) return 'in';
      if (request.method === 'GET' && showsKey(request, url, key, wrong)) return 'enter';
      throw unauthorized();
    },
    cookie: () => `${cookieName()}=${session()}; Path=/; HttpOnly; SameSite=Strict`,
  };
}

/** Whether a server on this address is reachable from this machine only. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (net.isIPv4(host) && host.startsWith('127.'));
}

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]'];

/**
 * Whether a `Host` header names this studio. A name from someone else's DNS does not: a page of that name could reach
 * the studio by DNS rebinding. A studio on all interfaces accepts any IP address, which no DNS server controls.
 */
export function isOwnHost(header: string | undefined, { host, port }: Listening): boolean {
  const [, name = '', givenPort = '80'] = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d+))?$/i.exec(header ?? '') ?? [];
  if (Number(givenPort) !== port) return false;
  if (isLoopback(host)) return LOOPBACK_NAMES.includes(name.toLowerCase()) || name === host;
  if (name.toLowerCase() === bracketed(host).toLowerCase()) return true;
  const isOnAllInterfaces = host === '0.0.0.0' || host === '::';
  return isOnAllInterfaces && (net.isIP(name.replaceAll(/[[\]]/g, '')) !== 0 || name === 'localhost');
}

/** A host as a URL writes it: IPv6 addresses in brackets. */
export function bracketed(host: string): string {
  return net.isIPv6(host) ? `[${host}]` : host;
}

function requireSameOrigin({ method, headers }: IncomingMessage, host: string, origin: string | undefined): void {
  const site = headers['sec-fetch-site'];
  const isNavigation = headers['sec-fetch-mode'] === 'navigate' && method === 'GET';
  if (origin !== undefined && origin !== `http://${host}`) throw forbidden('The Origin header names another site.');
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isNavigation) {
    throw forbidden('The browser reports that another site sent the request.');
  }
  if (method !== 'GET' && method !== 'HEAD' && origin === undefined) throw forbidden('The Origin header is missing.');
}

function showsKey(
  request: IncomingMessage,
  url: URL,
  key: Key,
  wrong: ReturnType<typeof countWrongPasswords>,
): boolean {
  if ('token' in key) {
    // Wrong tokens are not counted: 256 bits cannot be guessed.
    return isSame(url.searchParams.get('token') ?? undefined, key.token);
  }
  const given = basicPassword(request);
  if (given === undefined) return false;
  if (wrong.isTooMany()) throw tooManyAttempts();
  if (isSame(given, key.password)) return true;
  wrong.add();
  return false;
}

/** Counts the wrong passwords of the last minute, from all clients together. */
function countWrongPasswords(): { readonly add: () => void; readonly isTooMany: () => boolean } {
  let times: number[] = [];
  return {
    add: () => times.push(Date.now()),
    isTooMany: () => {
      times = times.filter((time) => time > Date.now() - WRONG_PASSWORD_WINDOW_MS);
      return times.length >= MAX_WRONG_PASSWORDS;
    },
  };
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

function forbidden(why: string): SuiteError {
  return new SuiteError('STUDIO.FORBIDDEN', 'The request does not come from the page of this studio', {
    kind: 'usage',
    why,
    next: 'Open the address that the studio printed',
  });
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
    next: 'Wait a minute, then try again',
  });
}
