import { randomBytes } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import { type Command, Option } from 'commander';
import type { RowFormat } from '../../operations/backup/dump';
import type { CommandResult, Execute, Suite } from '../command';
import { type FleetFlags, openSuite, withFleetFlags } from '../command';
import { exitCodeOfRows } from '../exit-codes';
import { openPlace } from './shared';

interface BackupFlags extends FleetFlags {
  readonly out?: string;
  readonly fence?: boolean;
  readonly encrypt?: boolean;
  readonly mask?: boolean;
  readonly allowDrift?: boolean;
  readonly format: RowFormat;
}

/** `azora-db backup` itself. */
export function addBackup(backup: Command, execute: Execute): void {
  withFleetFlags(backup)
    .option('--out <place>', 'a directory, or s3://bucket/prefix (default: AZORA_BACKUP_DIR, else .azora/backups)')
    .option('--fence', 'stop all writers for the moment in which the snapshots are taken')
    .option('--encrypt', 'encrypt the set (age format) with AZORA_BACKUP_KEY or AZORA_BACKUP_PASSPHRASE')
    .option('--mask', 'store pseudonyms instead of personal data, and no secrets (key: AZORA_MASK_KEY)')
    .addOption(
      new Option('--format <format>', 'rows as files of their own, or as the archive of the pg_dump that is installed')
        .choices(['copy', 'pg_dump'])
        .default('copy'),
    )
    .option('--allow-drift', 'store a database that is not as its migrations made it, too')
    .action(
      execute(async (context, flags: BackupFlags): Promise<CommandResult> => {
        const suite = await openSuite(context, flags);
        const { openTargets } = await import('../../operations/targets.js');
        const { backUpFleet } = await import('../../operations/backup/create.js');
        const { backupData, backupText } = await import('../../render/backup.js');
        const request = {
          storage: await openPlace(suite.settings, flags.out),
          secret: flags.encrypt ? requireSecret(suite) : undefined,
          mask: flags.mask ? await readMask(suite, flags) : undefined,
          fence: flags.fence === true,
          allowDrift: flags.allowDrift === true,
          format: flags.format,
        };
        const { progress, signal, log } = context;
        const targets = await openTargets(suite.settings, suite.services, log);
        const report = await backUpFleet(targets, request, { progress, signal });
        return { data: backupData(report), text: backupText(report), exitCode: exitCodeOfRows(report.rows) };
      }),
    );
}

function requireSecret({ settings }: Suite) {
  if (settings.backups.secret !== undefined) return settings.backups.secret;
  throw new SuiteError('USAGE.NO_BACKUP_KEY', '--encrypt needs a key', {
    kind: 'usage',
    next: 'Set AZORA_BACKUP_KEY to an age identity, or AZORA_BACKUP_PASSPHRASE; who loses it loses the set',
  });
}

async function readMask({ settings, allServices }: Suite, { allowDrift, format }: BackupFlags) {
  if (format === 'pg_dump') {
    throw new SuiteError('USAGE.MASK_WITH_PG_DUMP', '--mask and --format pg_dump exclude each other', {
      kind: 'usage',
      why: 'pg_dump stores rows as they are.',
      next: 'Leave out --format',
    });
  }
  if (allowDrift) {
    throw new SuiteError('USAGE.MASK_WITH_DRIFT', '--mask and --allow-drift exclude each other', {
      kind: 'usage',
      why: 'Columns that the schema does not know have no annotation that says whether they are personal.',
      next: 'Give the one or the other',
    });
  }
  const { readSchemaModel } = await import('../../schema/schema-model.js');
  return {
    schemaModel: await readSchemaModel(allServices),
    key: settings.backups.maskKey ?? randomBytes(32).toString('hex'),
  };
}
