import { randomBytes } from 'node:crypto';

const RANDOM_BYTES = 10;

/** Returns a new id shaped like a cuid: "c" and 24 characters. Ids ascend with time, so an index grows at its end. */
export function newId(now = Date.now()): string {
  const random = BigInt(`0x${randomBytes(RANDOM_BYTES).toString('hex')}`)
    .toString(36)
    .padStart(16, '0')
    .slice(-16);
  return `c${Math.max(now, 0).toString(36).padStart(8, '0').slice(-8)}${random}`;
}
