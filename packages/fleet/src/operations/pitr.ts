import type { Service } from '../config/registry';
import { type Settings, urlVariable } from '../config/settings';
import type { BaseBackup, PrunedArchive } from '../postgres/pitr/bases';
import type { EnabledArchive } from '../postgres/pitr/enable';
import type { RestoredServer } from '../postgres/pitr/restore';
import type { ArchiveState } from '../postgres/pitr/status';
import { needsEmbedded } from './targets';

/** A service whose database the archive does not hold. */
export interface UncoveredService {
  readonly service: string;
  /** `companion`: PGlite beside the embedded server, which has no archive of its log. */
  readonly reason: 'companion' | 'own server';
}

/** What every answer says beside its own: which services it is not about. */
export interface Coverage {
  readonly uncovered: readonly UncoveredService[];
}

export interface PitrOptions {
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface TakenBase extends BaseBackup {
  /** What `--keep` removed. */
  readonly pruned: PrunedArchive | null;
}

/** Turns the archive of the embedded server on; again, it renews what has changed. */
export async function enablePitr(
  settings: Settings,
  services: readonly Service[],
  { onProgress }: PitrOptions,
): Promise<EnabledArchive & Coverage> {
  const coverage = await readCoverage(settings, services);
  const { enableArchive } = await import('../postgres/pitr/enable.js');
  return { ...(await enableArchive({ home: settings.home, onProgress })), ...coverage };
}

/** Makes a base backup; with `keep`, removes older ones but so many and the log that only they needed. */
export async function takePitrBase(
  settings: Settings,
  services: readonly Service[],
  keep: number | undefined,
  options: PitrOptions,
): Promise<TakenBase & Coverage> {
  const coverage = await readCoverage(settings, services);
  const { pruneArchive, takeBase } = await import('../postgres/pitr/base.js');
  const base = await takeBase({ home: settings.home, ...options });
  const pruned = keep === undefined ? null : await pruneArchive({ home: settings.home }, keep);
  return { ...base, pruned, ...coverage };
}

export interface PitrStatus extends Coverage {
  /** Null when there is no embedded server yet. */
  readonly archive: ArchiveState | null;
}

/** Looks at the archive without starting anything. */
export async function readPitr(settings: Settings, services: readonly Service[]): Promise<PitrStatus> {
  const coverage = await readCoverage(settings, services);
  const { readArchive } = await import('../postgres/pitr/status.js');
  return { archive: (await readArchive({ home: settings.home })) ?? null, ...coverage };
}

/** Restores the whole embedded server: all databases on it share one log. */
export async function restorePitr(
  settings: Settings,
  services: readonly Service[],
  request: { readonly to: string; readonly timeline: number | undefined },
  options: PitrOptions,
): Promise<RestoredServer & Coverage> {
  const coverage = await readCoverage(settings, services);
  const { restoreTo } = await import('../postgres/pitr/restore.js');
  return { ...(await restoreTo({ home: settings.home, ...request, ...options })), ...coverage };
}

/** @throws {SuiteError} `PITR.NOT_EMBEDDED` */
async function readCoverage(settings: Settings, services: readonly Service[]): Promise<Coverage> {
  if (!needsEmbedded(settings, services)) {
    const { notEmbedded } = await import('../postgres/pitr/errors.js');
    const [first] = services;
    throw notEmbedded(settings.serverUrl === undefined && first ? urlVariable(first.name) : 'DATABASE_URL');
  }
  const { embeddedOffers } = await import('../postgres/embedded/binaries.js');
  const uncovered = services.flatMap((service): UncoveredService[] => {
    if (settings.serviceUrls.has(service.name)) return [{ service: service.name, reason: 'own server' }];
    return service.extensions.every(embeddedOffers) ? [] : [{ service: service.name, reason: 'companion' }];
  });
  return { uncovered };
}
