// A process of its own for migrate.bench.js, like psql: `node migrate-one.js <url> <folder of migrations>`.
const { parseDatabaseUrl } = require('@azora/db-core/url');
const { migrateUp, readMigrations } = require('@azora/db-migrate');

async function main([url = '', folder = '']) {
  await migrateUp(parseDatabaseUrl(url, 'the first argument'), await readMigrations(folder));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
