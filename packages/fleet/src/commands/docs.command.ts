import type { Register } from './command';
import { EXIT_FOUND } from './exit-codes';
import { openSuite, withJson } from './suite';

interface DocsFlags {
  readonly check?: boolean;
  readonly json?: boolean;
}

export const registerDocs: Register = (program, execute) => {
  withJson(program.command('docs'))
    .summary('write DATABASE-STATUS.md, the diagrams and every structure.sql from the schemas and migrations')
    .option('--check', 'write nothing; exit 4 if a document is stale')
    .action(
      execute(async (context, flags: DocsFlags) => {
        const suite = await openSuite(context, {});
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { writeDocuments } = await import('../operations/documents.js');
        const { renderStructures } = await import('../operations/documents/structure.js');
        const check = flags.check === true;
        const schemaModel = await readSchemaModel(suite.allServices);
        const structures = await renderStructures(suite.settings, suite.allServices, { onProgress: context.log });
        const stale = await writeDocuments(suite.settings.root, schemaModel, suite.allServices, { check, structures });
        const said = check ? `stale: ${stale.join(', ')}` : `written: ${stale.join(', ')}`;
        const text = stale.length === 0 ? 'every document is up to date' : said;
        return {
          data: { ok: !check || stale.length === 0, stale },
          text,
          exitCode: check && stale.length > 0 ? EXIT_FOUND : 0,
        };
      }),
    );
};
