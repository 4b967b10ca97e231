import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { SuiteError } from '@azora/db-core';
import { isOwnHost } from './addresses';
import { forbidden, refusal } from './http-error';

/** What lets a browser in: the token of the printed address, or, where the network may ask, a password. */
export type Key = { readonly token: string } | { readonly password: string };

export interface GuardOptions {
  readonly key: Key;
  readonly listening: () => { readonly host: string; readonly port: number };
  /** What the cookie of a browser holds that was let in. */
  readonly sessionOf: (port: number) => string;
}

export interface Guard {
  /** Throws the refusal; `enter` when the browser has just shown its key and is to be given the cookie. */
  readonly admit: (request: IncomingMessage, url: URL) => 'in' | 'enter';
  readonly cookie: () => string;
}

const TOKEN_BYTES = 32;
const MAX_WRONG = 10;
const WRONG_WINDOW_MS = 60_000;

/** 256 random bits, as they stand in an address. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** Looks at every request before anything is done for it: where it comes from, and whether it may. */
export function openGuard({ key, listening, sessionOf }: GuardOptions): Guard {
  const session = () => sessionOf(listening().port);
  const cookieName = () => `azora_studio_${listening().port}`;
  const wrong = countWrong();
  return {
    admit: (request, url) => {
      const { host, origin } = request.headers;
      if (!isOwnHost(host, listening())) throw forbidden('Its Host is not an address of this studio.');
      requireSameOrigin(request, host ?? '', origin);
      if (isSame(cookieOf(request, cookieName()), session())) return 'in';
      if (request.method === 'GET' && showsKey(request, url, key, wrong)) return 'enter';
      throw unauthorized();
    },
    cookie: () => `${cookieName()}=${session()}; Path=/; HttpOnly; SameSite=Strict`,
  };
}

function requireSameOrigin({ method, headers }: IncomingMessage, host: string, origin: string | undefined): void {
  const site = headers['sec-fetch-site'];
  const isNavigation = headers['sec-fetch-mode'] === 'navigate' && method === 'GET';
  if (origin !== undefined && origin !== `http://${host}`) throw forbidden('Its Origin is another.');
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isNavigation) {
    throw forbidden('The browser says that another site sent it.');
  }
  if (method !== 'GET' && method !== 'HEAD' && origin === undefined) throw forbidden('It names no Origin.');
}

function showsKey(request: IncomingMessage, url: URL, key: Key, wrong: ReturnType<typeof countWrong>): boolean {
  if ('token' in key) {
    // Nobody guesses 256 bits: wrong ones need not be counted.
    return isSame(url.searchParams.get('token') ?? undefined, key.token);
  }
  const given = basicPassword(request);
  if (given === undefined) return false;
  if (wrong.isTooMany()) throw tooMany();
  if (isSame(given, key.password)) return true;
  wrong.add();
  return false;
}

/** Wrong passwords of the last minute, whoever sent them. */
function countWrong(): { readonly add: () => void; readonly isTooMany: () => boolean } {
  let times: number[] = [];
  return {
    add: () => times.push(Date.now()),
    isTooMany: () => {
      times = times.filter((time) => time > Date.now() - WRONG_WINDOW_MS);
      return times.length >= MAX_WRONG;
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

/** Takes as long for any wrong value, however much of it is right. */
function isSame(given: string | undefined, expected: string): boolean {
  if (given === undefined) return false;
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(expected));
}

function unauthorized(): SuiteError {
  const error = new SuiteError('STUDIO.UNAUTHORIZED', 'This browser has not been let in', {
    next: 'Open the address that the studio printed, with its token',
  });
  return refusal(401, error);
}

function tooMany(): SuiteError {
  const error = new SuiteError('STUDIO.TOO_MANY_ATTEMPTS', 'Too many wrong passwords', {
    next: 'Wait a minute',
  });
  return refusal(429, error);
}
