import { randomBytes } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import { type Command, Option } from 'commander';
import type { OpenedSet } from '../backup-store/set';
import type { Storage } from '../backup-store/storage';
import type { Service } from '../config/registry';
import type { Settings } from '../config/settings';
import type { RowFormat } from '../operations/backup/dump';
import type { Target } from '../operations/targets';
import type { Reference } from '../schema/schema-model';
import { shellQuoted } from '../system/shell';
import type { CommandContext, CommandResult, Execute, Register } from './command';
import {
  type FleetFlags,
  openSuite,
  parseWhole,
  requireServices,
  type Suite,
  withFleetFlags,
  withJson,
} from './command';
import { EXIT_FAILED, EXIT_FOUND, exitCodeOfRows } from './exit-codes';

const LOCATION = 'a directory, or s3://bucket/prefix (default: AZORA_BACKUP_DIR, otherwise .azora/backups)';

export const SET = 'the id or the path of a set, or latest: the newest set with all services';

export const registerBackup: Register = (program, execute) => {
  const backup = program
    .command('backup')
    .summary('back up all databases as one set; list, verify and prune sets')
    .description(
      'Backs up all databases as one set. The snapshots are taken within milliseconds of each other; with --fence they agree exactly. "backup verify" proves the set by restoring it.',
    );
  addCreate(backup, execute);
  for (const register of [registerVerify, registerList, registerPrune]) register(backup, execute);
};

interface CreateFlags extends FleetFlags {
  readonly out?: string;
  readonly fence?: boolean;
  readonly encrypt?: boolean;
  readonly mask?: boolean;
  readonly allowDrift?: boolean;
  readonly verify?: boolean;
  readonly format: RowFormat;
}

function addCreate(backup: Command, execute: Execute): void {
  withFleetFlags(backup)
    .option('--out <location>', LOCATION)
    .option('--fence', 'make all writers wait while the snapshots are taken, so that the databases agree')
    .option('--encrypt', 'encrypt the set (age format) with AZORA_BACKUP_KEY or AZORA_BACKUP_PASSPHRASE')
    .option('--mask', 'replace personal data with pseudonyms and remove secrets (key: AZORA_MASK_KEY)')
    .addOption(
      new Option('--format <format>', 'store rows as one file per table, or as the archive of the installed pg_dump')
        .choices(['copy', 'pg_dump'])
        .default('copy'),
    )
    .option('--allow-drift', 'also back up databases whose schema has drifted from its migrations')
    .option('--verify', 'prove the new set by restoring it into scratch databases; exit 4 if a problem is found')
    .action(
      execute(async (context, flags: CreateFlags): Promise<CommandResult> => {
        const suite = await openSuite(context, flags);
        const { settings, services } = suite;
        const { leftOutText, openAvailable } = await import('../operations/targets.js');
        const { openScope, sweepRemnants } = await import('../operations/leftovers.js');
        const { backUpFleet } = await import('../operations/backup/create.js');
        const { backupData, backupText } = await import('../render/backup.js');
        const { progress, signal, log } = context;
        const storage = await openBackups(settings, flags.out);
        const request = {
          storage,
          secret: flags.encrypt ? requireSecret(settings) : undefined,
          mask: flags.mask ? await readMask(suite, flags) : undefined,
          fence: flags.fence === true,
          allowDrift: flags.allowDrift === true,
          format: flags.format,
          environment: settings.environment,
          references: await readReferences(suite, log),
          log,
        };
        const { targets, leftOut, unavailable } = await openAvailable(settings, services, log, signal);
        for (const it of leftOut) log(leftOutText(it));
        await sweepRemnants(openScope(suite, targets), log);
        const report = await backUpFleet(targets, { ...request, leftOut, unavailable }, { progress, signal });
        const isPartial = report.manifest !== undefined && report.rows.some(({ state }) => state === 'failed');
        const exitCode = isPartial ? EXIT_FAILED : exitCodeOfRows(report.rows);
        const argument = argumentOf(storage, flags.out, report.set);
        const { manifest } = report;
        if (!flags.verify || manifest === undefined || signal?.aborted) {
          return { data: backupData(report), text: backupText(report, argument), exitCode };
        }
        const { openSet } = await import('../backup-store/set.js');
        const held = targets.filter(({ service }) => manifest.databases.some((it) => it.service === service.name));
        const set = await openSet(storage, report.set, request.secret);
        log(`the set ${report.set} is stored in ${storage.location}; it is restored into scratch databases now`);
        const proof = await proveSet(suite, context, set, held);
        return {
          data: { ...backupData(report), verification: proof.data },
          text: `${backupText(report)}\n${proof.text}`,
          exitCode: proof.exitCode || exitCode,
        };
      }),
    );
}

const registerVerify: Register = (backup, execute) => {
  withPlain(withFleetFlags(withFrom(backup.command('verify'))))
    .argument('[set]', SET, 'latest')
    .description('prove a set by restoring it into scratch databases; exit 4 if a problem is found')
    .action(
      execute(async (context, name: string, flags: FleetFlags & FromFlag & PlainFlag) => {
        const suite = await openSuite(context, flags);
        const { settings, services } = suite;
        const { openTargets } = await import('../operations/targets.js');
        const { openScope, sweepRemnants } = await import('../operations/leftovers.js');
        const isNamed = flags.service !== undefined;
        const command = 'backup verify';
        const allows = { allowsMasked: true, allowsPlain: flags.plain === true };
        const given = { name, services, isNamed, ...allows, command, ...flags };
        const selected = await selectNamedSet(settings, given);
        const { signal, log } = context;
        for (const note of selected.notes) log(note);
        const targets = await openTargets(requireServices(settings, selected.services), selected.services, log, signal);
        await sweepRemnants(openScope(suite, targets), log);
        return proveSet(suite, context, selected.set, targets);
      }),
    );
};

/** Proves a set by restoring it into scratch databases. */
async function proveSet(
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
  return { data: verifyData(id, report), text: verifyText(id, report), exitCode };
}

const registerList: Register = (backup, execute) => {
  withJson(withFrom(backup.command('list')))
    .description('list all sets: age, databases, size, encrypted, masked, verified')
    .action(
      execute(async (context, flags: FromFlag) => {
        const { settings, services } = await openSuite(context, {});
        const { listSets } = await import('../operations/backup/sets.js');
        const { listText } = await import('../render/backup.js');
        const storage = await openBackups(settings, flags.from);
        const sets = await listSets(storage);
        return {
          data: { ok: true, location: storage.location, sets },
          text: listText(sets, storage.location, { services, now: new Date() }),
        };
      }),
    );
};

interface PruneFlags extends FromFlag {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yes?: boolean;
}

const registerPrune: Register = (backup, execute) => {
  withJson(withFrom(backup.command('prune')))
    .description(
      'list the old sets that would be removed; remove them with --yes. The limits apply to each database, and its newest verified set is always kept',
    )
    .option('--last <n>', 'keep the newest n sets of each database', parseWhole(1), 3)
    .option('--daily <n>', 'keep its newest set of each of the last n days that have one', parseWhole(0), 7)
    .option('--weekly <n>', 'keep its newest set of each of the last n weeks that have one', parseWhole(0), 4)
    .option('--monthly <n>', 'keep its newest set of each of the last n months that have one', parseWhole(0), 12)
    .option('--yes', 'remove the sets')
    .action(
      execute(async (context, flags: PruneFlags) => {
        const { settings } = await openSuite(context, {});
        const { pruneSets } = await import('../operations/backup/sets.js');
        const { pruneText } = await import('../render/backup.js');
        const removing = flags.yes === true;
        const pruned = await pruneSets(await openBackups(settings, flags.from), flags, removing);
        return { data: { ok: true, ...pruned, done: removing }, text: pruneText(pruned, removing) };
      }),
    );
};

export interface FromFlag {
  readonly from?: string;
}

export interface PlainFlag {
  readonly plain?: boolean;
}

/** Adds `--plain`. */
export function withPlain(command: Command): Command {
  return command.option('--plain', 'allow a set that is not encrypted although a key is set');
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
function argumentOf(storage: Storage, location: string | undefined, set: string): string {
  return location === undefined ? set : shellQuoted(`${storage.location}/${set}`);
}

function pathWithFrom(): SuiteError {
  return new SuiteError('USAGE.PATH_WITH_FROM', 'A path of a set and --from cannot be combined', {
    kind: 'usage',
    why: 'Both say where the set is.',
    next: 'Leave out --from, or give the id of the set instead of its path',
  });
}

/** The references between services, or none when a schema is not valid: it must not prevent a backup. */
async function readReferences({ allServices }: Suite, log: (line: string) => void): Promise<readonly Reference[]> {
  const { readSchemaModel, references } = await import('../schema/schema-model.js');
  try {
    return references(await readSchemaModel(allServices));
  } catch (error) {
    if (!(error instanceof SuiteError)) throw error;
    log(
      `warning: the set will not record missing ids of other services: ${error.message}. Run "npx azora-db generate"`,
    );
    return [];
  }
}

function requireSecret({ backups }: Settings) {
  if (backups.secret !== undefined) return backups.secret;
  throw new SuiteError('USAGE.NO_BACKUP_KEY', '--encrypt needs a key', {
    kind: 'configuration',
    why: 'Neither AZORA_BACKUP_KEY nor AZORA_BACKUP_PASSPHRASE is set.',
    next: 'Set AZORA_BACKUP_KEY to an age identity, or AZORA_BACKUP_PASSPHRASE; keep it safe, because a set cannot be restored without it',
  });
}

async function readMask({ settings, allServices }: Suite, { allowDrift, format }: CreateFlags) {
  if (format === 'pg_dump') {
    throw new SuiteError('USAGE.MASK_WITH_PG_DUMP', '--mask and --format pg_dump cannot be combined', {
      kind: 'usage',
      why: 'pg_dump stores rows unchanged.',
      next: 'Leave out --format',
    });
  }
  if (allowDrift) {
    throw new SuiteError('USAGE.MASK_WITH_DRIFT', '--mask and --allow-drift cannot be combined', {
      kind: 'usage',
      why: 'A column that is not in schema.prisma has no annotation that says whether it holds personal data.',
      next: 'Leave out one of the two',
    });
  }
  const { readSchemaModel } = await import('../schema/schema-model.js');
  return {
    schemaModel: await readSchemaModel(allServices),
    key: settings.backups.maskKey ?? randomBytes(32).toString('hex'),
  };
}
