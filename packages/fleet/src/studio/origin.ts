import type { IncomingMessage } from 'node:http';
import net from 'node:net';
import { forbidden } from './errors';

/** Where the studio listens, and what browsers see when a TLS proxy is in front of it. */
export interface Listening {
  readonly host: string;
  readonly port: number;
  readonly proxy?: TlsProxy | undefined;
}

/** A TLS proxy in front of the studio, which alone may connect to it. */
export interface TlsProxy {
  /** The origin that browsers see: `https://studio.example.com`. */
  readonly origin: string;
  /** The IP address from which the proxy connects; any loopback address when undefined. */
  readonly address: string | undefined;
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

/**
 * Rejects a request that no page of this studio sent, or that did not come through its proxy.
 * @throws {SuiteError} `STUDIO.FORBIDDEN`
 */
export function requireOwnOrigin(request: IncomingMessage, listening: Listening): void {
  const { host } = request.headers;
  if (listening.proxy === undefined) {
    if (!isOwnHost(host, listening)) throw forbidden('The Host header does not name this studio.');
    requireSameOrigin(request, `http://${host ?? ''}`);
    return;
  }
  requireProxy(request, listening, listening.proxy);
  requireSameOrigin(request, listening.proxy.origin);
}

/** A proxy passes on the host that the browser named, or names the studio's own address. */
function requireProxy(request: IncomingMessage, listening: Listening, proxy: TlsProxy): void {
  const { headers } = request;
  if (!isFrom(request, proxy)) throw forbidden(`Only the proxy of ${proxy.origin} may connect to this address.`);
  const named = lastOf(headers['x-forwarded-host']) ?? headers.host;
  const isNamed = named !== undefined && URL.canParse(`https://${named}`);
  if (!(isNamed && new URL(`https://${named}`).origin === proxy.origin) && !isOwnHost(named, listening))
    throw forbidden('The Host header does not name this studio.');
  const scheme = lastOf(headers['x-forwarded-proto']) ?? 'https';
  if (scheme !== 'https') throw forbidden('The proxy reports that the browser used no TLS.');
}

function isFrom({ socket }: IncomingMessage, { address }: TlsProxy): boolean {
  const peer = plainAddress(socket.remoteAddress ?? '');
  return address === undefined ? isLoopback(peer) : peer === plainAddress(address);
}

/**
 * The address of the client. Only the proxy's own entry of `X-Forwarded-For` counts, the last one: the client sent the
 * others. Without a proxy the header is ignored.
 */
export function clientAddress(request: IncomingMessage, { proxy }: Listening): string {
  const peer = plainAddress(request.socket.remoteAddress ?? '');
  if (proxy === undefined || !isFrom(request, proxy)) return peer;
  const forwarded = plainAddress(lastOf(request.headers['x-forwarded-for']) ?? '');
  return net.isIP(forwarded) === 0 ? peer : forwarded;
}

/** An IPv4 address without the form that a socket for both protocols gives it. */
function plainAddress(address: string): string {
  const [, mapped = ''] = /^::ffff:([\d.]+)$/i.exec(address) ?? [];
  return net.isIPv4(mapped) ? mapped : address;
}

/** The last element of a list in a header, which the nearest proxy wrote. */
function lastOf(header: string | readonly string[] | undefined): string | undefined {
  const last = [header ?? []].flat().join(',').split(',').at(-1)?.trim();
  return last === '' ? undefined : last;
}

function requireSameOrigin({ method, headers }: IncomingMessage, own: string): void {
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  const isNavigation = headers['sec-fetch-mode'] === 'navigate' && method === 'GET';
  if (origin !== undefined && origin !== own) throw forbidden('The Origin header names another site.');
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isNavigation) {
    throw forbidden('The browser reports that another site sent the request.');
  }
  if (method !== 'GET' && method !== 'HEAD' && origin === undefined) throw forbidden('The Origin header is missing.');
}
