import { type FleetFlags, openSuite, type Register, withJson } from './command';
import { EXIT_FOUND } from './exit-codes';

interface DocsFlags extends FleetFlags {
  readonly check?: boolean;
}

export const registerDocs: Register = (program, execute) => {
  withJson(program.command('docs'))
    .summary('write DATABASE-STATUS.md and the diagrams from the schemas')
    .option('--check', 'write nothing, and exit 4 when a document is stale')
    .action(
      execute(async (context, flags: DocsFlags) => {
        const suite = await openSuite(context, {});
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { writeDocuments } = await import('../operations/documents.js');
        const check = flags.check === true;
        const schemaModel = await readSchemaModel(suite.allServices);
        const stale = await writeDocuments(suite.settings.root, schemaModel, suite.allServices, { check });
        const found = check && stale.length > 0;
        const changed = `${check ? 'stale' : 'written'}: ${stale.join(', ')}`;
        return {
          data: { ok: !found, stale },
          text: stale.length === 0 ? 'every document is up to date' : changed,
          exitCode: found ? EXIT_FOUND : 0,
        };
      }),
    );
};
