import { randomBytes } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import { type Command, Option } from 'commander';
import type { Compression } from '../backup-store/compression';
import type { Settings } from '../config/settings';
import type { RowFormat } from '../operations/backup/dump';
import type { Reference } from '../schema/schema-model';
import { registerDrill } from './backup-drill';
import {
  argumentOf,
  type FromFlag,
  LOCATION,
  openBackups,
  type PlainFlag,
  proveSet,
  SET,
  selectNamedSet,
  withFrom,
  withPlain,
} from './backup-sets';
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
import { EXIT_FAILED, exitCodeOfRows } from './exit-codes';

export const registerBackup: Register = (program, execute) => {
  const backup = program
    .command('backup')
    .summary('back up all databases as one set; list, verify and prune sets')
    .description(
      'Backs up all databases as one set. The snapshots are taken within milliseconds of each other; with --fence they agree exactly. "backup verify" proves the set by restoring it.',
    );
  addCreate(backup, execute);
  for (const register of [registerVerify, registerDrill, registerList, registerPrune]) register(backup, execute);
};

interface CreateFlags extends FleetFlags {
  readonly out?: string;
  readonly fence?: boolean;
  readonly encrypt?: boolean;
  readonly mask?: boolean;
  readonly allowDrift?: boolean;
  readonly allowIncomplete?: boolean;
  readonly verify?: boolean;
  readonly format: RowFormat;
  readonly compression: Compression;
  readonly full?: boolean;
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
    .addOption(
      new Option('--compression <name>', 'compress rows with gzip, or with zstd, which Node.js has from 22.15 on')
        .choices(['gzip', 'zstd'])
        .default('gzip'),
    )
    .option('--full', 'store every table anew; otherwise files of unchanged tables are taken over from earlier sets')
    .option('--allow-drift', 'also back up databases whose schema has drifted from its migrations')
    .option('--allow-incomplete', 'also back up databases with subscriptions or tablespaces, which a set cannot carry')
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
        if (flags.compression === 'zstd') await import('../backup-store/compression.js').then((it) => it.requireZstd());
        const storage = await openBackups(settings, flags.out);
        const request = {
          storage,
          secret: flags.encrypt ? requireSecret(settings) : undefined,
          mask: flags.mask ? await readMask(suite, flags) : undefined,
          fence: flags.fence === true,
          allowDrift: flags.allowDrift === true,
          allowIncomplete: flags.allowIncomplete === true,
          format: flags.format,
          compression: flags.compression,
          full: flags.full === true,
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
        const { data, text, exitCode } = await proveSet(suite, context, selected.set, targets);
        return { data, text, exitCode };
      }),
    );
};

const registerList: Register = (backup, execute) => {
  withJson(withFrom(backup.command('list')))
    .description('list all sets: age, databases, size, encrypted, masked, verified')
    .action(
      execute(async (context, flags: FromFlag) => {
        const { settings, services } = await openSuite(context, {});
        const { listSets } = await import('../operations/backup/sets.js');
        const { listText } = await import('../render/backup.js');
        const storage = await openBackups(settings, flags.from);
        const sets = await listSets(storage, settings.backups.secret);
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
        const { secret } = settings.backups;
        const pruned = await pruneSets(await openBackups(settings, flags.from), flags, { secret, yes: removing });
        return { data: { ok: true, ...pruned, done: removing }, text: pruneText(pruned, removing) };
      }),
    );
};

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
