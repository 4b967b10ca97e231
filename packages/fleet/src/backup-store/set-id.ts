import { randomBytes } from 'node:crypto';

/** What the name of a set is: when it was begun, in UTC to the millisecond, and what tells it from another begun then. */
export const SET_ID = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-[0-9a-f]{6}$/;

/** The id of a set that begins now; ids sort by time. */
export function newSetId(now: Date): string {
  return `${now.toISOString().replace(/[-:.]/g, '')}-${randomBytes(3).toString('hex')}`;
}

/** When the set was begun, in ISO 8601. */
export function startOfSet(id: string): string {
  return id.replace(SET_ID, '$1-$2-$3T$4:$5:$6.$7Z');
}
