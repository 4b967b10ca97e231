import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { isFileError, reasonOf } from '../../system/system-errors';
import { type Account, isRoot } from '../embedded/account';
import { usableBinaries } from '../embedded/binaries';
import { locatePlace, type Place } from '../embedded/place';
import { startEmbedded } from '../embedded/server';
import { liveDrafts, nextDataName, placeOfNext, type SwapStep, settleSwap, swapData } from '../embedded/swap';
import {
  type ArchiveLayout,
  type ArchiveRecord,
  archivedNames,
  archiveLayout,
  foreignArchive,
  getRecord,
  ifExists,
  unwritable,
  writeRecord,
} from './archive-layout';
import { archiveNow, readIdentity, type WorkOptions } from './archiver';
import { removeDraft } from './base-backup';
import {
  chooseBase,
  microseconds,
  parseTarget,
  type Reach,
  readReaches,
  refuseBeyond,
  refuseFuture,
  type Target,
  targetText,
} from './plan';
import { installPrograms } from './programs';
import { copyBase, keepPort, type Recovered, recover } from './recover';
import { type Lsn, parseLsn, segmentIndex, timelineOf, timelinesIn } from './wal';

/** The steps at which a test kills the process. */
export type RestoreStep = 'checked' | 'archived' | 'copied' | 'recovered' | SwapStep;

export interface RestoreOptions extends WorkOptions {
  readonly to: string;
  /** The timeline to follow; the server's current one by default. */
  readonly timeline?: number | undefined;
  readonly onStep?: (step: RestoreStep) => Promise<void> | void;
}

export interface RestoredServer extends Recovered {
  readonly target: string;
  readonly base: string;
  /** The directory of the replaced data; null when the data was missing. */
  readonly kept: string | null;
  readonly tookMs: number;
}

interface Work {
  readonly options: RestoreOptions;
  readonly place: Place;
  readonly layout: ArchiveLayout;
  readonly account: Account | undefined;
  readonly record: ArchiveRecord;
  readonly target: Target;
  readonly timeline: number;
  /** Whether the server runs, so that it can archive its newest transactions. */
  readonly isAlive: boolean;
}

const SETTLE_TIMEOUT_MS = 60_000;
const DOES_NOT_START = ['EMBEDDED.START_FAILED', 'EMBEDDED.NOT_READY'];

/**
 * Restores the embedded server to a point in its past. A copy is recovered and examined first. Then it replaces the data,
 * which is kept under another name.
 * @throws {SuiteError} `PITR.…`, `EMBEDDED.…`; the reason of the signal when it was aborted before the data was replaced
 */
export async function restoreTo(options: RestoreOptions): Promise<RestoredServer> {
  const begun = Date.now();
  const target = parseTarget(options.to);
  const work = await prepare(options, target);
  const step = options.onStep ?? (() => undefined);
  const { base, end } = await checkTarget(work);
  await step('archived');
  const next = placeOfNext(work.place, await nextDataName());
  const timelines = new Set(timelinesIn(await archivedNames(work.layout)));
  let isReplacing = false;
  try {
    if ((await liveDrafts(work.place)).length > 0) throw busy(work.place.directory);
    const recovered = await recoverCopy(work, { base: path.join(work.layout.base, base.id, 'data'), end }, next, step);
    options.signal?.throwIfAborted();
    isReplacing = true;
    const kept = await replaceData(work, next, step);
    await writeRecord(work.layout, { ...work.record, timeline: recovered.timeline }, work.account);
    // The data is replaced: an interruption must not leave the server stopped.
    await startEmbedded({ ...options, signal: undefined });
    return { ...recovered, target: targetText(target), base: base.id, kept, tookMs: Date.now() - begun };
  } catch (error) {
    await removeDraft(next.data, options);
    if (!isReplacing) await removeNewTimelines(work.layout, timelines);
    throw isFileError(error) ? unwritable(work.place.directory, error) : error;
  }
}

/** A copy that ended its recovery too early has begun a timeline of its own, and archived the beginning of it. */
async function removeNewTimelines(layout: ArchiveLayout, before: ReadonlySet<number>): Promise<void> {
  for (const name of (await ifExists(() => readdir(layout.wal))) ?? []) {
    const isNew = /^[0-9A-F]{8}/.test(name) && !before.has(timelineOf(name));
    if (isNew) await rm(path.join(layout.wal, name), { force: true });
  }
}

/**
 * Checks the arguments of a restore as far as that is possible without a server: the point, the archive and a base backup
 * before the point. Changes nothing.
 * @throws {SuiteError} `PITR.…`
 */
export async function checkRestore({
  home,
  to,
  timeline,
}: Pick<RestoreOptions, 'home' | 'to' | 'timeline'>): Promise<void> {
  const target = parseTarget(to);
  const layout = archiveLayout(await locatePlace(home));
  const record = await getRecord(layout);
  refuseFuture(target, { time: microseconds(new Date()), lsn: undefined });
  chooseBase(target, await readReaches(layout, record, timeline ?? record.timeline));
}

/** Starts the server if possible. A server that does not start can still be restored from the archive. */
async function prepare(options: RestoreOptions, target: Target): Promise<Work> {
  const place = await locatePlace(options.home);
  await settleSwap(place, SETTLE_TIMEOUT_MS);
  const layout = archiveLayout(place);
  const remembered = await getRecord(layout);
  const alive = await identityOf(place, options);
  if (alive !== undefined && alive.systemId !== remembered.systemId) throw foreignArchive(layout.directory);
  const record = alive ?? { ...remembered, timeline: (await timelineOfData(place)) ?? remembered.timeline };
  const owner = await stat(layout.directory);
  const account = isRoot() ? { uid: owner.uid, gid: owner.gid } : undefined;
  const timeline = options.timeline ?? record.timeline;
  return { options, place, layout, account, record, target, timeline, isAlive: alive !== undefined };
}

async function identityOf(place: Place, options: RestoreOptions): Promise<ArchiveRecord | undefined> {
  const { onProgress } = options;
  if (!(await isThere(place.data))) {
    onProgress(`${place.data} does not exist; restoring from the archive alone`);
    return undefined;
  }
  try {
    const { url } = await startEmbedded(options);
    return await withClient(url, readIdentity);
  } catch (error) {
    if (!(error instanceof SuiteError) || !DOES_NOT_START.includes(error.code)) throw error;
    onProgress('the server does not start; restoring from the archive and the rest of its log');
    return undefined;
  }
}

/** The newest timeline in the log of a server that does not start. */
async function timelineOfData({ data }: Place): Promise<number | undefined> {
  const names = (await ifExists(() => readdir(path.join(data, 'pg_wal')))) ?? [];
  return timelinesIn(new Set(names)).at(-1);
}

/** Archives the newest transactions and rejects a point that cannot be reached. Nothing else is changed yet. */
async function checkTarget(work: Work): Promise<Reach> {
  const { layout, record, target, timeline, options } = work;
  const now = microseconds(new Date());
  const chosen = chooseBase(target, await readReaches(layout, record, timeline));
  if (!work.isAlive) {
    refuseFuture(target, { time: now, lsn: undefined });
    return reachOfStopped(work, chosen);
  }
  const { url } = await startEmbedded(options);
  const isPresent = timeline === record.timeline;
  await withClient(url, async (client) => {
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    const lsn = isPresent ? parseLsn(rows[0]?.lsn ?? '0/0') : undefined;
    refuseFuture(target, { time: now, lsn });
    await options.onStep?.('checked');
    options.onProgress('archiving the newest transactions');
    await archiveNow(client, work.place, options.signal).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      // A stalled archive still reaches every point that was archived before.
      if (!isCovered(target, chosen)) throw error;
      options.onProgress(
        `the newest transactions could not be archived: ${reasonOf(error)}. They stay in the replaced data; "npx azora-db pitr status" shows the archive`,
      );
    });
  });
  const reached = chooseBase(target, await readReaches(layout, record, timeline));
  refuseBeyond(target, reached);
  return reached;
}

/**
 * The reach of a server that does not start. Its own log, which is searched too, may still have what the archive lacks.
 * @throws {SuiteError} `PITR.ARCHIVE_GAP`
 */
async function reachOfStopped({ place, record, target }: Work, reach: Reach): Promise<Reach> {
  if (target.kind !== 'latest' || reach.gap === undefined) return reach;
  const { missing, newest } = reach.gap;
  if (!(await isThere(path.join(place.data, 'pg_wal', missing)))) refuseBeyond(target, reach);
  return { ...reach, end: (segmentIndex(newest, record.segmentBytes) + 1n) * BigInt(record.segmentBytes) };
}

function isCovered(target: Target, reach: Reach): boolean {
  if (target.kind === 'latest') return false;
  try {
    refuseBeyond(target, reach);
    return true;
  } catch {
    return false;
  }
}

async function recoverCopy(
  work: Work,
  { base, end }: { readonly base: string; readonly end: Lsn },
  next: Place,
  step: (step: RestoreStep) => Promise<void> | void,
): Promise<Recovered> {
  const { place, layout, account, target, timeline, options } = work;
  options.onProgress(`copying the base backup to ${next.data}`);
  await copyBase(base, next, account, options.signal);
  await step('copied');
  options.onProgress(`recovering to ${targetText(target)}`);
  const { archive, restore } = await installPrograms(layout, account, options.environment);
  const recovered = await recover(next, account, await usableBinaries(place.base, account, options.environment), {
    ...{
      target,
      end,
      segmentBytes: work.record.segmentBytes,
      timeline,
      archiveCommand: archive,
      signal: options.signal,
    },
    // A server that does not start has log that it could not archive.
    restoreCommand: work.isAlive ? restore() : restore('../data/pg_wal/%f'),
  });
  await step('recovered');
  return recovered;
}

/** Returns the new directory of the replaced data. */
async function replaceData(
  { place, account, options }: Work,
  next: Place,
  step: (step: RestoreStep) => Promise<void> | void,
): Promise<string | null> {
  options.onProgress('stopping the server and replacing its data');
  await keepPort(place, next, account);
  const had = await isThere(place.data);
  const kept = `data.before-${new Date().toISOString().replace(/[-:.]/g, '')}`;
  await swapData(place, { next: path.basename(next.data), kept }, step);
  return had ? path.join(place.directory, kept) : null;
}

async function isThere(file: string): Promise<boolean> {
  return (await ifExists(() => stat(file))) !== undefined;
}

function busy(directory: string): SuiteError {
  return new SuiteError('PITR.BUSY', 'Another restore of the embedded server is running', {
    why: `It works in ${directory}.`,
    next: 'Wait until it has ended; "npx azora-db cleanup" lists unfinished work of other machines and containers',
    meta: { directory },
  });
}
