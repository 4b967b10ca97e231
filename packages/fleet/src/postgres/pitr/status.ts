import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import { findPlace, type Place } from '../embedded/place';
import { findPostmaster } from '../embedded/postmaster';
import { type ArchiveLayout, archivedNames, archiveLayout, findRecord, ifExists } from './archive-layout';
import { type ArchiverState, readArchiver, readIdentity } from './archiver';
import { type BaseBackup, listBases } from './base-backup';
import { type Reach, readReaches } from './plan';
import { isSegment, lsnText, timelinesIn } from './wal';

export interface Point {
  readonly time: string | null;
  readonly lsn: string;
}

/** The state of the archive, and the points to which it can restore. */
export interface ArchiveState {
  readonly isEnabled: boolean;
  readonly isRunning: boolean;
  readonly directory: string;
  readonly lastSegment: { readonly name: string; readonly at: Date; readonly ageSeconds: number } | null;
  /** Null while the server is stopped. */
  readonly archiver: ArchiverState | null;
  readonly timeline: number | null;
  readonly timelines: readonly number[];
  readonly bases: readonly BaseBackup[];
  /** Along the current timeline, with the archived log. */
  readonly window: { readonly from: Point; readonly to: Point } | null;
  /** Along the current timeline: the first segment that the archive lacks, and the newest one behind it. */
  readonly gap: Reach['gap'] | null;
  /** Disk usage. */
  readonly bytes: { readonly segments: number; readonly bases: number };
  /** The replaced data of earlier restores, which the user may remove. */
  readonly kept: readonly string[];
}

const BLOCK_BYTES = 512;

/** Reads the archive without starting a server; undefined when there is no embedded server. */
export async function readArchive({ home }: { readonly home: string }): Promise<ArchiveState | undefined> {
  const place = await findPlace(home);
  if (place === undefined) return undefined;
  const layout = archiveLayout(place);
  const server = await askServer(place);
  const remembered = await findRecord(layout);
  const isOwn = remembered !== undefined && (server === undefined || server.systemId === remembered.systemId);
  const record = isOwn ? (server ?? remembered) : undefined;
  const names = await archivedNames(layout);
  const segments = await statSegments(layout, names);
  const bases =
    record === undefined ? [] : (await listBases(layout)).filter((base) => base.systemId === record.systemId);
  return {
    isEnabled: record !== undefined && (server?.archiver.isOn ?? (await isConfigured(place))),
    isRunning: server !== undefined,
    directory: layout.directory,
    lastSegment: segments.last,
    archiver: server?.archiver ?? null,
    timeline: record?.timeline ?? null,
    timelines: timelinesIn(names),
    bases,
    ...(record === undefined ? { window: null, gap: null } : await readWindow(layout, record)),
    bytes: { segments: segments.bytes, bases: bases.reduce((sum, { bytes }) => sum + bytes, 0) },
    kept: (await readdir(place.directory)).filter((name) => /^data\.before-\w+$/.test(name)).sort(),
  };
}

async function askServer(place: Place) {
  const postmaster = await findPostmaster(place);
  if (postmaster === undefined) return undefined;
  return withClient(postmaster.url, async (client) => {
    return { ...(await readIdentity(client)), archiver: await readArchiver(client) };
  });
}

async function readWindow(
  layout: ArchiveLayout,
  record: Parameters<typeof readReaches>[1],
): Promise<Pick<ArchiveState, 'window' | 'gap'>> {
  const reaches = await readReaches(layout, record, record.timeline);
  const [newest, reach] = [reaches.at(-1), reaches.findLast(isWhole)];
  const gap = newest?.gap ?? null;
  if (reach === undefined) return { window: null, gap };
  // Base backups before a gap in the log do not reach the end of the window.
  const first = reaches.find((other) => other.end === reach.end) ?? reach;
  const [from, to] = [
    { time: first.base.stoppedAt, lsn: first.base.stopLsn },
    { time: reach.endTime ?? null, lsn: lsnText(reach.end) },
  ];
  return { window: { from, to }, gap };
}

function isWhole({ base, endTime }: Awaited<ReturnType<typeof readReaches>>[number]): boolean {
  return endTime !== undefined && base.stoppedAt <= endTime;
}

/** Counts allocated blocks, because the zeros at the end of a segment use none. */
async function statSegments(layout: ArchiveLayout, names: ReadonlySet<string>) {
  const stats = await Promise.all(
    [...names].map(async (name) => ({ name, ...(await sizeAndTime(path.join(layout.wal, name))) })),
  );
  const newest = stats
    .filter(({ name }) => isSegment(name))
    .sort((one, other) => +one.at - +other.at)
    .at(-1);
  const ageSeconds = newest === undefined ? 0 : Math.max(0, Math.round((Date.now() - +newest.at) / 1_000));
  return {
    bytes: stats.reduce((sum, { bytes }) => sum + bytes, 0),
    last: newest === undefined ? null : { name: newest.name, at: newest.at, ageSeconds },
  };
}

async function sizeAndTime(file: string): Promise<{ bytes: number; at: Date }> {
  const { size, blocks, mtime } = await stat(file);
  return { bytes: blocks > 0 ? blocks * BLOCK_BYTES : size, at: mtime };
}

/** Whether the configuration of a stopped server turns archiving on. */
async function isConfigured({ data }: Place): Promise<boolean> {
  const text = await ifExists(() => readFile(path.join(data, 'postgresql.auto.conf'), 'utf8'));
  return /^\s*archive_mode\s*=\s*'(on|always)'/m.test(text ?? '');
}
