import type { Register } from './command';
import { requireYes } from './consent';
import { exitCodeOfRows } from './exit-codes';
import { type FleetFlags, openSuite, withFleetFlags } from './suite';

interface ResetFlags extends FleetFlags {
  readonly yes?: boolean;
}

export const registerReset: Register = (program, execute) => {
  withFleetFlags(program.command('reset'))
    .summary('drop the databases and create and migrate them again (needs --yes)')
    .option('--yes', 'really drop them, with every row')
    .action(
      execute(async (context, flags: ResetFlags) => {
        const suite = await openSuite(context, flags);
        const { openCredentials } = await import('../config/credentials.js');
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { openTargets } = await import('../operations/targets.js');
        const { dropDatabases } = await import('../operations/reset.js');
        const { setUpDatabases } = await import('../operations/setup.js');
        const { doneRows } = await import('../operations/fleet.js');
        const { DEFAULT_LOCK_TIMEOUT_MS } = await import('../operations/migrate.js');
        const { countsText, failuresText, rowsData } = await import('../render/fleet.js');

        const { progress, signal, log } = context;
        const schemaModel = await readSchemaModel(suite.allServices);
        requireYes(flags, `drop ${suite.services.map(({ name }) => name).join(', ')}`);
        const passwordOf = await openCredentials(suite.settings.home);
        const dropped = await dropDatabases(await openTargets(suite.settings, suite.services, log), suite.settings, {
          progress,
          signal,
        });
        const services = suite.services.filter(({ name }) => doneRows(dropped).some((row) => row.service === name));
        // The servers are looked up again: a companion that was removed starts anew.
        const made = await setUpDatabases(
          { settings: suite.settings, services, schemaModel, passwordOf },
          { progress, signal, log, lockTimeoutMs: DEFAULT_LOCK_TIMEOUT_MS },
        );
        const rows = [...dropped.filter((row) => row.state !== 'done'), ...made.rows];
        const text = [failuresText(rows), `reset: ${countsText(rows)}`].filter((line) => line !== '').join('\n');
        return { data: rowsData(rows), text, exitCode: exitCodeOfRows(rows) };
      }),
    );
};
