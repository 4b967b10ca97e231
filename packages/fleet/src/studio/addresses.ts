import net from 'node:net';

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]'];

/** Whether only this machine reaches a server that listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (net.isIPv4(host) && host.startsWith('127.'));
}

/**
 * What a browser may name in `Host`: a name that somebody else's DNS server leads here is not among them. On every
 * interface of the machine an address in numbers is, for no DNS server decides about those.
 */
export function isOwnHost(header: string | undefined, listening: { readonly host: string; readonly port: number }) {
  const [, name = '', port = '80'] = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d+))?$/i.exec(header ?? '') ?? [];
  if (Number(port) !== listening.port) return false;
  const { host } = listening;
  if (isLoopback(host)) return LOOPBACK_NAMES.includes(name.toLowerCase()) || name === host;
  if (name.toLowerCase() === bracketed(host).toLowerCase()) return true;
  const isEverywhere = host === '0.0.0.0' || host === '::';
  return isEverywhere && (net.isIP(name.replaceAll(/[[\]]/g, '')) !== 0 || name === 'localhost');
}

/** An address as it stands in a URL. */
export function bracketed(host: string): string {
  return net.isIPv6(host) ? `[${host}]` : host;
}
