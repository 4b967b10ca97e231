import { randomBytes } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import { type Command, Option } from 'commander';
import type { Storage } from '../backup-store/storage';
import type { Settings } from '../config/settings';
import type { RowFormat } from '../operations/backup/dump';
import type { CommandResult, Execute, Register } from './command';
import {
  type FleetFlags,
  openSuite,
  parseWhole,
  requireServices,
  type Suite,
  withFleetFlags,
  withJson,
} from './command';
import { EXIT_FOUND, exitCodeOfRows } from './exit-codes';

const LOCATION = 'a directory, or s3://bucket/prefix (default: AZORA_BACKUP_DIR, otherwise .azora/backups)';

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
    .action(
      execute(async (context, flags: CreateFlags): Promise<CommandResult> => {
        const suite = await openSuite(context, flags);
        const { settings, services } = suite;
        const { openTargets } = await import('../operations/targets.js');
        const { openScope, sweepRemnants } = await import('../operations/leftovers.js');
        const { backUpFleet } = await import('../operations/backup/create.js');
        const { backupData, backupText } = await import('../render/backup.js');
        const { progress, signal, log } = context;
        const request = {
          storage: await openBackups(settings, flags.out),
          secret: flags.encrypt ? requireSecret(settings) : undefined,
          mask: flags.mask ? await readMask(suite, flags) : undefined,
          fence: flags.fence === true,
          allowDrift: flags.allowDrift === true,
          format: flags.format,
          environment: settings.environment,
          log,
        };
        const targets = await openTargets(settings, services, log, signal);
        await sweepRemnants(await openScope(suite, targets), log);
        const report = await backUpFleet(targets, request, { progress, signal });
        return { data: backupData(report), text: backupText(report), exitCode: exitCodeOfRows(report.rows) };
      }),
    );
}

const registerVerify: Register = (backup, execute) => {
  withFleetFlags(withFrom(backup.command('verify')))
    .argument('[set]', 'the id of a set, or latest', 'latest')
    .description('prove a set by restoring it into scratch databases; exit 4 if a problem is found')
    .action(
      execute(async (context, name: string, flags: FleetFlags & FromFlag) => {
        const suite = await openSuite(context, flags);
        const { settings, services, allServices } = suite;
        const { openTargets } = await import('../operations/targets.js');
        const { selectFromSet } = await import('../operations/backup/preflight.js');
        const { openScope, sweepRemnants } = await import('../operations/leftovers.js');
        const { verifySet } = await import('../operations/backup/verify.js');
        const { readSchemaModel, references } = await import('../schema/schema-model.js');
        const { verifyData, verifyText } = await import('../render/backup.js');
        const storage = await openBackups(settings, flags.from);
        const selection = { settings, services, isNamed: flags.service !== undefined };
        const selected = await selectFromSet(storage, name, selection);
        const { progress, signal, log } = context;
        const targets = await openTargets(requireServices(settings, selected.services), selected.services, log, signal);
        await sweepRemnants(await openScope(suite, targets), log);
        const { home, environment } = settings;
        const request = {
          set: selected.set,
          ...{ home, environment, references: references(await readSchemaModel(allServices)) },
        };
        const report = await verifySet(targets, request, { progress, signal });
        const exitCode = exitCodeOfRows(report.rows) || (report.verification.ok ? 0 : EXIT_FOUND);
        const { id } = selected.set.manifest;
        return { data: verifyData(id, report), text: verifyText(id, report), exitCode };
      }),
    );
};

const registerList: Register = (backup, execute) => {
  withJson(withFrom(backup.command('list')))
    .description('list all sets: age, size, encrypted, verified')
    .action(
      execute(async (context, flags: FromFlag) => {
        const { settings } = await openSuite(context, {});
        const { listSets } = await import('../operations/backup/sets.js');
        const { listText } = await import('../render/backup.js');
        const storage = await openBackups(settings, flags.from);
        const sets = await listSets(storage);
        return {
          data: { ok: true, location: storage.location, sets },
          text: listText(sets, storage.location, new Date()),
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
    .description('list the old sets that would be removed; remove them with --yes')
    .option('--last <n>', 'keep the newest n sets', parseWhole(1), 3)
    .option('--daily <n>', 'keep the newest set of each of the last n days that have one', parseWhole(0), 7)
    .option('--weekly <n>', 'keep the newest set of each of the last n weeks that have one', parseWhole(0), 4)
    .option('--monthly <n>', 'keep the newest set of each of the last n months that have one', parseWhole(0), 12)
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

/** Adds `--from`: the location of the sets. */
export function withFrom(command: Command): Command {
  return command.option('--from <location>', LOCATION);
}

/** Opens the given location, otherwise the one in the settings. */
export async function openBackups(settings: Settings, location: string | undefined): Promise<Storage> {
  const { openStorage } = await import('../backup-store/location.js');
  return openStorage(location ?? settings.backups.location, settings.environment);
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
