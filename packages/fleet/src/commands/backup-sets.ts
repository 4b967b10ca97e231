import { SuiteError } from '@azora/db-core';
import type { Command } from 'commander';
import type { OpenedSet } from '../backup-store/set';
import type { Storage } from '../backup-store/storage';
import type { Service } from '../config/registry';
import type { Settings } from '../config/settings';
import type { Target } from '../operations/targets';
import { shellQuoted } from '../system/shell';
import type { CommandContext, Suite } from './command';
import { EXIT_FOUND, exitCodeOfRows } from './exit-codes';

export const LOCATION = 'a directory, or s3://bucket/prefix (default: AZORA_BACKUP_DIR, otherwise .azora/backups)';

export const SET = 'the id or the path of a set, or latest: the newest set with all services';

export interface FromFlag {
  readonly from?: string;
}

export interface PlainFlag {
  readonly plain?: boolean;
}

/** Adds `--plain`. */
export function withPlain(command: Command): Command {
  return command.option('--plain', 'allow a set that is not encrypted, or not signed, although a key is set');
}

/** Adds `--from`: the location of the sets. */
export function withFrom(command: Command): Command {
  return command.option('--from <location>', LOCATION);
}

/** Opens the given location, otherwise the one in the settings. */
export async function openBackups(settings: Settings, location: string | undefined): Promise<Storage> {
  const { openStorage } = await import('../backup-store/location.js');
  return openStorage(location ?? settings.backups.location, settings.environment);
}

export interface NamedSet extends FromFlag {
  /** An id, a path or `latest`. */
  readonly name: string;
  readonly services: readonly Service[];
  /** Whether `--service` named the services. */
  readonly isNamed: boolean;
  readonly allowsMasked: boolean;
  readonly allowsPlain: boolean;
  /** The words of the command, for hints. */
  readonly command: string;
}

/**
 * Opens the set that a person named by its id, by its path, or as `latest`, and selects the services to work on.
 * @throws {SuiteError} `USAGE.PATH_WITH_FROM`, `BACKUP.…`
 */
export async function selectNamedSet(settings: Settings, named: NamedSet) {
  const { name, from, services, isNamed, allowsMasked, allowsPlain, command } = named;
  const { splitSetPath } = await import('../backup-store/location.js');
  const { selectSet } = await import('../operations/backup/select-set.js');
  const path = splitSetPath(name);
  if (path !== undefined && from !== undefined) throw pathWithFrom();
  const location = path?.location ?? from;
  const storage = await openBackups(settings, location);
  const { secret } = settings.backups;
  const selection = {
    ...{ secret, services, isNamed, allowsMasked, allowsPlain, command },
    argumentOf: (id: string) => argumentOf(storage, location, id),
  };
  return selectSet(storage, path?.set ?? name, selection);
}

/** The argument that names a set: its path when it is not in the location of the settings, otherwise its id. */
export function argumentOf(storage: Storage, location: string | undefined, set: string): string {
  return location === undefined ? set : shellQuoted(`${storage.location}/${set}`);
}

function pathWithFrom(): SuiteError {
  return new SuiteError('USAGE.PATH_WITH_FROM', 'A path of a set and --from cannot be combined', {
    kind: 'usage',
    why: 'Both say where the set is.',
    next: 'Leave out --from, or give the id of the set instead of its path',
  });
}

/** Proves a set by restoring it into scratch databases. */
export async function proveSet(
  { settings, allServices }: Suite,
  { progress, signal }: CommandContext,
  set: OpenedSet,
  targets: readonly Target[],
) {
  const { verifySet } = await import('../operations/backup/verify.js');
  const { readSchemaModel, references } = await import('../schema/schema-model.js');
  const { verifyData, verifyText } = await import('../render/backup.js');
  const { home, environment } = settings;
  const request = { set, home, environment, references: references(await readSchemaModel(allServices)) };
  const report = await verifySet(targets, request, { progress, signal });
  const exitCode = exitCodeOfRows(report.rows) || (report.verification.ok ? 0 : EXIT_FOUND);
  const { id } = set.manifest;
  return { report, data: verifyData(id, report), text: verifyText(id, report), exitCode };
}
