import type { CommandContext, CommandResult, Register } from '../command';
import { type FleetFlags, openSuite, withFleetFlags, withJson, withTarget } from '../command';
import { EXIT_FOUND, exitCodeOfRows } from '../exit-codes';
import { SERVICE } from './flags';

interface NewFlags {
  readonly why?: string;
  readonly down?: boolean;
}

export const registerNew: Register = (migrate, execute) => {
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
        const { readSchemaModel } = await import('../../schema/schema-model.js');
        const { writeMigrations } = await import('../../operations/migrations/new-migration.js');
        const { newText } = await import('../../render/migrations.js');
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
  const { writeDown } = await import('../../operations/migrations/down-draft.js');
  const { downDraftText } = await import('../../render/migrations.js');
  const written = await withTarget(context, service, (target) => writeDown(target, name));
  return { data: { ok: true, ...written }, text: downDraftText(written) };
}

export const registerLint: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('lint'))
    .description('find dangerous locks and data losses in the files of migrations; exit 4 when there are any')
    .action(
      execute(async (context, flags: FleetFlags): Promise<CommandResult> => {
        const { settings, services } = await openSuite(context, flags);
        const { lintServices } = await import('../../operations/migrations/lint.js');
        const { lintData, lintText } = await import('../../render/migrations.js');
        const report = await lintServices(settings.root, services, context.signal);
        const exitCode = report.findings.length === 0 ? 0 : EXIT_FOUND;
        return { data: lintData(report), text: lintText(report), exitCode };
      }),
    );
};

export const registerVerify: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('verify'))
    .description('apply, revert and apply every migration on scratch databases; exit 4 when one has a problem')
    .action(
      execute(async (context, flags: FleetFlags): Promise<CommandResult> => {
        const suite = await openSuite(context, flags);
        const { settings, services } = suite;
        const { openTargets } = await import('../../operations/targets.js');
        const { openScope, sweepRemnants } = await import('../../operations/leftovers.js');
        const { isVerified, verifyFleet } = await import('../../operations/migrations/verify.js');
        const { verifyText } = await import('../../render/migrations.js');
        const { rowsData } = await import('../../render/fleet.js');
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
