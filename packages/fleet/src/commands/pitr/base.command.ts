import type { Register } from '../command';
import { openSuite, parseWhole, withJson } from '../command';

interface BaseFlags {
  readonly json?: boolean;
  readonly keep?: number;
}

export const registerBase: Register = (pitr, execute) => {
  withJson(pitr.command('base'))
    .summary('make a base backup, from whose end on every moment can be restored')
    .option(
      '--keep <n>',
      'then remove all base backups but the newest n, and the log that only they needed',
      parseWhole(1),
    )
    .action(
      execute(async (context, flags: BaseFlags) => {
        const { settings, services } = await openSuite(context, {});
        const { takePitrBase } = await import('../../operations/pitr.js');
        const { baseText } = await import('../../render/pitr.js');
        const { log: onProgress, signal } = context;
        const base = await takePitrBase(settings, services, flags.keep, { onProgress, signal });
        return { data: { ok: true, ...base }, text: baseText(base) };
      }),
    );
};
