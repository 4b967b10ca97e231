import type { Register } from '../command';
import { openSuite, withJson } from '../command';

export const registerEnable: Register = (pitr, execute) => {
  withJson(pitr.command('enable'))
    .summary('archive the log of the embedded server; restarts it the first time')
    .action(
      execute(async (context, _flags: { readonly json?: boolean }) => {
        const { settings, services } = await openSuite(context, {});
        const { enablePitr } = await import('../../operations/pitr.js');
        const { enabledText } = await import('../../render/pitr.js');
        const { log: onProgress, signal } = context;
        const enabled = await enablePitr(settings, services, { onProgress, signal });
        return { data: { ok: true, ...enabled }, text: enabledText(enabled) };
      }),
    );
};
