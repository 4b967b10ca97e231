import { type FleetFlags, openSuite, type Register, withJson } from './command';
import { EXIT_FOUND } from './exit-codes';

interface DocsFlags extends FleetFlags {
  readonly check?: boolean;
}

export const registerDocs: Register = (program, execute) => {
  withJson(program.command('docs'))
    .description('write DATABASE-STATUS.md, the diagrams, every structure.sql and the catalog of events')
    .option('--check', 'write nothing; exit 4 if a document is stale')
    .action(
      execute(async (context, flags: DocsFlags) => {
        const suite = await openSuite(context, {});
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { writeDocuments } = await import('../operations/documents.js');
        const { renderEvents } = await import('../operations/documents/events.js');
        const { renderStructures } = await import('../operations/documents/structure.js');
        const check = flags.check === true;
        const schemaModel = await readSchemaModel(suite.allServices);
        const options = { onProgress: context.log, signal: context.signal };
        const events = await renderEvents(suite.settings, suite.allServices, options);
        const structures = await renderStructures(suite.settings, suite.allServices, options);
        const others = new Map([...events, ...structures]);
        const stale = await writeDocuments(suite.settings.root, schemaModel, suite.allServices, { check, others });
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
