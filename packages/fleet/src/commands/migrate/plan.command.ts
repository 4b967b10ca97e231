import type { CommandResult, Register } from '../command';
import { type FleetFlags, withFleetFlags } from '../command';
import { exitCodeOfRows } from '../exit-codes';
import { stepsOf, stepsOption } from './down.command';
import { destinationsOf, withTo } from './shared';

interface PlanFlags extends FleetFlags {
  readonly to?: string;
  readonly down?: boolean;
  readonly steps?: number;
  readonly sql?: boolean;
}

export const registerPlan: Register = (migrate, execute) => {
  withTo(withFleetFlags(migrate.command('plan')))
    .summary('show what up or down would run: locks, rows, what would be lost; change nothing')
    .option('--down', 'plan the way back')
    .addOption(stepsOption().implies({ down: true }))
    .option('--sql', 'show the SQL as well')
    .action(
      execute(async (context, flags: PlanFlags): Promise<CommandResult> => {
        const destinations = await destinationsOf(context, flags);
        const { planFleet } = await import('../../operations/plan.js');
        const { planText } = await import('../../render/plan.js');
        const { rowsData } = await import('../../render/fleet.js');
        const rows = await planFleet(
          destinations,
          flags.down ? { down: true, steps: stepsOf(flags) } : { down: false },
          {
            signal: context.signal,
          },
        );
        return { data: rowsData(rows), text: planText(rows, flags), exitCode: exitCodeOfRows(rows) };
      }),
    );
};
