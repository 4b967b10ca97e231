import type { Register } from '../command';
import { openSuite, parseWhole, requireYes, withJson } from '../command';

interface RestoreFlags {
  readonly json?: boolean;
  readonly to: string;
  readonly timeline?: number;
  readonly yes?: boolean;
}

export const registerPitrRestore: Register = (pitr, execute) => {
  withJson(pitr.command('restore'))
    .summary('put the whole embedded server back to a moment (needs --yes)')
    .description(
      'Recovers a copy beside the server and, when it has come to the moment, puts it in the place of the data, which is ' +
        'kept as data.before-<time>. All databases of the embedded server go back together.',
    )
    .requiredOption('--to <point>', 'a time with its zone (2026-01-31T12:00:00Z), an LSN (0/1A2B3C8), or latest')
    .option('--timeline <n>', 'along a timeline that an earlier restore left behind', parseWhole(1))
    .option('--yes', 'really do it: what was committed after that moment is only in the data that is kept')
    .action(
      execute(async (context, flags: RestoreFlags) => {
        const { settings, services } = await openSuite(context, {});
        const { restorePitr } = await import('../../operations/pitr.js');
        const { restoredText } = await import('../../render/pitr.js');
        requireYes(flags, `put every database of the embedded server back to ${flags.to}`);
        const { log: onProgress, signal } = context;
        const request = { to: flags.to, timeline: flags.timeline };
        const restored = await restorePitr(settings, services, request, { onProgress, signal });
        return { data: { ok: true, ...restored }, text: restoredText(restored) };
      }),
    );
};
