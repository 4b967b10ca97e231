import type { Register } from '../command';
import { openSuite, parseWhole, withJson } from '../command';
import { openPlace, type PlaceFlags, withPlace } from './shared';

interface PruneFlags extends PlaceFlags {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yes?: boolean;
}

export const registerPrune: Register = (backup, execute) => {
  withJson(withPlace(backup.command('prune')))
    .summary('remove old sets (tells which; does it with --yes)')
    .option('--last <n>', 'keep the newest n sets', parseWhole(1), 3)
    .option('--daily <n>', 'keep the newest set of each of n days', parseWhole(0), 7)
    .option('--weekly <n>', 'and of each of n weeks', parseWhole(0), 4)
    .option('--monthly <n>', 'and of each of n months', parseWhole(0), 12)
    .option('--yes', 'really remove them')
    .action(
      execute(async (context, flags: PruneFlags) => {
        const { settings } = await openSuite(context, {});
        const { pruneSets } = await import('../../operations/backup/prune.js');
        const { pruneText } = await import('../../render/backup.js');
        const removing = flags.yes === true;
        const pruned = await pruneSets(await openPlace(settings, flags.from), flags, removing);
        return { data: { ...pruned, done: removing }, text: pruneText(pruned, removing) };
      }),
    );
};
