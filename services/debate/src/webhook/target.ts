import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv4, type LookupFunction } from 'node:net';

export interface Address {
  readonly address: string;
  readonly family: number;
}

/** Finds the addresses of a host. */
export type HostResolver = (hostname: string) => Promise<readonly Address[]>;

/** Networks that are not public, though unicast addresses (IANA, special-purpose address registries). */
const SPECIAL = new BlockList();
for (const network of [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
  // Teredo, ORCHID and 6to4 contain IPv4 addresses, or lead nowhere.
  ...['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'],
]) {
  addNetwork(SPECIAL, network);
}
/** All public IPv6 addresses are in here; IPv4-mapped, NAT64, unique local and link-local ones are not. */
const GLOBAL_IPV6 = new BlockList();
addNetwork(GLOBAL_IPV6, '2000::/3');

/** Networks in CIDR notation, such as `10.1.0.0/16`, as one list. */
export function networksOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) addNetwork(list, network);
  return list;
}

/** Whether a text is a network in CIDR notation. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix = '', ...rest] = text.split('/');
  return (
    rest.length === 0 &&
    /^\d{1,3}$/.test(prefix) &&
    isIP(address) !== 0 &&
    Number(prefix) <= (isIPv4(address) ? 32 : 128)
  );
}

function addNetwork(list: BlockList, network: string): void {
  const [address = '', prefix = ''] = network.split('/');
  list.addSubnet(address, Number(prefix), isIPv4(address) ? 'ipv4' : 'ipv6');
}

/** Whether an address belongs to the public internet. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !SPECIAL.check(address, 'ipv4');
    case 6:
      return GLOBAL_IPV6.check(address, 'ipv6') && !SPECIAL.check(address, 'ipv6');
    default:
      return false;
  }
}

/** The target of a webhook is not reachable under the rules. The message names no address, because the owner of the webhook may read it. */
export class TargetRefused extends Error {}

/** Which addresses a request may reach: public ones by TLS, and those of the networks that the operator allows. */
export interface TargetRules {
  readonly allowed: BlockList;
  readonly resolve: HostResolver;
}

/** The resolver of the system. */
export const systemResolver: HostResolver = (hostname) => lookup(hostname, { all: true });

/** @throws {TargetRefused} if a request to this URL may not reach the address */
export function demandReachable({ protocol }: URL, address: string, { allowed }: TargetRules): void {
  if (isIP(address) !== 0 && allowed.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')) return;
  if (protocol !== 'https:') throw new TargetRefused('the URL does not begin with https:');
  if (!isPublicAddress(address)) throw new TargetRefused('the host is not on the public internet');
}

/**
 * The lookup of a request: resolves the host once, checks every address, and gives these addresses to the connection. No second resolution
 * happens, so the answer of a name server that changes between check and connection has no effect (DNS rebinding).
 */
export function checkedLookup(url: URL, rules: TargetRules): LookupFunction {
  return (hostname, options, callback) => {
    const check = async () => {
      const found = await rules.resolve(hostname);
      const [first] = found;
      if (first === undefined) throw new TargetRefused('the host has no address');
      for (const { address } of found) demandReachable(url, address, rules);
      return { first, all: found.map(({ address, family }) => ({ address, family })) };
    };
    check().then(
      ({ first, all }) => (options.all === true ? callback(null, all) : callback(null, first.address, first.family)),
      (error: Error) => callback(error, '', 0),
    );
  };
}
