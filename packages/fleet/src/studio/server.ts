import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SuiteError } from '@azora/db-core';
import { toSuiteError } from '../operations/fleet';
import type { StudioContext } from '../operations/studio/context';
import { bracketed, isLoopback } from './addresses';
import type { Assets } from './assets';
import { type Guard, type Key, newToken, openGuard } from './guard';
import { badRequest, notFound, statusOf } from './http-error';
import { TIME_LIMITS, type TimeLimits } from './limits';
import { renderPage } from './page';
import { redactServers } from './redact';
import { answerApi, FLEET } from './routes';

export interface StudioServerOptions {
  readonly context: StudioContext;
  readonly assets: Assets;
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Needed beyond loopback; then it stands in for the token. */
  readonly password?: string | undefined;
  /** What lets a browser in again, by the port: the same one after a restart keeps the pages that are open. */
  readonly sessionOf: (port: number) => string;
  /** Told each time that a page has got the state of the fleet. */
  readonly onShown: () => void;
  readonly log: (line: string) => void;
  readonly limits?: TimeLimits | undefined;
}

export interface StudioServer {
  /** What to open; it holds the token, unless there is a password. */
  readonly url: string;
  readonly port: number;
  readonly close: () => Promise<void>;
}

const HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
};

/**
 * Serves the studio.
 * @throws {SuiteError} `STUDIO.PASSWORD_NEEDED` beyond loopback without one, `STUDIO.CANNOT_LISTEN`
 */
export async function startStudio(options: StudioServerOptions): Promise<StudioServer> {
  const { host, password, sessionOf } = options;
  if (!isLoopback(host) && password === undefined) throw passwordNeeded(host);
  const key: Key = password === undefined ? { token: newToken() } : { password };
  let port = 0;
  const guard = openGuard({ key, listening: () => ({ host, port }), sessionOf });
  const server = createServer((request, response) => {
    void answer(options, guard, request, response);
  });
  port = await listen(server, options);
  const base = `http://${bracketed(host)}:${port}/`;
  return {
    url: 'token' in key ? `${base}?token=${key.token}` : base,
    port,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, { host, port }: StudioServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(host, port, error)));
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

async function answer(
  options: StudioServerOptions,
  guard: Guard,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeaders(new Map(Object.entries(HEADERS)));
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  try {
    await route(options, guard, { request, response, signal: gone.signal });
  } catch (error) {
    if (!response.writable || response.headersSent) return;
    fail(options, request, response, toSuiteError(error));
  }
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
}

async function route(options: StudioServerOptions, guard: Guard, exchange: Exchange): Promise<void> {
  const { request, response, signal } = exchange;
  const { limits = TIME_LIMITS } = options;
  const target = request.url ?? '';
  // Not `//elsewhere/`, which is an address of another host.
  if (!/^\/(?!\/)/.test(target) || !URL.canParse(target, 'http://studio'))
    throw badRequest('Its address is not a path.');
  const url = new URL(target, 'http://studio');
  if (guard.admit(request, url) === 'enter') return enter(response, url, guard.cookie());
  if (url.pathname === '/api' || url.pathname.startsWith('/api/')) {
    const { data, headers } = await answerApi(options.context, request, url, { signal, limits });
    sendJson(response, 200, data, headers);
    if (url.pathname === FLEET) options.onShown();
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') throw notFound();
  if (url.pathname === '/assets' || url.pathname.startsWith('/assets/'))
    return sendAsset(options.assets, exchange, url);
  const { html, contentSecurityPolicy } = renderPage();
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': contentSecurityPolicy,
    'cache-control': 'no-store',
  });
  response.end(html);
}

/** The token must not stay in the address, where the history keeps it. */
function enter(response: ServerResponse, url: URL, cookie: string): void {
  url.searchParams.delete('token');
  const location = `${url.pathname}${url.search}`;
  response.writeHead(302, { location, 'set-cookie': cookie, 'cache-control': 'no-store' }).end();
}

function sendAsset(assets: Assets, { request, response }: Exchange, { pathname }: URL): void {
  const asset = assets.get(pathname.slice('/assets/'.length));
  if (asset === undefined) throw notFound();
  const { etag, type, body, isHashed } = asset;
  const control = isHashed ? 'private, max-age=31536000, immutable' : 'private, no-cache';
  const headers = { etag, 'content-type': type, 'cache-control': control };
  if (request.headers['if-none-match'] === etag) response.writeHead(304, headers).end();
  else response.writeHead(200, { ...headers, 'content-length': body.length }).end(body);
}

function sendJson(
  response: ServerResponse,
  status: number,
  data: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const type = 'application/json; charset=utf-8';
  response.writeHead(status, { ...headers, 'content-type': type, 'cache-control': 'no-store' });
  response.end(JSON.stringify(data));
}

function fail(
  { context, password, log }: StudioServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  error: SuiteError,
): void {
  const status = statusOf(error);
  const { code, why, next } = error;
  const isBug = code === 'INTERNAL';
  const message = isBug ? 'The studio failed at this' : redactServers(context, error.message);
  if (isBug) log(`studio: ${request.method} ${pathOf(request)}: ${redactServers(context, error.message)}`);
  // What is left of a body that nobody reads would be taken for the next request.
  const headers: Record<string, string> = request.complete ? {} : { connection: 'close' };
  if (status === 401 && password !== undefined) headers['www-authenticate'] = 'Basic realm="Azora studio"';
  // What a server or a bug says of itself may name addresses.
  const known = status === 500 ? {} : { why, next };
  sendJson(response, status, { error: { code, message, ...known } }, headers);
}

/** Without the query, which may hold the token or a value. */
function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?')[0] ?? '';
}

function passwordNeeded(host: string): SuiteError {
  return new SuiteError('STUDIO.PASSWORD_NEEDED', `The studio does not listen on ${host} without a password`, {
    kind: 'usage',
    why: 'Others on the network could reach it there.',
    next: 'Add --password, or leave --host out',
    meta: { host },
  });
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): SuiteError {
  return new SuiteError('STUDIO.CANNOT_LISTEN', `The studio cannot listen on ${host}:${port}`, {
    why: `${error.message}.`,
    next: 'Take another port: --port',
    meta: { host, port },
    cause: error,
  });
}
