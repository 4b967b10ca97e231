import { SuiteError } from '@azora/db-core';
import type { Service } from '../config/registry';
import { type Settings, urlVariable } from '../config/settings';
import type { EnabledArchive } from '../postgres/pitr/archiver';
import type { BaseBackup, PrunedArchive } from '../postgres/pitr/base-backup';
import type { RestoredServer } from '../postgres/pitr/restore';
import type { ArchiveState } from '../postgres/pitr/status';
import type { VerifiedArchive } from '../postgres/pitr/verify-archive';
import { isOnCompanion, needsEmbedded, openTargets, type Target } from './targets';

/** A service whose database is not in the archive. */
export interface UncoveredService {
  readonly service: string;
  /** `companion`: PGlite next to the embedded server, which does not archive its log. */
  readonly reason: 'companion' | 'own server';
}

/** The services that point-in-time recovery does not cover. */
export interface Coverage {
  readonly uncovered: readonly UncoveredService[];
}

export interface PitrOptions {
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface TakenBase extends BaseBackup {
  /** The base backups and segments that `--keep` removed. */
  readonly pruned: PrunedArchive | null;
}

/** Turns the archive of the embedded server on, or updates its settings when they have changed. */
export async function enablePitr(
  settings: Settings,
  services: readonly Service[],
  options: PitrOptions,
): Promise<EnabledArchive & Coverage> {
  const coverage = await readCoverage(settings, services);
  const { enableArchive } = await import('../postgres/pitr/archiver.js');
  return { ...(await enableArchive({ ...workOf(settings), ...options })), ...coverage };
}

/** Makes a base backup. With `keep`, then removes all but the newest base backups, and the log that only those need. */
export async function takePitrBase(
  settings: Settings,
  services: readonly Service[],
  keep: number | undefined,
  options: PitrOptions,
): Promise<TakenBase & Coverage> {
  const coverage = await readCoverage(settings, services);
  const { pruneArchive, takeBase } = await import('../postgres/pitr/base-backup.js');
  const base = await takeBase({ ...workOf(settings), ...options });
  const pruned = keep === undefined ? null : await pruneArchive({ home: settings.home }, keep);
  return { ...base, pruned, ...coverage };
}

export interface PitrStatus extends Coverage {
  /** Null when there is no embedded server. */
  readonly archive: ArchiveState | null;
}

/** Reads the state of the archive without starting a server. */
export async function readPitr(settings: Settings, services: readonly Service[]): Promise<PitrStatus> {
  const coverage = await readCoverage(settings, services);
  const { readArchive } = await import('../postgres/pitr/status.js');
  return { archive: (await readArchive({ home: settings.home })) ?? null, ...coverage };
}

/** Reads every segment that a restore may need. */
export async function verifyPitr(
  settings: Settings,
  services: readonly Service[],
  options: PitrOptions,
): Promise<VerifiedArchive & Coverage> {
  const coverage = await readCoverage(settings, services);
  const { verifyArchive } = await import('../postgres/pitr/verify-archive.js');
  return { ...(await verifyArchive({ ...workOf(settings), ...options })), ...coverage };
}

export interface PitrRequest {
  readonly to: string;
  readonly timeline: number | undefined;
}

/**
 * Checks the arguments of {@link restorePitr} and changes nothing. Returns the databases of the embedded server; none if the
 * server does not start, which a restore may repair.
 */
export async function checkPitrRestore(
  settings: Settings,
  services: readonly Service[],
  request: PitrRequest,
  { onProgress }: PitrOptions,
): Promise<readonly Target[]> {
  const { uncovered } = await readCoverage(settings, services);
  const { checkRestore } = await import('../postgres/pitr/restore.js');
  await checkRestore({ home: settings.home, ...request });
  const covered = services.filter(({ name }) => !uncovered.some(({ service }) => service === name));
  return openTargets(settings, covered, onProgress).catch(() => []);
}

/** Restores the whole embedded server, because all of its databases share one log. */
export async function restorePitr(
  settings: Settings,
  services: readonly Service[],
  request: PitrRequest,
  options: PitrOptions,
): Promise<RestoredServer & Coverage> {
  const coverage = await readCoverage(settings, services);
  const { restoreTo } = await import('../postgres/pitr/restore.js');
  return { ...(await restoreTo({ ...workOf(settings), ...request, ...options })), ...coverage };
}

function workOf({ home, environment }: Settings): Pick<Settings, 'home' | 'environment'> {
  return { home, environment };
}

/** @throws {SuiteError} `PITR.NOT_EMBEDDED` */
async function readCoverage(settings: Settings, services: readonly Service[]): Promise<Coverage> {
  if (!needsEmbedded(settings, services)) {
    const [first] = services;
    const source = settings.serverUrl === undefined && first ? urlVariable(first.name) : 'DATABASE_URL';
    throw new SuiteError('PITR.NOT_EMBEDDED', 'Point-in-time recovery works only with the embedded server', {
      kind: 'configuration',
      why: `The services use the server of ${source}, whose files and settings this tool does not change.`,
      next: "Use scripts/pitr for the server of docker-compose.yml; elsewhere pgBackRest, WAL-G or the provider's recovery",
      meta: { source },
    });
  }
  const uncovered = await Promise.all(
    services.map(async (service): Promise<UncoveredService[]> => {
      if (settings.serviceUrls.has(service.name)) return [{ service: service.name, reason: 'own server' }];
      return (await isOnCompanion(settings, service)) ? [{ service: service.name, reason: 'companion' }] : [];
    }),
  );
  return { uncovered: uncovered.flat() };
}
