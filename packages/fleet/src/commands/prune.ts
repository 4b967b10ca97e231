import { type FleetFlags, openSuite, type Register, withFleetFlags } from './command';
import { type ConsentFlags, requireConsent, withConfirm } from './consent';
import { EXIT_FAILED, EXIT_FOUND, exitCodeOfRows } from './exit-codes';

export const registerPrune: Register = (program, execute) => {
  const command = withFleetFlags(program.command('prune'))
    .summary('list the rows that are older than their retention; delete them with --yes')
    .description(
      'Lists the rows of every table with an @retain annotation that are older than it says, by the clock of the database. ' +
        'With --yes, deletes them in batches, so that no writer waits for long, and drops old partitions. Verifies the audit log ' +
        'first; keeps an anchor of it outside of the database (AZORA_AUDIT_ANCHORS). Exits with 4 if the audit log is damaged.',
    )
    .option('--yes', 'delete what is listed, on the embedded server');
  withConfirm(command).action(
    execute(async (context, flags: FleetFlags & ConsentFlags) => {
      const { settings, allServices, services } = await openSuite(context, flags);
      const { readSchemaModel } = await import('../schema/schema-model.js');
      const { openTargets } = await import('../operations/targets.js');
      const { openAnchorStore } = await import('../backup-store/audit-anchors.js');
      const { isBusy, isDamaged, pruneFleet } = await import('../operations/prune.js');
      const { pruneData, pruneText } = await import('../render/prune.js');

      const { progress, signal, log } = context;
      const schemas = (await readSchemaModel(allServices)).services;
      const anchors = await openAnchorStore(settings.audit.anchors, settings.audit.key, settings.environment);
      const targets = await openTargets(settings, services, log, signal);
      const yes = flags.yes === true || flags.confirm !== undefined;
      if (yes) {
        const action = 'delete the rows that are older than their retention';
        await requireConsent(context, { yes: flags.yes, confirm: flags.confirm, action, targets });
      }
      const request = {
        yes,
        modelsOf: (service: string) => schemas.find((it) => it.name === service)?.models ?? [],
        auditDays: settings.audit.retentionDays,
        anchors,
      };
      const rows = await pruneFleet(targets, request, { progress, signal });
      const failed = exitCodeOfRows(rows) || (rows.some(isDamaged) ? EXIT_FOUND : 0);
      const exitCode = failed || (rows.some(isBusy) ? EXIT_FAILED : 0);
      return { data: pruneData(rows, yes), text: pruneText(rows, yes), exitCode };
    }),
  );
};
