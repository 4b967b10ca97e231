import type { Register } from '../command';
import { openSuite, withJson } from '../command';

export const registerPitrStatus: Register = (pitr, execute) => {
  withJson(pitr.command('status'))
    .summary('show the archive, the base backups and what can be restored to')
    .action(
      execute(async (context, _flags: { readonly json?: boolean }) => {
        const { settings, services } = await openSuite(context, {});
        const { readPitr } = await import('../../operations/pitr.js');
        const { pitrStatusText } = await import('../../render/pitr.js');
        const status = await readPitr(settings, services);
        return { data: status, text: pitrStatusText(status) };
      }),
    );
};
