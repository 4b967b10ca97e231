import type { CommandResult, Register } from '../command';
import { withJson } from '../command';
import { oneTarget } from './shared';

interface NewFlags {
  readonly json?: boolean;
  readonly why?: string;
}

export const registerNew: Register = (migrate, execute) => {
  withJson(migrate.command('new').argument('<service>').argument('<slug>', 'words for its name: add_nickname'))
    .summary('write the migration that leads to schema.prisma, with its way back')
    .option('--why <sentence>', 'the reason, for the header of the file')
    .action(
      execute(async (context, service: string, slug: string, flags: NewFlags): Promise<CommandResult> => {
        const target = await oneTarget(context, service);
        const { readSchemaModel } = await import('../../schema/schema-model.js');
        const { writeMigrations } = await import('../../operations/author.js');
        const { newText } = await import('../../render/migrations.js');
        // A schema that does not parse is told here with file and line, in our words.
        await readSchemaModel([target.service], { references: 'unchecked' });
        const request = { slug, why: flags.why ?? slug.replaceAll('_', ' '), now: new Date() };
        const migrations = await writeMigrations(target, request);
        return { data: { ok: true, migrations }, text: newText(service, migrations) };
      }),
    );
};
