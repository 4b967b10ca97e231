// Run by migrate.bench.js as a process of its own, as psql is: `node migrate-one.js <url> <folder of migrations>`.
const { parseDatabaseUrl } = require('@azora/db-core');
const { migrateUp, readMigrations } = require('@azora/db-fleet');

async function main([url = '', folder = '']) {
  await migrateUp(parseDatabaseUrl(url, 'the first argument'), await readMigrations(folder));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
