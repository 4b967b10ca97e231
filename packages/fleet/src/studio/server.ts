import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SuiteError } from '@azora/db-core';
import { toSuiteError } from '../operations/fleet';
import type { StudioContext } from '../operations/studio/context';
import { answerApi, FLEET_PATH } from './api';
import { badRequest, notFound, pageErrorOf, redactServers, statusOf } from './errors';
import { type Guard, isApi, type Key, newToken, openGuard, type Secret } from './guard';
import { bracketed, clientAddress, isLoopback, type Listening, type TlsProxy } from './origin';
import { type Assets, type Page, renderPage, renderProblem } from './page';
import { TIME_LIMITS, type TimeLimits } from './transaction';

export interface StudioServerOptions {
  readonly context: StudioContext;
  readonly assets: Assets;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** The TLS proxy in front of the studio. */
  readonly proxy?: TlsProxy | undefined;
  /** Replaces the token; required with a proxy, and when `host` is not a loopback address. */
  readonly password?: string | undefined;
  /** What browsers are known by, for each port. A restart with the same values keeps open pages authenticated. */
  readonly secretOf: (port: number, secret: Secret) => string;
  /** Called each time a page has received the state of the fleet. */
  readonly onFleetRead: () => void;
  readonly log: (line: string) => void;
  readonly limits?: TimeLimits | undefined;
}

export interface StudioServer {
  /** The address to open, with the token unless there is a password. */
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
 * Serves the studio until it is closed.
 * @throws {SuiteError} `STUDIO.PASSWORD_NEEDED`, `STUDIO.CANNOT_LISTEN`
 */
export async function startServer(options: StudioServerOptions): Promise<StudioServer> {
  const { host, proxy, password, secretOf } = options;
  if (password === undefined && (proxy !== undefined || !isLoopback(host))) throw passwordNeeded(proxy?.origin ?? host);
  const key: Key = password === undefined ? { token: newToken() } : { password };
  let port = 0;
  const listening = (): Listening => ({ host, port, proxy });
  const guard = openGuard({ key, listening, secretOf });
  const server = createServer((request, response) => {
    void answer({ ...options, listening }, guard, request, response);
  });
  port = await listen(server, options);
  const base = `${proxy?.origin ?? `http://${bracketed(host)}:${port}`}/`;
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

interface Serving extends StudioServerOptions {
  readonly listening: () => Listening;
}

async function answer(
  options: Serving,
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
    fail(options, request, response, toSuiteError(error));
  }
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
}

async function route(options: Serving, guard: Guard, exchange: Exchange): Promise<void> {
  const { request, response, signal } = exchange;
  const { limits = TIME_LIMITS } = options;
  const target = request.url ?? '';
  // `//elsewhere/` would be the URL of another host.
  if (!/^\/(?!\/)/.test(target) || !URL.canParse(target, 'http://studio'))
    throw badRequest('The request target is not a path.');
  const url = new URL(target, 'http://studio');
  const admission = guard.admit(request, url);
  if (admission.kind === 'enter') return enter(response, url, admission.cookies);
  if (isApi(url)) {
    const caller = { address: clientAddress(request, options.listening()), agent: request.headers['user-agent'] };
    const { data, headers } = await answerApi(options.context, request, url, { signal, limits, caller });
    sendJson(response, 200, data, headers);
    if (url.pathname === FLEET_PATH) options.onFleetRead();
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') throw notFound();
  if (url.pathname === '/assets' || url.pathname.startsWith('/assets/'))
    return sendAsset(options.assets, exchange, url);
  sendPage(response, 200, renderPage(admission.pageKey));
}

function sendPage(
  response: ServerResponse,
  status: number,
  { html, contentSecurityPolicy }: Page,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...headers,
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': contentSecurityPolicy,
    'cache-control': 'no-store',
  });
  response.end(html);
}

/** Redirects to the address without the token, which must not stay in the browser's history. */
function enter(response: ServerResponse, url: URL, cookies: readonly string[]): void {
  url.searchParams.delete('token');
  const location = `${url.pathname}${url.search}`;
  response.writeHead(302, { location, 'set-cookie': [...cookies], 'cache-control': 'no-store' }).end();
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
  // Before the head: data that cannot be serialized must still become an error answer.
  const body = JSON.stringify(data);
  const type = 'application/json; charset=utf-8';
  response.writeHead(status, { ...headers, 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}

function fail(
  { context, password, log }: StudioServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  error: SuiteError,
): void {
  if (error.kind === 'bug')
    log(`${request.method} ${pathOf(request)} failed: ${redactServers(context, error.message)}`);
  if (response.headersSent) response.destroy();
  if (!response.writable || response.headersSent) return;
  const status = statusOf(error);
  // The next request must not start in the middle of a body that nobody read.
  const headers: Record<string, string> = request.complete ? {} : { connection: 'close' };
  if (status === 401 && password !== undefined) headers['www-authenticate'] = 'Basic realm="Azora studio"';
  const problem = pageErrorOf(context, error);
  if (isNavigation(request)) sendPage(response, status, renderProblem(problem), headers);
  else sendJson(response, status, { error: problem }, headers);
}

/** Whether a person will read the answer in the window of a browser. */
function isNavigation({ headers }: IncomingMessage): boolean {
  const { 'sec-fetch-mode': mode, accept = '' } = headers;
  return mode === undefined ? accept.includes('text/html') : mode === 'navigate';
}

/** Without the query string, which may contain the token or a value. */
function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?')[0] ?? '';
}

/** What to do about an error of listen(2). */
const NEXT: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Stop that program, or omit --port to use the next free port',
  EACCES: 'Choose a port from 1024 on with --port; lower ones need special rights',
};

function passwordNeeded(host: string): SuiteError {
  return new SuiteError('STUDIO.PASSWORD_NEEDED', `The studio does not listen on ${host} without a password`, {
    kind: 'usage',
    why: 'Other machines on the network can reach that address.',
    next: 'Add --password, or omit --host',
    meta: { host },
  });
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): SuiteError {
  const isTaken = error.code === 'EADDRINUSE';
  return new SuiteError('STUDIO.CANNOT_LISTEN', `The studio cannot listen on ${host}:${port}`, {
    kind: 'configuration',
    why: isTaken ? `Another program, such as another studio, listens on port ${port}.` : `${error.message}.`,
    next: NEXT[error.code ?? ''] ?? 'Pass an address of this machine with --host',
    meta: { host, port },
    cause: error,
  });
}
