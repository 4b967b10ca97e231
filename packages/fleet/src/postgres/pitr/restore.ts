import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { isFileError } from '../../system/system-errors';
import { type Account, isRoot } from '../embedded/account';
import { usableBinaries } from '../embedded/binaries';
import { locatePlace, type Place } from '../embedded/place';
import { startEmbedded } from '../embedded/server';
import { liveDrafts, nextDataName, placeOfNext, type SwapStep, settleSwap, swapData } from '../embedded/swap';
import { archiveNow, readIdentity } from './archiver';
import { type ArchiveRecord, type Area, areaOf, getRecord, writeRecord } from './area';
import type { BaseOptions } from './base';
import { busy, foreignArchive, interrupted, unwritable } from './errors';
import { chooseBase, type Reach, readReaches, refuseBeyond, refuseFuture } from './plan';
import { installPrograms } from './programs';
import { copyBase, keepPort, type Recovered, recover } from './recover';
import { microseconds, parseTarget, type Target, targetText } from './target';
import { parseLsn, timelinesIn } from './wal';

/** Where a test ends the process. */
export type RestoreStep = 'checked' | 'archived' | 'copied' | 'recovered' | SwapStep;

export interface RestoreOptions extends BaseOptions {
  readonly to: string;
  /** Along which timeline; the server's own without it. */
  readonly timeline?: number | undefined;
  readonly onStep?: (step: RestoreStep) => Promise<void> | void;
}

export interface RestoredServer extends Recovered {
  readonly target: string;
  readonly base: string;
  /** The former data; null when there was none any more. */
  readonly kept: string | null;
  readonly tookMs: number;
}

/** What a restore works with. */
interface Work {
  readonly options: RestoreOptions;
  readonly place: Place;
  readonly area: Area;
  readonly account: Account | undefined;
  readonly record: ArchiveRecord;
  readonly target: Target;
  readonly timeline: number;
  /** Whether the server runs: what it has not archived yet can be had from it. */
  readonly isAlive: boolean;
}

const SETTLE_TIMEOUT_MS = 60_000;
const DOES_NOT_START = ['EMBEDDED.START_FAILED', 'EMBEDDED.NOT_READY'];

/**
 * Puts the embedded server back to a point in its past. A copy is recovered and looked into first, and only then takes
 * the place of the data, which is kept under another name.
 * @throws {SuiteError} `PITR.…`, `EMBEDDED.…`
 */
export async function restoreTo(options: RestoreOptions): Promise<RestoredServer> {
  const begun = Date.now();
  const target = parseTarget(options.to);
  const work = await prepare(options, target);
  const step = options.onStep ?? (() => undefined);
  const { base } = await checkTarget(work);
  await step('archived');
  const next = placeOfNext(work.place, await nextDataName());
  try {
    if ((await liveDrafts(work.place)).length > 0) throw busy(work.place.directory);
    const recovered = await recoverCopy(work, path.join(work.area.base, base.id, 'data'), next, step);
    if (options.signal?.aborted === true) throw interrupted();
    const kept = await putInPlace(work, next, step);
    await writeRecord(work.area, { ...work.record, timeline: recovered.timeline }, work.account);
    await startEmbedded(options);
    return { ...recovered, target: targetText(target), base: base.id, kept, tookMs: Date.now() - begun };
  } catch (error) {
    throw isFileError(error) ? unwritable(work.place.directory, error) : error;
  } finally {
    await rm(next.data, { recursive: true, force: true });
  }
}

/** The server is started when it can be; what is archived can be restored without it, too. */
async function prepare(options: RestoreOptions, target: Target): Promise<Work> {
  const place = await locatePlace(options.home);
  await settleSwap(place, SETTLE_TIMEOUT_MS);
  const area = areaOf(place);
  const remembered = await getRecord(area);
  const alive = await identityOf(place, options);
  if (alive !== undefined && alive.systemId !== remembered.systemId) throw foreignArchive(area.directory);
  const record = alive ?? { ...remembered, timeline: (await timelineOfData(place)) ?? remembered.timeline };
  const owner = await stat(area.directory);
  const account = isRoot() ? { uid: owner.uid, gid: owner.gid } : undefined;
  const timeline = options.timeline ?? record.timeline;
  return { options, place, area, account, record, target, timeline, isAlive: alive !== undefined };
}

async function identityOf(place: Place, { home, onProgress }: RestoreOptions): Promise<ArchiveRecord | undefined> {
  if (!(await isThere(place.data))) {
    onProgress(`there is no ${place.data} any more: restoring from the archive alone`);
    return undefined;
  }
  try {
    const { url } = await startEmbedded({ home, onProgress });
    return await withClient(url, readIdentity);
  } catch (error) {
    if (!(error instanceof SuiteError) || !DOES_NOT_START.includes(error.code)) throw error;
    onProgress('the server does not start any more: restoring from the archive and what its log still has');
    return undefined;
  }
}

/** A dead server's log is of its own timeline and those before. */
async function timelineOfData({ data }: Place): Promise<number | undefined> {
  const names = await readdir(path.join(data, 'pg_wal')).catch((): string[] => []);
  return timelinesIn(new Set(names)).at(-1);
}

/** Refuses what cannot be restored to, having archived the newest transactions: nothing else is touched yet. */
async function checkTarget(work: Work): Promise<Reach> {
  const { area, record, target, timeline, options } = work;
  const now = microseconds(new Date());
  const chosen = chooseBase(target, await readReaches(area, record, timeline));
  if (!work.isAlive) {
    refuseFuture(target, { time: now, lsn: undefined });
    return chosen;
  }
  const { url } = await startEmbedded(options);
  const isPresent = timeline === record.timeline;
  await withClient(url, async (client) => {
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    const lsn = isPresent ? parseLsn(rows[0]?.lsn ?? '0/0') : undefined;
    refuseFuture(target, { time: now, lsn });
    await options.onStep?.('checked');
    options.onProgress('archiving the newest transactions');
    await archiveNow(client, work.place).catch((error: unknown) => {
      // An archive that is stuck still leads to what it has.
      if (!isCovered(target, chosen)) throw error;
    });
  });
  const reached = chooseBase(target, await readReaches(area, record, timeline));
  refuseBeyond(target, reached);
  return reached;
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
  base: string,
  next: Place,
  step: (step: RestoreStep) => Promise<void> | void,
): Promise<Recovered> {
  const { place, area, account, target, timeline, options } = work;
  options.onProgress(`copying the base backup to ${next.data}`);
  await copyBase(base, next, account, options.signal);
  await step('copied');
  options.onProgress(`recovering to ${targetText(target)}`);
  const { archive, restore } = await installPrograms(area, account);
  const recovered = await recover(next, account, await usableBinaries(place.base, account), {
    ...{ target, timeline, archiveCommand: archive },
    // Of a server that is dead, what it did not archive.
    restoreCommand: work.isAlive ? restore() : restore('../data/pg_wal/%f'),
  });
  await step('recovered');
  return recovered;
}

/** Returns where the former data is from then on. */
async function putInPlace(
  { place, account, options }: Work,
  next: Place,
  step: (step: RestoreStep) => Promise<void> | void,
): Promise<string | null> {
  options.onProgress('stopping the server and putting the restored data in its place');
  await keepPort(place, next, account);
  const had = await isThere(place.data);
  const kept = `data.before-${new Date().toISOString().replace(/[-:.]/g, '')}`;
  await swapData(place, { next: path.basename(next.data), kept }, step);
  return had ? path.join(place.directory, kept) : null;
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
