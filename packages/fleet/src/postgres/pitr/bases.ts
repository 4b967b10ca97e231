import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { draftName, isDraft } from '../../system/atomic-files';
import type { ArchiveRecord, Area } from './area';
import { isSegment, segmentIndex } from './wal';

/** One base backup, as its description says. */
export interface BaseBackup {
  readonly id: string;
  readonly systemId: string;
  readonly timeline: number;
  readonly startLsn: string;
  /** The first segment that restoring it takes. */
  readonly startSegment: string;
  /** From here on, and from this time on, it can be restored. */
  readonly stopLsn: string;
  readonly stoppedAt: string;
  readonly bytes: number;
  readonly tookMs: number;
}

export interface PrunedArchive {
  readonly bases: readonly string[];
  readonly segments: number;
}

export const DESCRIPTION = 'base.json';
/** A draft of a segment is written in a moment; of a killed archiver it stays. */
const STALE_MS = 3_600_000;

/** The whole base backups, oldest first. */
export async function listBases(area: Area): Promise<readonly BaseBackup[]> {
  const names = (await readdir(area.base).catch((): string[] => [])).filter((name) => !isDraft(name)).sort();
  return Promise.all(
    names.map(
      async (name) => JSON.parse(await readFile(path.join(area.base, name, DESCRIPTION), 'utf8')) as BaseBackup,
    ),
  );
}

/** Removes base backups but the newest so many, and the log that only they needed. */
export async function pruneBases(area: Area, record: ArchiveRecord, keep: number): Promise<PrunedArchive> {
  const bases = await listBases(area);
  const removed = bases.slice(0, Math.max(0, bases.length - keep));
  for (const { id } of removed) {
    // Under the name of a draft, half-removed it is no base backup, and is swept.
    const draft = path.join(area.base, await draftName(id, 'part'));
    await rename(path.join(area.base, id), draft);
    await rm(draft, { recursive: true, force: true });
  }
  const starts = bases.slice(removed.length).map((base) => segmentIndex(base.startSegment, record.segmentBytes));
  const first = starts.reduce((least, start) => (start < least ? start : least), starts[0] ?? 0n);
  let segments = 0;
  for (const name of await readdir(area.wal)) {
    const file = path.join(area.wal, name);
    const isStale = name.includes('.part-') && Date.now() - (await stat(file)).mtimeMs > STALE_MS;
    // Also what belongs to a segment: 00000001000000000000002A.00000028.backup and .partial.
    const segment = name.slice(0, 24);
    if (!isStale && !(isSegment(segment) && segmentIndex(segment, record.segmentBytes) < first)) continue;
    await rm(file, { force: true });
    segments += name === segment ? 1 : 0;
  }
  return { bases: removed.map(({ id }) => id), segments };
}
