import { selectInEnvironment } from '../config/registry';
import { type FleetFlags, openSuite, type Register, withFleetFlags } from './command';
import { EXIT_FOUND, exitCodeOfRows } from './exit-codes';

interface CheckFlags extends FleetFlags {
  readonly health?: true;
}

export const registerCheck: Register = (program, execute) => {
  withFleetFlags(program.command('check'))
    .summary('check the data: ids of other services, and the rules that constraints cannot express')
    .description(
      'Looks up every id of another service in the database that owns the row, runs the queries in prisma/checks.sql, and measures what searches by each index of vectors find. Exits with 4 if it finds a problem, and says what is new, grown or gone since the last check. With --health, records in health whether each database answers, its migrations and what the check found; changes no other row.',
    )
    .option('--health', 'record the state of each database in health, as endpoints and log lines')
    .action(
      execute(async (context, flags: CheckFlags) => {
        const { settings, allServices, services } = await openSuite(context, flags);
        const { readSchemaModel, references } = await import('../schema/schema-model.js');
        const { openTargets } = await import('../operations/targets.js');
        const { checkFleet, hasFindings } = await import('../operations/check.js');
        const { recordTrend } = await import('../operations/check-trend.js');
        const { HEALTH_SERVICE, healthTarget, recordHealth } = await import('../operations/record-health.js');
        const { checkData, checkText } = await import('../render/check.js');

        const all = references(await readSchemaModel(allServices));
        const names = new Set(services.map(({ name }) => name));
        const asked = all.filter(({ service }) => names.has(service));
        const needed = new Set([...names, ...asked.map(({ target }) => target.service)]);
        if (flags.health) needed.add(HEALTH_SERVICE);
        const set = selectInEnvironment(allServices, settings.selected, undefined);
        const { progress, signal, log } = context;
        const owners = await openTargets(
          settings,
          set.filter(({ name }) => needed.has(name)),
          log,
          signal,
        );
        const targets = owners.filter(({ service }) => names.has(service.name));
        const health = flags.health ? healthTarget(owners) : undefined;
        const rows = await checkFleet({ targets, owners, references: asked }, { progress, signal });
        const trends = await recordTrend(settings.home, rows, new Date(), log);
        const recorded = health && (await recordHealth(health, targets, rows, { signal }));
        const exitCode = exitCodeOfRows(rows) || (rows.some(hasFindings) ? EXIT_FOUND : 0);
        return { data: checkData(rows, trends, recorded), text: checkText(rows, trends, recorded), exitCode };
      }),
    );
};
