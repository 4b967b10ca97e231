import net from 'node:net';

/** The wrong passwords of the last minute, by source: nobody locks out others. */
export interface WrongPasswords {
  readonly add: (address: string) => void;
  readonly isTooMany: (address: string) => boolean;
}

const MAX_WRONG_PASSWORDS = 10;
const WINDOW_MS = 60_000;

/** Counts wrong passwords. Sources whose last one is older than a minute are forgotten. */
export function countWrongPasswords(now: () => number = Date.now): WrongPasswords {
  const timesBySource = new Map<string, readonly number[]>();
  const recent = (source: string) => (timesBySource.get(source) ?? []).filter((time) => time > now() - WINDOW_MS);
  return {
    add: (address) => {
      for (const source of timesBySource.keys()) if (recent(source).length === 0) timesBySource.delete(source);
      const source = sourceOf(address);
      timesBySource.set(source, [...recent(source), now()]);
    },
    isTooMany: (address) => recent(sourceOf(address)).length >= MAX_WRONG_PASSWORDS,
  };
}

/** One client may use any address of its IPv6 network of 64 bits. */
function sourceOf(address: string): string {
  if (!net.isIPv6(address)) return address;
  const [plain = ''] = address.split('%');
  const [head = '', tail = ''] = plain.split('::');
  const [first, last] = [head, tail].map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(8 - (first?.length ?? 0) - (last?.length ?? 0)).fill('0');
  const groups = plain.includes('::') ? [...(first ?? []), ...zeros, ...(last ?? [])] : (first ?? []);
  return groups.slice(0, 4).join(':');
}
