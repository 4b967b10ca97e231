import { SuiteError } from '@azora/db-core';
import { type FromFlag, type PlainFlag, proveSet, SET, selectNamedSet, withFrom, withPlain } from './backup-sets';
import { type FleetFlags, openSuite, type Register, requireServices, withFleetFlags } from './command';

interface DrillFlags extends FleetFlags, FromFlag, PlainFlag {
  readonly metrics?: string;
}

export const registerDrill: Register = (backup, execute) => {
  withPlain(withFleetFlags(withFrom(backup.command('drill'))))
    .argument('[set]', SET, 'latest')
    .option('--metrics <file>', "also write the result for Prometheus's textfile collector, such as …/azora.prom")
    .description(
      'restore a set into scratch databases as if the live ones were lost, and keep how long it took, how old the data was and what was compared; "status" shows it; exit 4 if a problem is found',
    )
    .action(
      execute(async (context, name: string, flags: DrillFlags) => {
        const suite = await openSuite(context, flags);
        const { settings, services } = suite;
        const { openTargets } = await import('../operations/targets.js');
        const { openScope, sweepRemnants } = await import('../operations/leftovers.js');
        const { drillOf, failedDrill, keepDrill, writeMetrics } = await import('../operations/backup/drill.js');
        const { drillText } = await import('../render/drill.js');
        const { signal, log } = context;
        const at = new Date();
        const keep = async (drill: ReturnType<typeof drillOf>) => {
          if (signal?.aborted) return;
          await keepDrill(settings.home, drill);
          if (flags.metrics !== undefined) await writeMetrics(flags.metrics, drill);
        };
        try {
          const isNamed = flags.service !== undefined;
          const allows = { allowsMasked: false, allowsPlain: flags.plain === true };
          const given = { name, services, isNamed, ...allows, command: 'backup drill', ...flags };
          const selected = await selectNamedSet(settings, given);
          for (const note of selected.notes) log(note);
          const asked = requireServices(settings, selected.services);
          const targets = await openTargets(asked, selected.services, log, signal);
          await sweepRemnants(openScope(suite, targets), log);
          const proof = await proveSet(suite, context, selected.set, targets);
          const drill = drillOf(selected.set.manifest, proof.report, at);
          await keep(drill);
          return {
            data: { ...proof.data, drill },
            text: `${proof.text}\n${drillText(drill)}`,
            exitCode: proof.exitCode,
          };
        } catch (error) {
          // A mistyped set says nothing about the backups; that there is no newest one does.
          const isMistake = error instanceof SuiteError && error.kind === 'usage' && name !== 'latest';
          if (error instanceof SuiteError && error.code !== 'BACKUP.METRICS_FAILED' && !isMistake) {
            await keep(failedDrill(error, at));
          }
          throw error;
        }
      }),
    );
};
