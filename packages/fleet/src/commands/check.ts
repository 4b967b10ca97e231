import { selectInEnvironment } from '../config/registry';
import { type FleetFlags, openSuite, type Register, withFleetFlags } from './command';
import { EXIT_FOUND, exitCodeOfRows } from './exit-codes';

export const registerCheck: Register = (program, execute) => {
  withFleetFlags(program.command('check'))
    .summary('check the data: ids of other services, and the rules that constraints cannot express')
    .description(
      'Looks up every id of another service in the database that owns the row, and runs the queries in prisma/checks.sql. Changes nothing. Exits with 4 if it finds a problem.',
    )
    .action(
      execute(async (context, flags: FleetFlags) => {
        const { settings, allServices, services } = await openSuite(context, flags);
        const { readSchemaModel, references } = await import('../schema/schema-model.js');
        const { openTargets } = await import('../operations/targets.js');
        const { checkFleet, hasFindings } = await import('../operations/check.js');
        const { checkData, checkText } = await import('../render/check.js');

        const all = references(await readSchemaModel(allServices));
        const names = new Set(services.map(({ name }) => name));
        const asked = all.filter(({ service }) => names.has(service));
        const needed = new Set([...names, ...asked.map(({ target }) => target.service)]);
        const set = selectInEnvironment(allServices, settings.selected, undefined);
        const { progress, signal, log } = context;
        const owners = await openTargets(
          settings,
          set.filter(({ name }) => needed.has(name)),
          log,
          signal,
        );
        const targets = owners.filter(({ service }) => names.has(service.name));
        const rows = await checkFleet({ targets, owners, references: asked }, { progress, signal });
        const exitCode = exitCodeOfRows(rows) || (rows.some(hasFindings) ? EXIT_FOUND : 0);
        return { data: checkData(rows), text: checkText(rows), exitCode };
      }),
    );
};
