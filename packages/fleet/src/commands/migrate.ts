import { SuiteError } from '@azora/db-core';
import { Argument, type Command, Option } from 'commander';
import type { ServiceRow } from '../operations/fleet';
import type { Destination } from '../operations/migrations/destination';
import type { MigratedService, MigrateOptions } from '../operations/migrations/migrate';
import type { Resolution } from '../operations/migrations/resolve';
import type { Target } from '../operations/targets';
import type { CommandContext, CommandResult, Register } from './command';
import { type FleetFlags, openSuite, parseWhole, withFleetFlags, withJson, withTarget } from './command';
import { type ConsentFlags, requireConsent, withConfirm } from './consent';
import { EXIT_FOUND, exitCodeOfRows } from './exit-codes';

/** PostgreSQL's limit for a time in milliseconds, which is also Node's: 24 days. */
const MAX_TIMEOUT_S = 2_147_483;
const SERVICE = 'the name of a service, such as mint';

interface CheckFlags extends FleetFlags {
  readonly check?: boolean;
}

interface RunFlags extends FleetFlags {
  readonly runnerTimeout?: number;
  readonly lockTimeout?: number;
  readonly statementTimeout?: number;
  readonly to?: string;
  readonly outOfOrder?: boolean;
}

interface BaselineFlags extends RunFlags {
  readonly squash?: boolean;
}

interface DownFlags extends RunFlags, Pick<ConsentFlags, 'confirm'> {
  readonly all?: boolean;
  readonly steps?: number;
  readonly acceptDataLoss?: boolean;
}

interface NewFlags {
  readonly why?: string;
  readonly down?: boolean;
}

interface PlanFlags extends FleetFlags {
  readonly to?: string;
  readonly down?: boolean;
  readonly steps?: number;
  readonly sql?: boolean;
}

/** Adds `migrate` with its verbs, in the order in which `--help` lists them. */
export const registerMigrate: Register = (program, execute) => {
  const migrate = program.command('migrate').description('write, plan, apply, revert and check migrations');
  for (const register of VERBS) register(migrate, execute);
};

const registerNew: Register = (migrate, execute) => {
  withJson(
    migrate
      .command('new')
      .argument('<service>', SERVICE)
      .argument('<slug>', "the last part of the migration's name, such as add_nickname; with --down, a full name"),
  )
    .description('write the migration and its down.sql that change the database to match schema.prisma')
    .option('--why <sentence>', 'the reason, for the header of the file')
    .option('--down', 'instead, write the missing down.sql of a migration')
    .action(
      execute(async (context, service: string, slug: string, flags: NewFlags): Promise<CommandResult> => {
        if (flags.down === true) return draftDown(context, service, slug);
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { writeMigrations } = await import('../operations/migrations/new-migration.js');
        const { newText } = await import('../render/migrations.js');
        return withTarget(context, service, async (target) => {
          // A schema that does not parse is reported here with file and line.
          await readSchemaModel([target.service], { references: 'unchecked' });
          const request = { slug, why: flags.why ?? slug.replaceAll('_', ' '), now: new Date() };
          const migrations = await writeMigrations(target, request);
          return { data: { ok: true, migrations }, text: newText(service, migrations) };
        });
      }),
    );
};

async function draftDown(context: CommandContext, service: string, name: string): Promise<CommandResult> {
  const { writeDown } = await import('../operations/migrations/down-draft.js');
  const { downDraftText } = await import('../render/migrations.js');
  const written = await withTarget(context, service, (target) => writeDown(target, name));
  return { data: { ok: true, ...written }, text: downDraftText(written) };
}

const registerPlan: Register = (migrate, execute) => {
  withTo(withFleetFlags(migrate.command('plan')))
    .description('show the locks, rows and data losses of the next up or down; change nothing')
    .option('--down', 'plan a down instead of an up')
    .addOption(stepsOption().implies({ down: true }))
    .option('--sql', 'also show the SQL')
    .action(
      execute(async (context, flags: PlanFlags): Promise<CommandResult> => {
        const destinations = await destinationsOf(context, flags);
        const { planFleet } = await import('../operations/migrations/plan.js');
        const { planText } = await import('../render/migrations.js');
        const { rowsData } = await import('../render/fleet.js');
        const direction = flags.down ? { down: true, steps: stepsOf(flags) } : ({ down: false } as const);
        const rows = await planFleet(destinations, direction, { signal: context.signal });
        return { data: rowsData(rows), text: planText(rows, flags), exitCode: exitCodeOfRows(rows) };
      }),
    );
};

const registerUp: Register = (migrate, execute) => {
  withTimeouts(withTo(withFleetFlags(migrate.command('up'))))
    .description('apply all pending migrations, in parallel over the services')
    .option('--out-of-order', 'also apply pending migrations that sort before an applied one, as after a merge')
    .action(
      execute(async (context, flags: RunFlags) => {
        const { migrateFleetUp } = await import('../operations/migrations/migrate.js');
        return runMigrations(context, flags, migrateFleetUp, 'applied');
      }),
    );
};

const registerDown: Register = (migrate, execute) => {
  withConfirm(withTimeouts(withTo(withFleetFlags(migrate.command('down')))))
    .description('revert the newest migration of the chosen services, or more with --steps or --to')
    .addOption(new Option('--all', 'revert in every service').conflicts('service'))
    .addOption(stepsOption())
    .option('--accept-data-loss', 'revert even where rows or values would be lost')
    .action(
      execute(async (context, flags: DownFlags) => {
        if (!flags.all && flags.service === undefined && flags.to === undefined) throw needsSelection();
        const { migrateFleetDown } = await import('../operations/migrations/migrate.js');
        const acceptDataLoss = flags.acceptDataLoss === true;
        const confirmLosses = (targets: readonly Target[]) => {
          const action = 'revert migrations that remove rows or values';
          const flag = '--accept-data-loss';
          return requireConsent(context, { action, targets, yes: acceptDataLoss, flag, confirm: flags.confirm });
        };
        const request = { steps: stepsOf(flags), acceptDataLoss, confirmLosses };
        return runMigrations(
          context,
          flags,
          (destinations, options) => migrateFleetDown(destinations, request, options),
          'reverted',
        );
      }),
    );
};

function needsSelection(): SuiteError {
  return new SuiteError('USAGE.NEEDS_SELECTION', 'The command does not say which services to revert', {
    kind: 'usage',
    why: 'Without a choice it would revert a migration in every database.',
    next: 'Add --service <names>, --to <migration|tag> or --all; "npx azora-db migrate plan --down" shows what would be reverted',
  });
}

const registerTag: Register = (migrate, execute) => {
  withJson(migrate.command('tag').argument('<name>', 'such as the name of a release'))
    .description('record the newest migration of every database under a name, for --to')
    .action(
      execute(async (context, name: string): Promise<CommandResult> => {
        const { settings, services } = await openSuite(context, {});
        const { openTargets } = await import('../operations/targets.js');
        const { tagFleet } = await import('../operations/migrations/tags.js');
        const { countsText, failuresText, rowsData } = await import('../render/fleet.js');
        const targets = await openTargets(settings, services, context.log, context.signal);
        const { rows, written } = await tagFleet(settings.root, name, targets, { signal: context.signal });
        if (written === undefined) {
          const text = [failuresText(rows), `${countsText(rows)}; no tag written`];
          return { data: rowsData(rows), text: text.filter(Boolean).join('\n'), exitCode: exitCodeOfRows(rows) };
        }
        const text = `${name}: recorded the newest migrations of ${rows.length} services in ${written.file}`;
        return { data: { ok: true, ...written }, text };
      }),
    );
};

const registerStatus: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('status'))
    .description('list applied, pending, failed, edited and missing migrations, and invalid indexes')
    .option('--check', 'exit 4 when a migration is pending, failed, edited or missing, or an index is invalid')
    .action(
      execute(async (context, flags: CheckFlags): Promise<CommandResult> => {
        const targets = await targetsOf(context, flags);
        const { isBehind, readFleetMigrations } = await import('../operations/migrations/migrate.js');
        const { historyText } = await import('../render/migrations.js');
        const { rowsData } = await import('../render/fleet.js');
        const rows = await readFleetMigrations(targets, { signal: context.signal });
        const behind = rows.some(isBehind);
        const data = rowsData(rows);
        const exitCode = exitCodeOfRows(rows) || foundCode(flags, behind);
        return { data: { ...data, ok: data.ok && !behind }, text: historyText(rows), exitCode };
      }),
    );
};

const registerDrift: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('drift'))
    .description('compare each database and schema.prisma with the result of the migrations')
    .option('--check', 'exit 4 when there is a difference')
    .action(
      execute(async (context, flags: CheckFlags): Promise<CommandResult> => {
        const targets = await targetsOf(context, flags);
        const { findDrift, hasDrift } = await import('../operations/migrations/drift.js');
        const { driftText } = await import('../render/migrations.js');
        const { rowsData } = await import('../render/fleet.js');
        const { progress, signal } = context;
        const rows = await findDrift(targets, { progress, signal });
        const drifted = rows.some(hasDrift);
        const data = rowsData(rows);
        const exitCode = exitCodeOfRows(rows) || foundCode(flags, drifted);
        return { data: { ...data, ok: data.ok && !drifted }, text: driftText(rows), exitCode };
      }),
    );
};

const registerVerify: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('verify'))
    .description('apply, revert and apply every migration on scratch databases; exit 4 when one has a problem')
    .action(
      execute(async (context, flags: FleetFlags): Promise<CommandResult> => {
        const suite = await openSuite(context, flags);
        const { settings, services } = suite;
        const { openTargets } = await import('../operations/targets.js');
        const { openScope, sweepRemnants } = await import('../operations/leftovers.js');
        const { isVerified, verifyFleet } = await import('../operations/migrations/verify.js');
        const { verifyText } = await import('../render/migrations.js');
        const { rowsData } = await import('../render/fleet.js');
        const { progress, signal, log } = context;
        const targets = await openTargets(settings, services, log, signal);
        await sweepRemnants(openScope(suite, targets), log);
        const rows = await verifyFleet(targets, settings.root, { progress, signal });
        const ok = isVerified(rows);
        const exitCode = exitCodeOfRows(rows) || (ok ? 0 : EXIT_FOUND);
        return { data: { ...rowsData(rows), ok }, text: verifyText(rows), exitCode };
      }),
    );
};

const registerLint: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('lint'))
    .description('find dangerous locks and data losses in the files of migrations; exit 4 when there are any')
    .action(
      execute(async (context, flags: FleetFlags): Promise<CommandResult> => {
        const { settings, services } = await openSuite(context, flags);
        const { lintServices } = await import('../operations/migrations/lint.js');
        const { lintData, lintText } = await import('../render/migrations.js');
        const report = await lintServices(settings.root, services, context.signal);
        const exitCode = report.findings.length === 0 ? 0 : EXIT_FOUND;
        return { data: lintData(report), text: lintText(report), exitCode };
      }),
    );
};

const registerResolve: Register = (migrate, execute) => {
  withRunnerTimeout(withJson(migrate.command('resolve')))
    .description('record how an unfinished migration ended, or that a folder was renamed')
    .addArgument(
      new Argument(
        '<how>',
        'applied: you completed it; rolled-back: you undid it; renamed: its folder has a new name',
      ).choices(['applied', 'rolled-back', 'renamed']),
    )
    .argument('<service>', SERVICE)
    .argument('<migration>', 'the full name of the migration')
    .action(
      execute(
        async (context, how: Resolution, service: string, name: string, flags: RunFlags): Promise<CommandResult> => {
          const { resolveTarget } = await import('../operations/migrations/resolve.js');
          await withTarget(context, service, (target) =>
            resolveTarget(target, name, how, milliseconds(flags.runnerTimeout)),
          );
          return { data: { ok: true, service, migration: name, how }, text: `${service}: ${name} recorded as ${how}` };
        },
      ),
    );
};

const registerBaseline: Register = (migrate, execute) => {
  withRunnerTimeout(withJson(migrate.command('baseline').argument('<service>', SERVICE)))
    .description('adopt an existing database: record the migrations as applied if they make the same objects')
    .option('--to <migration>', 'only the migrations up to this one')
    .option('--squash', 'instead, replace the folders of the migrations by one that makes the same objects and rows')
    .action(
      execute(async (context, service: string, flags: BaselineFlags): Promise<CommandResult> => {
        if (flags.squash === true) return squash(context, service, flags.to);
        const { openCredentials } = await import('../config/credentials.js');
        const { baselineTarget } = await import('../operations/migrations/resolve.js');
        const migrations = await withTarget(context, service, async (target, { settings }) =>
          baselineTarget(target, {
            to: flags.to,
            runnerTimeoutMs: milliseconds(flags.runnerTimeout),
            passwordOf: await openCredentials(settings.home),
          }),
        );
        const text = `${service}: recorded as applied: ${migrations.join(', ') || 'no migration'}`;
        return { data: { ok: true, service, migrations }, text };
      }),
    );
};

async function squash(context: CommandContext, service: string, to: string | undefined): Promise<CommandResult> {
  const { squashMigrations } = await import('../operations/migrations/squash.js');
  const squashed = await withTarget(context, service, (target) => squashMigrations(target, to));
  const text =
    squashed === undefined
      ? `${service}: fewer than two migrations; nothing to squash`
      : `${service}: ${squashed.name} replaces ${squashed.squashes.length} migrations; commit the change of the folders`;
  return { data: { ok: true, service, squashed: squashed ?? null }, text };
}

const registerDoctor: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('doctor'))
    .description('examine servers and databases, and report problems with their remedies')
    .option('--check', 'exit 4 when an error or a warning is found')
    .action(
      execute(async (context, flags: CheckFlags): Promise<CommandResult> => {
        const suite = await openSuite(context, flags);
        const { openTargets } = await import('../operations/targets.js');
        const targets = await openTargets(suite.settings, suite.services, context.log);
        const { openScope, summarizeLeftovers } = await import('../operations/leftovers.js');
        const { examineFleet, needsAction } = await import('../operations/migrations/doctor.js');
        const { doctorData, doctorText } = await import('../render/doctor.js');
        const { leftoverLines } = await import('../render/leftovers.js');
        const { progress, signal } = context;
        const { environment } = suite.settings;
        const report = await examineFleet(targets, { progress, signal, environment });
        const leftovers = await summarizeLeftovers(openScope(suite, targets, flags.service));
        const exitCode = exitCodeOfRows(report.rows) || foundCode(flags, needsAction(report));
        const text = [doctorText(report), ...leftoverLines(leftovers, new Date())].join('\n');
        return { data: { ...doctorData(report), leftovers }, text, exitCode };
      }),
    );
};

const VERBS: readonly Register[] = [
  registerNew,
  registerPlan,
  registerUp,
  registerDown,
  registerTag,
  registerStatus,
  registerDrift,
  registerVerify,
  registerLint,
  registerResolve,
  registerBaseline,
  registerDoctor,
];

/** A finding sets the exit code only with `--check`. */
function foundCode({ check }: CheckFlags, found: boolean): number {
  return check && found ? EXIT_FOUND : 0;
}

/** The limits of a run: for another run, for locks on tables, and for statements. */
function withTimeouts(command: Command): Command {
  return withRunnerTimeout(command)
    .option(
      '--lock-timeout <seconds>',
      'how long a statement waits for a lock before the migration is retried (default: 5)',
      parseWhole(1, MAX_TIMEOUT_S),
    )
    .option(
      '--statement-timeout <seconds>',
      'how long a statement may take (default: no limit)',
      parseWhole(1, MAX_TIMEOUT_S),
    );
}

function withRunnerTimeout(command: Command): Command {
  return command.option(
    '--runner-timeout <seconds>',
    'how long to wait for another migration run on the same database (default: 10)',
    parseWhole(1, MAX_TIMEOUT_S),
  );
}

function withTo(command: Command): Command {
  return command.option('--to <migration|tag>', 'stop at this migration, or at the migrations of this tag');
}

function stepsOption(): Option {
  return new Option('--steps <n>', 'how many migrations of each service to revert (default: 1 without --to)')
    .argParser(parseWhole(1))
    .conflicts('to');
}

/** One step, unless the flags give a number or a destination. */
function stepsOf(flags: { readonly steps?: number; readonly to?: string }): number | undefined {
  return flags.steps ?? (flags.to === undefined ? 1 : undefined);
}

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1_000;
}

/** Runs migrations up or down over the fleet, and renders the outcome. */
async function runMigrations(
  context: CommandContext,
  flags: RunFlags,
  run: (
    destinations: readonly Destination[],
    options: MigrateOptions,
  ) => Promise<readonly ServiceRow<MigratedService>[]>,
  verb: string,
): Promise<CommandResult> {
  const destinations = await destinationsOf(context, flags);
  const { rowsData } = await import('../render/fleet.js');
  const { migratedText } = await import('../render/migrations.js');
  const rows = await run(destinations, {
    progress: context.progress,
    signal: context.signal,
    runnerTimeoutMs: milliseconds(flags.runnerTimeout),
    lockTimeoutMs: milliseconds(flags.lockTimeout),
    statementTimeoutMs: milliseconds(flags.statementTimeout),
    outOfOrder: flags.outOfOrder,
  });
  return { data: rowsData(rows), text: migratedText(rows, verb), exitCode: exitCodeOfRows(rows) };
}

/** The databases of the services that `--service` names. */
async function targetsOf(context: CommandContext, flags: FleetFlags): Promise<readonly Target[]> {
  const suite = await openSuite(context, flags);
  const { openTargets } = await import('../operations/targets.js');
  return openTargets(suite.settings, suite.services, context.log, context.signal);
}

/** The databases with the destinations of `--to`; without it, every database with its newest migration. */
async function destinationsOf(
  context: CommandContext,
  flags: FleetFlags & { readonly to?: string },
): Promise<readonly Destination[]> {
  const { settings, services } = await openSuite(context, flags);
  const { openTargets } = await import('../operations/targets.js');
  const targets = await openTargets(settings, services, context.log, context.signal);
  if (flags.to === undefined) return targets.map((target) => ({ target }));
  const { findDestinations } = await import('../operations/migrations/destination.js');
  return findDestinations(settings.root, targets, flags.to);
}
