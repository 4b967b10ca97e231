// Runs an import of Aurora into one database, and tells the parent about every batch. The parent kills it.
const { parseDatabaseUrl } = require('@azora/db-core');
const { beginImport, importInto, openAurora } = require('@azora/db-import');

async function main([url, folder, service]) {
  const database = { service, admin: parseDatabaseUrl(url, 'the test'), canCopy: true };
  const source = await openAurora(folder);
  const begun = await beginImport(source, [database], new Date());
  await importInto(database, source, begun, { onProgress: (detail) => process.send(detail) });
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
