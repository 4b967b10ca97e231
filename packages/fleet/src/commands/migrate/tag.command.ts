import type { CommandResult, Register } from '../command';
import { openSuite, withJson } from '../command';
import { exitCodeOfRows } from '../exit-codes';

export const registerTag: Register = (migrate, execute) => {
  withJson(migrate.command('tag').argument('<name>', 'such as the name of a release'))
    .summary('record the newest migration of every database under a name, for --to')
    .action(
      execute(async (context, name: string): Promise<CommandResult> => {
        const { settings, services } = await openSuite(context, {});
        const { openTargets } = await import('../../operations/targets.js');
        const { readHeads, writeTag } = await import('../../operations/tags.js');
        const { doneRows } = await import('../../operations/fleet.js');
        const { countsText, failuresText, rowsData } = await import('../../render/fleet.js');
        const rows = await readHeads(await openTargets(settings, services, context.log), { signal: context.signal });
        const done = doneRows(rows);
        // A tag that leaves a service out would leave it where it is.
        if (done.length < rows.length) {
          const text = [failuresText(rows), `${countsText(rows)}; no tag written`]
            .filter((line) => line !== '')
            .join('\n');
          return { data: rowsData(rows), text, exitCode: exitCodeOfRows(rows) };
        }
        const heads = Object.fromEntries(done.map(({ service, data }) => [service, data.head]));
        const file = await writeTag(settings.root, name, heads);
        return { data: { ok: true, file, heads }, text: `${name}: the heads of ${rows.length} services, in ${file}` };
      }),
    );
};
