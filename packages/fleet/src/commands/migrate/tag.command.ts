import type { CommandResult, Register } from '../command';
import { openSuite, withJson } from '../suite';

export const registerTag: Register = (migrate, execute) => {
  withJson(migrate.command('tag').argument('<name>', 'such as the name of a release'))
    .summary('record the newest migration of every database under a name, for --to')
    .action(
      execute(async (context, name: string): Promise<CommandResult> => {
        const { settings, services } = await openSuite(context, {});
        const { openTargets } = await import('../../operations/targets.js');
        const { readHeads, writeTag } = await import('../../operations/tags.js');
        const rows = await readHeads(await openTargets(settings, services, context.log), { signal: context.signal });
        const heads = Object.fromEntries(
          rows.map((row): [string, string | null] => {
            if (row.state === 'done') return [row.service, row.data.head];
            // A tag that leaves a service out would leave it where it is.
            throw row.state === 'failed' ? row.error : context.signal.reason;
          }),
        );
        const file = await writeTag(settings.root, name, heads);
        return { data: { ok: true, file, heads }, text: `${name}: the heads of ${rows.length} services, in ${file}` };
      }),
    );
};
