import { randomFillSync } from 'node:crypto';

const RANDOM_BYTES = 10;
/** Random bytes for the next ids: one call of the system for each id would take a third of its time. */
const pool = Buffer.alloc(RANDOM_BYTES * 400);
let used = pool.length;

/** Returns a new id shaped like a cuid: "c" and 24 characters. Ids ascend with time, so an index grows at its end. */
export function newId(now = Date.now()): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += RANDOM_BYTES;
  const random = BigInt(`0x${pool.toString('hex', used - RANDOM_BYTES, used)}`)
    .toString(36)
    .padStart(16, '0')
    .slice(-16);
  return `c${Math.max(now, 0).toString(36).padStart(8, '0').slice(-8)}${random}`;
}
