import { randomBytes } from 'node:crypto';

const RANDOM_BYTES = 10;

/** A new id in the shape of a cuid, c and 24 characters: those of one moment stand together in an index. */
export function newId(now = Date.now()): string {
  const random = BigInt(`0x${randomBytes(RANDOM_BYTES).toString('hex')}`)
    .toString(36)
    .padStart(16, '0')
    .slice(-16);
  return `c${Math.max(now, 0).toString(36).padStart(8, '0').slice(-8)}${random}`;
}
