import { type FleetFlags, openSuite, type Register, withJson } from './command';
import { EXIT_FOUND } from './exit-codes';

interface DocsFlags extends FleetFlags {
  readonly check?: boolean;
}

export const registerDocs: Register = (program, execute) => {
  withJson(program.command('docs'))
    .description('write DATABASE-STATUS.md, the diagrams and every structure.sql from the schemas and migrations')
    .option('--check', 'write nothing; exit 4 if a document is stale')
    .action(
      execute(async (context, flags: DocsFlags) => {
        const suite = await openSuite(context, {});
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { writeDocuments } = await import('../operations/documents.js');
        const { renderStructures } = await import('../operations/documents/structure.js');
        const check = flags.check === true;
        const schemaModel = await readSchemaModel(suite.allServices);
        const structures = await renderStructures(suite.settings, suite.allServices, {
          onProgress: context.log,
          signal: context.signal,
        });
        const stale = await writeDocuments(suite.settings.root, schemaModel, suite.allServices, { check, structures });
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
