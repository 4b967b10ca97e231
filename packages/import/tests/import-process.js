// Runs an import of Aurora into one database, and kills itself after the given number of batches of a stage.
const { parseDatabaseUrl } = require('@azora/db-core');
const { beginImport, importInto, openAurora } = require('@azora/db-import');

async function main([url, folder, service, stage, batches]) {
  const database = { service, admin: parseDatabaseUrl(url, 'the test'), canCopy: true };
  const source = await openAurora(folder);
  const begun = await beginImport(source, [database], new Date());
  let seen = 0;
  const onProgress = (detail) => {
    if (detail.startsWith(stage)) seen += 1;
    if (seen === Number(batches)) process.kill(process.pid, 'SIGKILL');
  };
  await importInto(database, source, begun, { onProgress });
  throw new Error('the import ended before it was killed');
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
