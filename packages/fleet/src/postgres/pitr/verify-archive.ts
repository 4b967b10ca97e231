import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { locatePlace } from '../embedded/place';
import { type ArchiveRecord, archivedNames, archiveLayout, getRecord, ifExists } from './archive-layout';
import type { WorkOptions } from './archiver';
import { listBases } from './base-backup';
import { isInPast, isSegment, parseLsn, readLineage, segmentAt, segmentIndex, segmentName } from './wal';

/** A segment that stops a recovery, and why. */
export interface SegmentFlaw {
  readonly segment: string;
  readonly flaw:
    | 'it is missing'
    | 'it has another size'
    | 'it belongs to another server'
    | 'a page of it is damaged'
    | 'it differs from its checksum';
}

export interface VerifiedArchive {
  readonly directory: string;
  /** The oldest base backup of the current timeline, from which on the log was read. */
  readonly base: string;
  readonly segments: number;
  /** Segments that were archived by a version without checksums. */
  readonly withoutChecksum: number;
  readonly flaws: readonly SegmentFlaw[];
}

/** The size of a page of the log, and what its header says: https://doxygen.postgresql.org/xlog__internal_8h_source.html */
const PAGE_BYTES = 8_192;
const LONG_HEADER = 0x0002;
const ADDRESS_AT = 8;
const SYSTEM_AT = 24;

/**
 * Reads the log of the current timeline, from the oldest base backup to the newest segment, one segment at a time: none may
 * be missing, and each must have its size, the pages of its place in the log and the checksum that it was archived with.
 * @throws {SuiteError} `PITR.NOT_ENABLED`, `PITR.NO_BASE`; the reason of the signal when it was aborted
 */
export async function verifyArchive({ home, signal, onProgress }: WorkOptions): Promise<VerifiedArchive> {
  const layout = archiveLayout(await locatePlace(home));
  const record = await getRecord(layout);
  const { segmentBytes } = record;
  const lineage = await readLineage(layout.wal, record.timeline);
  const [base] = (await listBases(layout)).filter(
    ({ systemId, timeline, stopLsn }) => systemId === record.systemId && isInPast(lineage, timeline, parseLsn(stopLsn)),
  );
  if (base === undefined) throw withoutBase(layout.directory);
  const names = await archivedNames(layout);
  const first = segmentIndex(base.startSegment, segmentBytes);
  const last = newestIndex(names, record);
  const flaws: SegmentFlaw[] = [];
  let withoutChecksum = 0;
  for (let index = first; index <= last; index += 1n) {
    signal?.throwIfAborted();
    const segment = segmentAt(names, lineage, index, segmentBytes);
    if (segment === undefined) {
      flaws.push({ segment: segmentName(record.timeline, index, segmentBytes), flaw: 'it is missing' });
      continue;
    }
    const checksum = await ifExists(() => readFile(path.join(layout.wal, `${segment}.sha256`), 'utf8'));
    if (checksum === undefined) withoutChecksum += 1;
    const flaw = flawOf(await readFile(path.join(layout.wal, segment)), index, record, checksum?.trim());
    if (flaw !== undefined) flaws.push({ segment, flaw });
    onProgress(`read ${segment}`);
  }
  const segments = Number(last - first) + 1;
  return { directory: layout.directory, base: base.id, segments, withoutChecksum, flaws };
}

/** The place of the newest segment of the current timeline. */
function newestIndex(names: ReadonlySet<string>, { timeline, segmentBytes }: ArchiveRecord): bigint {
  const prefix = segmentName(timeline, 0n, segmentBytes).slice(0, 8);
  const own = [...names].filter((name) => isSegment(name) && name.startsWith(prefix)).sort();
  const newest = own.at(-1);
  return newest === undefined ? -1n : segmentIndex(newest, segmentBytes);
}

function flawOf(
  content: Buffer,
  index: bigint,
  { segmentBytes, systemId }: ArchiveRecord,
  checksum: string | undefined,
): SegmentFlaw['flaw'] | undefined {
  if (content.length !== segmentBytes) return 'it has another size';
  const hasLongHeader = (content.readUInt16LE(2) & LONG_HEADER) !== 0;
  if (hasLongHeader && String(content.readBigUInt64LE(SYSTEM_AT)) !== systemId) return 'it belongs to another server';
  if (!hasLongHeader || !hasOwnPages(content, index * BigInt(segmentBytes))) return 'a page of it is damaged';
  const isSame = checksum === undefined || createHash('sha256').update(content).digest('hex') === checksum;
  return isSame ? undefined : 'it differs from its checksum';
}

/** Whether each page says where it belongs. The pages after the end of a segment that was ended early are zeros. */
function hasOwnPages(content: Buffer, begin: bigint): boolean {
  const zeros = Buffer.alloc(PAGE_BYTES);
  const magic = content.readUInt16LE(0);
  let isOver = false;
  for (let at = 0; at < content.length; at += PAGE_BYTES) {
    const page = content.subarray(at, at + PAGE_BYTES);
    if (page.equals(zeros)) isOver = true;
    else if (isOver || page.readUInt16LE(0) !== magic) return false;
    else if (page.readBigUInt64LE(ADDRESS_AT) !== begin + BigInt(at)) return false;
  }
  return true;
}

function withoutBase(directory: string): SuiteError {
  return new SuiteError('PITR.NO_BASE', `The archive in ${directory} has no base backup of the current timeline`, {
    kind: 'configuration',
    why: 'Without one, nothing can be restored from the log.',
    next: 'Run "npx azora-db pitr base"',
    meta: { directory },
  });
}
