import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** A position in the write-ahead log. */
export type Lsn = bigint;

const SEGMENT = /^[0-9A-F]{24}$/;
const HISTORY = /^([0-9A-F]{8})\.history$/;
const FOUR_GIB = 0x1_0000_0000n;

/** A timeline of a lineage, and the position at which the lineage leaves it; undefined for the last one. */
export interface Stretch {
  readonly timeline: number;
  readonly end: Lsn | undefined;
}

export function parseLsn(text: string): Lsn {
  const [high = '', low = ''] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

export function lsnText(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

export function isSegment(name: string): boolean {
  return SEGMENT.test(name);
}

/** For example 00000001000000000000002A: the timeline, then the two halves of the segment's number. */
export function segmentName(timeline: number, index: bigint, segmentBytes: number): string {
  const perFile = FOUR_GIB / BigInt(segmentBytes);
  return [BigInt(timeline), index / perFile, index % perFile].map(eightDigits).join('');
}

/** The number of the segment, counted from the beginning of the log. */
export function segmentIndex(name: string, segmentBytes: number): bigint {
  const [high, low] = [BigInt(`0x${name.slice(8, 16)}`), BigInt(`0x${name.slice(16)}`)];
  return high * (FOUR_GIB / BigInt(segmentBytes)) + low;
}

export function timelineOf(name: string): number {
  return Number.parseInt(name.slice(0, 8), 16);
}

/** The timelines that occur in the archive. */
export function timelinesIn(names: ReadonlySet<string>): readonly number[] {
  const found = [...names].filter((name) => isSegment(name) || HISTORY.test(name)).map(timelineOf);
  return [...new Set(found)].sort((one, other) => one - other);
}

/** The ancestors of a timeline, from the history file that a promotion writes. The first timeline has no such file. */
export async function readLineage(directory: string, timeline: number): Promise<readonly Stretch[]> {
  const file = path.join(directory, `${eightDigits(BigInt(timeline))}.history`);
  const text = timeline === 1 ? '' : await readFile(file, 'utf8');
  const parents = [...text.matchAll(/^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/gim)].map(([, number, lsn = '']): Stretch => {
    return { timeline: Number(number), end: parseLsn(lsn) };
  });
  return [...parents, { timeline, end: undefined }];
}

/** Whether the lineage contains this position of the timeline. */
export function isInPast(lineage: readonly Stretch[], timeline: number, lsn: Lsn): boolean {
  return lineage.some((stretch) => stretch.timeline === timeline && (stretch.end === undefined || lsn <= stretch.end));
}

/** The end of the gapless log in the archive, from the segment `from` on. */
export function reachFrom(
  names: ReadonlySet<string>,
  lineage: readonly Stretch[],
  from: bigint,
  segmentBytes: number,
): { readonly end: Lsn; readonly last: string | undefined } {
  let last: string | undefined;
  for (let index = from; ; index += 1n) {
    const name = segmentAt(names, lineage, index, segmentBytes);
    if (name === undefined) return { end: index * BigInt(segmentBytes), last };
    last = name;
  }
}

/** The segments of the lineage that lie behind a gap, in their order. `end` is the end of the gapless log. */
export function segmentsBehind(
  names: ReadonlySet<string>,
  lineage: readonly Stretch[],
  end: Lsn,
  segmentBytes: number,
): readonly string[] {
  const isBehind = (name: string) => {
    const begin = segmentIndex(name, segmentBytes) * BigInt(segmentBytes);
    return begin > end && isInPast(lineage, timelineOf(name), begin);
  };
  return [...names].filter((name) => isSegment(name) && isBehind(name)).sort((one, other) => compareIndex(one, other));
}

/** Segments of several timelines sort by their place in the log. */
function compareIndex(one: string, other: string): number {
  return one.slice(8) < other.slice(8) ? -1 : 1;
}

/** The file that recovery uses for a segment: the one on the newest timeline that contains it. */
export function segmentAt(
  names: ReadonlySet<string>,
  lineage: readonly Stretch[],
  index: bigint,
  segmentBytes: number,
): string | undefined {
  const begin = index * BigInt(segmentBytes);
  const usable = lineage.filter(({ end }) => end === undefined || end > begin);
  return usable
    .map(({ timeline }) => segmentName(timeline, index, segmentBytes))
    .reverse()
    .find((name) => names.has(name));
}

function eightDigits(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
