import { exitCodeOfRows } from './exit-codes';
import type { CommandResult, Register } from './command';
import { type FleetFlags, openSuite, withFleetFlags } from './suite';

interface SetupFlags extends FleetFlags {
  readonly seed?: boolean;
  readonly build: boolean;
}

export const registerSetup: Register = (program, execute) => {
  withFleetFlags(program.command('setup'))
    .summary('generate, build, start the server, create and migrate every database')
    .description('Leaves every database created, migrated and, with --seed, seeded. Safe to run again.')
    .option('--seed', 'insert the shared seed afterwards')
    .option('--no-build', 'leave the generated clients and compiled packages as they are')
    .action(
      execute(async (context, flags: SetupFlags): Promise<CommandResult> => {
        const suite = await openSuite(context, flags);
        const { openCredentials } = await import('../suite/credentials.js');
        const { readCatalog } = await import('../suite/catalog.js');
        const { runWorkspaceScript } = await import('../operations/workspace.js');
        const { openTargets } = await import('../operations/targets.js');
        const { setUpDatabases } = await import('../operations/setup.js');
        const { DEFAULT_LOCK_TIMEOUT_MS } = await import('../operations/migrate.js');
        const { setupReport } = await import('../render/setup.js');

        const catalog = await readCatalog(suite.allServices);
        const passwordOf = await openCredentials(suite.settings.home);
        const { progress, signal, log } = context;
        // The databases need no generated code, so both go on side by side.
        const building = flags.build
          ? runWorkspaceScript('build', { root: suite.settings.root, onOutput: () => undefined, signal })
          : Promise.resolve();
        // A failure is told after the databases are done; until then it must not count as unhandled.
        building.catch(() => undefined);
        if (flags.build) log('building the packages');
        const targets = await openTargets(suite.settings, suite.services, log);
        const options = { progress, signal, lockTimeoutMs: DEFAULT_LOCK_TIMEOUT_MS };
        const rows = await setUpDatabases(targets, catalog, passwordOf, options);
        await building;
        const ready = targets.filter((target) => rows.some((row) => row.service === target.service.name && row.state === 'done'));
        if (!flags.seed || signal.aborted) return setupReport(rows, targets, undefined, exitCodeOfRows(rows));
        const { seedFleet } = await import('../operations/seed.js');
        const seeded = await seedFleet(ready, catalog, passwordOf, { root: suite.settings.root, scale: 0, progress, signal });
        return setupReport(rows, targets, seeded, Math.max(exitCodeOfRows(rows), exitCodeOfRows(seeded.rows)));
      }),
    );
};
